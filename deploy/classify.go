package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
)

// PolicyError says that the fleet's policy does not let a plan run.
type PolicyError struct {
	Change   string
	Class    diff.Class
	Rule     string          // approve or deny
	Digest   string          // of the plan
	ByAuthor string          // who approved it and is the author, where that does not count
	Findings []apply.Finding // the rows that an approval agrees to
}

func (e *PolicyError) Error() string { return e.with((*apply.BlockedError).Error) }

// Detail is the error with the ids of rows, see apply.BlockedError.
func (e *PolicyError) Detail() string { return e.with((*apply.BlockedError).Detail) }

func (e *PolicyError) with(rows func(*apply.BlockedError) string) string {
	text := e.refusal()
	if len(e.Findings) > 0 {
		text += ": " + rows(&apply.BlockedError{Findings: e.Findings})
	}
	return text
}

func (e *PolicyError) refusal() string {
	switch {
	case e.Rule != "approve":
		return fmt.Sprintf("%s is %s, which the policy denies", e.Change, e.Class)
	case e.ByAuthor != "":
		return fmt.Sprintf("%s is %s and needs approval by somebody else than %s, the author (plan %.12s)",
			e.Change, e.Class, e.ByAuthor, e.Digest)
	}
	return fmt.Sprintf("%s is %s and needs approval (plan %.12s)", e.Change, e.Class, e.Digest)
}

// permit holds a plan against what may run: the policy, or, for a rollback,
// the deployment that it takes back.
func (r Request) permit(pl *plan.Plan) error {
	if r.back != nil {
		return r.back.permit(pl)
	}
	return r.Policy.permit(pl)
}

// permit holds a plan against the policy: what is denied goes before what may
// be approved. Destructive steps that the plan's own pre-checks keep from losing
// a value need no permission.
func (p Policy) permit(pl *plan.Plan) error {
	var refused *PolicyError
	for _, s := range pl.Steps {
		rule := p.Classes[s.Class.String()]
		if s.Class == diff.Destructive && p.Plan.KeepValues || rule == "allow" || rule == "" {
			continue
		}
		if refused == nil || rule == "deny" && refused.Rule != "deny" {
			refused = &PolicyError{Change: s.Change, Class: s.Class, Rule: rule, Digest: pl.Digest}
		}
	}
	if refused == nil {
		return nil
	}
	return refused
}

// ReasonInterrupted is why nothing came of a try during which the process was told
// to end. It says nothing of the tenant.
const ReasonInterrupted = "Interrupted"

// classify says what an error means for a tenant: whether its deployment is
// blocked until data, bundle or policy change, or failed and worth another
// try; the reason in one word; and what to do next.
func classify(err error) (Action, string, string) {
	var (
		blocked *apply.BlockedError
		policy  *PolicyError
		invalid *InvalidError
		seed    *apply.SeedError
	)
	var explained interface {
		error
		Reason() string
		Next() string
	}
	var passing interface { // explained, and worth another try without a change in git
		error
		Reason() string
		Next() string
		Again() bool
	}
	var unverified *VerifyError
	switch {
	case errors.As(err, &unverified):
		return Failed, ReasonVerifyFailed, unverified.Next()
	case errors.Is(err, context.Canceled): // whatever that kept from being done
		return Failed, ReasonInterrupted, "nothing: it is tried again"
	case errors.As(err, &passing) && passing.Again():
		return Failed, passing.Reason(), passing.Next()
	case errors.As(err, &explained):
		return Blocked, explained.Reason(), explained.Next()
	case errors.As(err, &blocked):
		return Blocked, "PreCheckFailed", blocked.Next()
	case errors.As(err, &policy) && policy.Rule == "approve":
		return Blocked, "AwaitingApproval", fmt.Sprintf("run \"reconciler approve %.12s\"", policy.Digest)
	case errors.As(err, &policy):
		return Blocked, "PolicyDenied", fmt.Sprintf("take the change back, or change policy.%s in fleet.yaml", policy.Class)
	case errors.As(err, &invalid):
		return Blocked, "InvalidBundle", "correct the definitions and commit"
	case errors.As(err, &seed):
		return Blocked, "SeedRejected", "correct the records, or set seed: skip in fleet.yaml"
	case errors.Is(err, apply.ErrOwnedElsewhere):
		return Blocked, "OwnedElsewhere", "give the tenant its own database, correct fleet, environment or id, or run \"reconciler tenant take\""
	case errors.Is(err, apply.ErrSuspended):
		return Blocked, "Suspended", "resume the tenant first: provisioningStatus: active in its tenant.yaml"
	case errors.Is(err, ErrNoWayBack):
		return Failed, "NoWayBack", "deploy the earlier revision from git instead"
	case errors.Is(err, apply.ErrNewerJournal):
		return Blocked, "NewerJournal", "run the newer reconciler"
	case errors.Is(err, apply.ErrProof):
		return Failed, "ProofFailed", "nothing was run; report the plan and the schema as a bug of the reconciler"
	case errors.Is(err, apply.ErrGuard):
		return Failed, "GuardFailed", "nothing was committed; look for a trigger or a writer that interferes"
	case errors.Is(err, apply.ErrUnfilled), errors.Is(err, apply.ErrDamaged):
		return Failed, ReasonBackfilling, "nothing: the rows are filled again"
	case errors.Is(err, apply.ErrStale):
		return Failed, "StalePlan", "somebody else changes the schema; it is tried again"
	case errors.Is(err, database.ErrConstraint):
		return Blocked, "ConstraintFailed", "correct the rows that break the constraint"
	case errors.Is(err, database.ErrAway):
		return Failed, "ServerAway", "it is tried again; see whether the server runs, can be reached and has the database"
	case errors.Is(err, database.ErrBusy):
		return Failed, "Busy", "another process holds the database; it is tried again"
	case errors.Is(err, database.ErrCorrupt), errors.Is(err, database.ErrNotADB):
		return Failed, "Corrupt", "restore the file from a backup"
	case errors.Is(err, apply.ErrRestless):
		return Failed, "SnapshotFailed", "let whoever writes to the database all the time pause; it is tried again"
	case errors.Is(err, apply.ErrSnapshot):
		return Failed, "SnapshotFailed",
			"make room for it, and let the reconciler's user write to the snapshots directory; without a snapshot nothing is deployed; a rollback has --no-snapshot"
	case errors.Is(err, database.ErrPermission), errors.Is(err, database.ErrReadOnly):
		return Failed, "PermissionDenied", "let the reconciler's user read and write the file and its directory"
	case errors.Is(err, database.ErrFull):
		return Failed, "DiskFull", "make room on the volume"
	case errors.Is(err, database.ErrMissing):
		return Failed, "Missing", "bring the file back, since it is not created again by itself; where it is lost, \"reconciler tenant provision TENANT --recreate\" makes an empty one"
	case errors.Is(err, apply.ErrEmptyJournal):
		return Failed, ReasonJournalMissing, "bring back the database that it had; where that is lost, drop _reconciler_journal and _reconciler_meta, " +
			"and run \"reconciler tenant take TENANT\", which lets this one be deployed to as it is"
	case errors.Is(err, ErrNoJournal):
		return Failed, ReasonJournalMissing, "bring back the database that it had; where that is lost, \"reconciler tenant take TENANT\" lets this one be deployed to as it is"
	}
	return Failed, "DeploymentFailed", "see the error; it is tried again"
}

package deploy

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
)

// classify says what an error means for a tenant: whether its deployment is
// blocked until data, bundle or policy change, or failed and worth another
// try; the reason in one word; and what to do next.
func classify(err error) (Action, string, string) {
	var unverified *VerifyError
	if errors.Is(err, context.Canceled) && !errors.As(err, &unverified) { // whatever that kept from being done, a request to a server too
		return Failed, reason.Interrupted, "nothing: it is tried again"
	}
	var passing reason.Passing
	if errors.As(err, &passing) && passing.Again() {
		return Failed, passing.Reason(), passing.Next()
	}
	var explained reason.Error
	if errors.As(err, &explained) {
		return Blocked, explained.Reason(), explained.Next()
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.action, m.reason, m.next
		}
	}
	return Failed, reason.DeploymentFailed, "see the error; it is tried again"
}

// meanings are those of errors that do not say it themselves, the first that
// matches.
var meanings = []struct {
	err          error
	action       Action
	reason, next string
}{
	{
		apply.ErrOwnedElsewhere, Blocked, reason.OwnedElsewhere,
		"give the tenant its own database, correct fleet, environment or id, or run \"reconciler tenant take\"",
	},
	{apply.ErrSuspended, Blocked, reason.Suspended, "resume the tenant first: provisioningStatus: active in its tenant.yaml"},
	{ErrNoWayBack, Failed, reason.NoWayBack, "deploy the earlier revision from git instead"},
	{apply.ErrNewerJournal, Blocked, reason.NewerJournal, "run the newer reconciler"},
	{apply.ErrProof, Failed, reason.ProofFailed, "nothing was run; report the plan and the schema as a bug of the reconciler"},
	{apply.ErrGuard, Failed, reason.GuardFailed, "nothing was committed; look for a trigger or a writer that interferes"},
	{apply.ErrUnfilled, Failed, reason.Backfilling, "nothing: the rows are filled again"},
	{apply.ErrDamaged, Failed, reason.Backfilling, "nothing: the rows are filled again"},
	{apply.ErrStale, Failed, reason.StalePlan, "somebody else changes the schema; it is tried again"},
	{database.ErrConstraint, Blocked, reason.ConstraintFailed, "correct the rows that break the constraint"},
	{database.ErrAway, Failed, reason.ServerAway, "it is tried again; see whether the server runs, can be reached and has the database"},
	{database.ErrBusy, Failed, reason.Busy, "another process holds the database; it is tried again"},
	{database.ErrCorrupt, Failed, reason.Corrupt, "restore the file from a backup"},
	{database.ErrNotADB, Failed, reason.Corrupt, "restore the file from a backup"},
	{apply.ErrRestless, Failed, reason.SnapshotFailed, "let whoever writes to the database all the time pause; it is tried again"},
	{
		apply.ErrSnapshot, Failed, reason.SnapshotFailed,
		"make room for it, and let the reconciler's user write to the snapshots directory; without a snapshot nothing is deployed; a rollback has --no-snapshot",
	},
	{database.ErrPermission, Failed, reason.PermissionDenied, "let the reconciler's user read and write the file and its directory"},
	{database.ErrReadOnly, Failed, reason.PermissionDenied, "let the reconciler's user read and write the file and its directory"},
	{database.ErrFull, Failed, reason.DiskFull, "make room on the volume"},
	{
		database.ErrMissing, Failed, reason.Missing,
		"bring the database back, since it is not created again by itself; where it is lost, \"reconciler tenant provision TENANT --recreate\" makes an empty one",
	},
	{
		apply.ErrEmptyJournal, Failed, reason.JournalMissing,
		"bring back the database that it had; where that is lost, drop _reconciler_journal and _reconciler_meta, " +
			"and run \"reconciler tenant take TENANT\", which lets this one be deployed to as it is",
	},
	{
		ErrNoJournal, Failed, reason.JournalMissing,
		"bring back the database that it had; where that is lost, \"reconciler tenant take TENANT\" lets this one be deployed to as it is",
	},
}

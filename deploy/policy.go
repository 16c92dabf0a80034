package deploy

import (
	"fmt"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
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

// Reason is the word for programs.
func (e *PolicyError) Reason() string {
	if e.Rule == "approve" {
		return reason.AwaitingApproval
	}
	return reason.PolicyDenied
}

// Next is the next step, for people.
func (e *PolicyError) Next() string {
	if e.Rule == "approve" {
		return fmt.Sprintf("run \"reconciler approve %.12s\"", e.Digest)
	}
	return fmt.Sprintf("take the change back, or change policy.%s in fleet.yaml", e.Class)
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

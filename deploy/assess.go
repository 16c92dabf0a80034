package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Action is what a pass would do, or did, to a tenant.
type Action string

// The actions of a plan.
const (
	Create  Action = "create" // a new database
	Update  Action = "update"
	None    Action = "none"
	Blocked Action = "blocked"
	Failed  Action = "error"
)

// Assessment is what a look at one tenant found.
type Assessment struct {
	Action   Action
	Class    string     // plan class
	Plan     *plan.Plan // nil when there is none
	Findings []apply.Finding
	Checked  bool                 // the plan's pre-checks were asked, and Findings are all that they found
	Quotas   []tenantrouter.Check // that the plan adds to
	Estimate time.Duration        // for how long the plan keeps writers waiting; zero where there is none
	Staged   bool                 // it goes in stages, of which the last keeps them so long
	// Differences are in what the database is not what its last deployment
	// left. They are not looked for where the policy is to ignore them.
	Differences []Difference
	// Drift tells that they are all that there is to do. Without it a newer
	// bundle or policy waits as well, whose plan puts them right by the way.
	Drift   bool
	Reason  string // why Action is blocked or error, one CamelCase word
	Message string
	Next    string
	Err     error
	Beyond  error // of a plan that waits for an approval: what it would be Blocked by then; nil for nothing

	seen   apply.Reading
	waives func(plan.PreCheck) bool
	whole  *plan.Plan // of which Plan is the swap; nil when it is not one
	guess  bool       // seen was not read from the database
}

// ErrNoJournal says that a database is not the one that was deployed to, or was
// emptied: by a program that opened a file which was not there, by a copy that
// failed. To fill it would hide the loss.
var ErrNoJournal = errors.New("the database has no journal, though the tenant was deployed to")

// Assess says what a deployment would do. It writes nothing to the tenant.
func (d *Deployer) Assess(ctx context.Context, conn database.Conn, r Request) Assessment {
	a := Assessment{Action: None}
	r.store = d.store
	conn = database.Ahead(conn, readings()...)
	var err error
	if a.seen, err = apply.Read(ctx, conn); err != nil {
		return a.failed(err)
	}
	if a.seen.Record.Last == nil && r.Deployed {
		return a.failed(ErrNoJournal)
	}
	if a.seen.Record.Last != nil {
		if a.seen.Record.Owner != r.Owner {
			return a.failed(fmt.Errorf("%w: it is tenant %q of fleet %q (%s)", apply.ErrOwnedElsewhere,
				a.seen.Record.Owner.Tenant, a.seen.Record.Owner.Fleet, a.seen.Record.Owner.Environment))
		}
		if r.overtaken(a.seen.Record) {
			return a.failed(fmt.Errorf("%w: another deployment came first", apply.ErrStale))
		}
		if since := a.seen.Record.Suspended; since != "" && !r.Resumes {
			return a.failed(fmt.Errorf("%w since %s", apply.ErrSuspended, since))
		}
		if a.settled(r) && r.back != nil {
			return a // a rollback drops nothing: it has no retention to go by
		}
	}
	edits, same, err := d.lookForDrift(ctx, conn, r, &a)
	switch {
	case err != nil:
		return a.failed(err)
	case same && r.Policy.Drift == driftIgnore && !a.settled(r), same && len(a.Differences) == 0 && (r.kept || r.unverified(a.seen.Record)):
		return a // nothing is dropped before it is known whether there is a way back to go
	case same && len(a.Differences) == 0:
		return d.assessPurge(ctx, conn, r, a)
	case same && r.Policy.Drift != driftHeal:
		return a.drifted()
	}
	situation := situation{conn: conn, master: a.seen.Master, record: a.seen.Record, desired: r.Desired, policy: r.Policy.Plan}
	if r.Policy.Drift == driftHeal {
		situation.edits = edits
	}
	a.Plan, a.Class, err = d.planner.plan(ctx, situation)
	if err != nil {
		return a.failed(err)
	}
	if a.same(r) && a.Plan.Empty() {
		return a
	}
	return d.judge(ctx, conn, r, a)
}

// Foresee makes the plan that a deployment is going to need, unless it is there
// already or the deployment was quicker, and says nothing of it.
func (d *Deployer) Foresee(ctx context.Context, conn database.Conn, r Request) {
	seen, err := apply.Read(ctx, conn)
	if err != nil || seen.Record.Last == nil || seen.Record.Owner != r.Owner || r.Policy.Drift == driftHeal {
		return
	}
	if a := (Assessment{seen: seen}); a.same(r) {
		return
	}
	_, _, _ = d.planner.plan(ctx, situation{conn: conn, master: seen.Master, record: seen.Record, desired: r.Desired, policy: r.Policy.Plan})
}

// judge holds the plan against the policy, and against the tenant's quotas and
// rows.
//
// Rows are looked at for a plan that waits for an approval as well, so that who
// approves it knows what it would lose.
func (d *Deployer) judge(ctx context.Context, conn database.Conn, r Request, a Assessment) Assessment {
	if err := a.hold(ctx, conn, r, d.now()); err != nil {
		return a.failed(err)
	}
	refused := r.permit(a.Plan)
	if refused != nil && !awaits(refused) {
		return a.failed(refused)
	}
	asked := a.Plan
	if swap := a.Plan.Swap(); swap != nil && a.seen.Master.Filling {
		asked = swap // the others are asked of each row that is filled
	}
	var err error
	if a.Findings, err = apply.Check(ctx, conn, asked); err != nil {
		return a.failed(err)
	}
	a.Checked = true
	asking, others := r.parted(a.Findings)
	if len(asking) > 0 {
		refused = withFindings(refused, a.Plan, asking)
	}
	waiting, beyond := r.approved(ctx, refused), a.beyond(ctx, conn, r, others)
	switch {
	case awaits(waiting):
		a = a.failed(waiting)
		a.Beyond = beyond
		return a
	case waiting != nil:
		return a.failed(waiting)
	case beyond != nil:
		return a.failed(beyond)
	}
	a.waives = func(c plan.PreCheck) bool {
		rule := r.rule(c)
		return rule == "allow" || rule == "approve" && len(asking) > 0
	}
	a.Action = Update
	if a.seen.Master.Empty() && a.seen.Record.Last == nil {
		a.Action = Create
	}
	return a
}

// beyond is what stands in the way of a plan that may run: its seed data, rows,
// or how long it would take.
func (a *Assessment) beyond(ctx context.Context, conn database.Conn, r Request, rows []apply.Finding) error {
	if issues := plan.Refusals(a.Plan.SeedIssues); issues != nil && a.Plan.SeedMode != apply.SeedSkip {
		return &apply.SeedError{Issues: issues}
	}
	if len(rows) > 0 {
		return &apply.BlockedError{Findings: rows}
	}
	return a.way(ctx, conn, r)
}

// settled tells that nothing is to do: the newest journal row has the desired
// bundle and policy, and the schema is the one that it left.
func (a *Assessment) settled(r Request) bool {
	return a.same(r) && a.seen.Record.Last.To == a.seen.Master.Fingerprint()
}

// same tells that the newest journal row has the desired bundle, apps and policy.
func (a *Assessment) same(r Request) bool {
	last := a.seen.Record.Last
	return last != nil && last.Bundle == r.Desired.Digest && a.seen.Record.Policy == r.Policy.Plan.text() && !r.appsDiffer(a.seen.Record)
}

// lookForDrift sets a.Differences and a.Drift, and tells whether what is
// desired is what was deployed last. Where something newer waits, not knowing
// what was deployed before keeps nobody from deploying it.
func (d *Deployer) lookForDrift(ctx context.Context, conn database.Conn, r Request, a *Assessment) (edits []edit, same bool, err error) {
	if a.seen.Record.Last == nil || r.back != nil {
		return nil, false, nil
	}
	if same = a.same(r); r.Policy.Drift == driftIgnore || r.Untouched {
		return nil, same, nil
	}
	a.Differences, edits, err = d.drift(ctx, conn, a.seen, r.Desired)
	if err != nil && !same {
		d.log.Debug("drift not known", logErr, err)
		err = nil
	}
	a.Drift = same && len(a.Differences) > 0
	return edits, same, err
}

// The reactions to drift, as fleet.yaml has them.
const (
	driftHeal   = "heal"
	driftIgnore = "ignore"
)

// Suspended tells that the database has the mark of a suspended tenant.
func (a Assessment) Suspended() bool { return a.seen.Record.Suspended != "" }

// Newest is the deployment that the tenant's journal has as the last one, empty
// without any. State may not know of it yet, after a crash.
func (a Assessment) Newest() string {
	if a.seen.Record.Last == nil {
		return ""
	}
	return a.seen.Record.Last.Deployment
}

func (a Assessment) drifted() Assessment {
	a.Reason = reason.Drift
	a.Message = "the database is not what the last deployment left: " + Words(a.Differences)
	a.Next = "set drift: heal in fleet.yaml or tenant.yaml to put it right, or change the bundle to match"
	return a
}

// Fail is the assessment of a tenant that an error kept from being looked at.
func Fail(err error) Assessment { return Assessment{}.failed(err) }

// For names the tenant in the next step: who makes an error does not always
// know whose it is, and says TENANT.
func (a Assessment) For(tenant protocol.TenantID) Assessment {
	a.Next = strings.ReplaceAll(a.Next, " TENANT", " "+string(tenant))
	return a
}

func (a Assessment) failed(err error) Assessment {
	a.Err = err
	a.Action, a.Reason, a.Next = classify(err)
	a.Message = err.Error()
	if a.Drift {
		a.Message = "drift (" + Words(a.Differences) + ") cannot be put right: " + a.Message
	}
	return a
}

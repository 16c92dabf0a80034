// Package reconcile makes every tenant's database equal to git, once or for as
// long as its context lives. It is level-triggered: what git has and what the
// tenants' journals say decides; events only wake it.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Config is what a Reconciler works with.
type Config struct {
	Repo   *gitrepo.Repo
	Store  *state.Store
	Router *tenantrouter.Router
	// Databases says on which server databases are made of tenants that name none;
	// without Server they are files. Secrets keeps their tokens.
	Databases provision.Databases
	Secrets   secret.Keeper

	By   deploy.Doer   // who the events of deployments name
	Poll time.Duration // between looks at the repository; default 60s
	// Look is the time between looks at the databases of tenants that git wants
	// nothing new of, for drift; default 5m, at least Poll.
	Look time.Duration
	// Slice is for how long the tables of a tenant are filled in one pass of Run,
	// for a plan that would lock them too long: the tenant has a worker for
	// itself meanwhile, and those who do not take so long come first. Default 5s.
	Slice time.Duration
	// MaxConcurrent bounds how many tenants are worked on at a time, below
	// what fleet.yaml says; 0 leaves it at that.
	MaxConcurrent int
	// Snapshots is where databases are copied to before rows are put at stake,
	// as fleet.yaml says; the zero value keeps no copies.
	Snapshots deploy.Snapshots
	Now       func() time.Time
	Log       *slog.Logger
	// OnRead is told how many tenants a pass has chosen, before the first one.
	// May be nil.
	OnRead func(tenants int)
	// OnTenant is told of each tenant as its work ends. Calls do not overlap.
	// May be nil.
	OnTenant func(Tenant)
	// OnChange is told of each tenant whose connections, status or quotas are
	// not what they were, so that who has them cached forgets them. Calls may
	// overlap. May be nil.
	OnChange func(protocol.TenantID)
	// OnPass is told of each pass of Run. May be nil.
	OnPass func(Report, error)
	// OnFetch is told by Run of each look at the repository. May be nil.
	OnFetch func(state.Source)
	// ReadOnly keeps state as it is: for Plan beside a running daemon.
	ReadOnly bool
	// Observe makes passes plan, look for drift and record what they saw, and
	// write to no tenant's database, nor make one.
	Observe bool
	// AcceptRewrite lets Run begin on a branch that has left the commit of the
	// last pass behind. Once a pass has followed it, the next one that does is
	// refused again.
	AcceptRewrite bool
}

// Reconciler carries a fleet. Its methods must not overlap, but for Notice,
// Wake, SnapshotPolicy and Approval.
type Reconciler struct {
	Config
	deployer    *deploy.Deployer
	cache       *bundle.Cache
	retries     retries
	life        *provision.Service
	recorded    recorded
	head        string // revision that state has the fleet at
	last        quiet
	loaded      loaded
	located     located       // as a pass has looked them up
	source      *state.Source // what is known of the repository; nil before it was read
	sourceSaved time.Time     // FetchedAt of source, as state has it
	nextEnd     time.Time     // when the first tenant that is being removed is due

	noticed   chan struct{} // has an element when Run is to make a pass
	woken     chan struct{} // the same, with nothing to hurry for
	reading   sync.Mutex
	holds     atomic.Pointer[holds]         // as they were read last
	rollout   atomic.Pointer[state.Rollout] // the newest one, as it was read last
	placed    placed
	wake      time.Time                             // when a pass is due because of the rollout; zero for never
	snapshots atomic.Pointer[deploy.SnapshotPolicy] // of the fleet.yaml that was read last
	approval  atomic.Pointer[config.Approval]       // of the same

	clock      clock
	warned     string      // the commit whose removals were said to wait
	waking     func() bool // something waits for the pass under way to end
	authorship authorship
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Poll == 0 {
		c.Poll = 60 * time.Second
	}
	if c.Look == 0 {
		c.Look = 5 * time.Minute
	}
	if c.Slice == 0 {
		c.Slice = 5 * time.Second
	}
	r := &Reconciler{
		Config:   c,
		deployer: deploy.New(deploy.Config{Store: c.Store, ReadOnly: c.ReadOnly, By: c.By, Snapshots: c.Snapshots, Now: c.Now, Log: c.Log}),
		cache:    bundle.NewCache(),
		retries:  retries{now: c.Now},
		noticed:  make(chan struct{}, 1),
		woken:    make(chan struct{}, 1),
	}
	r.life = newLife(r)
	return r
}

// placed are the tenants of a rollout, which stay as they are.
type placed struct {
	id     int
	places []state.RolloutTenant
}

// Selection narrows a pass.
type Selection struct {
	Revision string              // empty for the head of the configured ref
	Tenants  []protocol.TenantID // empty for all
	// AcceptRewrite lets the branch have left the commit of the last pass
	// behind, as after a force push.
	AcceptRewrite bool
}

// Report is what a pass did, tenants in order of id.
type Report struct {
	Revision gitrepo.Commit // that the pass was for; zero where it came to none
	Status   state.Operation
	Faults   []bundle.Fault // of the fleet as a whole
	Tenants  []Tenant
	// Waiting is what was left undone until somebody confirms it; nil for
	// nothing.
	Waiting *Removal
}

// Tenant is what a pass did to, or would do to, one tenant.
type Tenant struct {
	ID     protocol.TenantID
	Plan   string // the tenant's plan: free, pro, enterprise
	Result deploy.Result
	Sync   state.Sync
	Health state.Health
	Faults []bundle.Fault
	// Estimate is how long the plan would keep writers waiting, from Plan and
	// where there is one.
	Estimate time.Duration
	Rows     int64 // that the plan's statements read or write, like Estimate

	gone       bool   // there is nothing left of it to observe
	unchanged  bool   // nothing was looked at but git and the file's stamp
	remembered bool   // not even that: it is as it was seen last
	postponed  bool   // remembered, because the pass had something better to do
	saved      bool   // its row is written
	input      string // input digest after this pass
	bundle     string // digest of the desired bundle; empty for one that is not valid
	target     string // of bundle and policy, as package fleet has it; empty like bundle
}

// Problem tells that the tenant is not what git wants and needs somebody.
func (t Tenant) Problem() bool { return t.Health.Problem() }

// Interrupted tells that the work on the tenant was stopped half-way. It has found
// out nothing.
func (t Tenant) Interrupted() bool { return t.Sync == state.Unknown && t.Health == state.Progressing }

// Waiting tells that the tenant failed before and that its turn has not come:
// the pass says what is known of it.
func (t Tenant) Waiting() bool { return t.unchanged && t.Problem() }

// Sync brings the fleet to a revision, as far as its rollout may go now: wave
// after wave, up to one that waits for something. Tenants that are named do not
// wait. It returns when all whose turn it was have been tried. Its error is one
// of the whole pass; what went wrong with a tenant is in the report.
func (r *Reconciler) Sync(ctx context.Context, s Selection) (Report, error) {
	return r.pass(ctx, s, nil)
}

// Plan says what Sync would do and writes to no tenant.
func (r *Reconciler) Plan(ctx context.Context, s Selection) (Report, error) {
	f, err := r.read(ctx, s)
	if err != nil {
		return Report{Revision: f.commit, Status: state.Failed}, err
	}
	if err := errors.Join(r.warnOfRewrite(ctx, f, s), r.recall(ctx, &f)); err != nil {
		return Report{Revision: f.commit, Status: state.Failed}, err
	}
	report, err := r.each(ctx, queue{reading: f, tenants: f.tenants, limit: r.workers(f.loaded.Config.Rollout), work: r.planTenant})
	leaving, wrong := r.planRemovals(ctx, f, s)
	report.Tenants = append(report.Tenants, leaving...)
	report.finish()
	return report, errors.Join(err, wrong)
}

// PlanTenant says what Sync would do to one tenant of a fleet that was loaded
// from somewhere else than the repository, such as a change that is not
// committed. It writes to no tenant.
func (r *Reconciler) PlanTenant(ctx context.Context, commit gitrepo.Commit, loaded *bundle.Fleet, id protocol.TenantID) (Tenant, error) {
	f := reading{commit: commit, loaded: loaded}
	f.shared, _ = r.shared(loaded.Tenants, located{})
	if err := r.lookUp(ctx, &f); err != nil {
		return Tenant{}, err
	}
	chosen, err := selected(loaded.Tenants, []protocol.TenantID{id})
	if err != nil {
		return Tenant{}, err
	}
	return r.planTenant(ctx, f, chosen[0]), ctx.Err()
}

// failedPass records a pass that came to no tenant. Its report says which commit
// it was for, as far as that is known; in state the fleet stays at the last one.
func (r *Reconciler) failedPass(ctx context.Context, started time.Time, last string, report Report, err error) (Report, error) {
	report.Status = state.Failed
	recorded := report
	recorded.Revision = gitrepo.Commit{Hash: last}
	return report, errors.Join(err, r.savePass(ctx, started, recorded, err))
}

func (report *Report) finish() {
	slices.SortFunc(report.Tenants, func(a, b Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	report.Status = state.Succeeded
	for _, t := range report.Tenants {
		if t.Problem() || t.Interrupted() || t.Result.Action == Waits || t.Result.Action == deploy.Backfill {
			report.Status = state.Partial
		}
	}
}

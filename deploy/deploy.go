// Package deploy brings one tenant's database to one bundle: read, compare,
// plan, prove, apply, record. It is the only path by which a plan reaches a
// tenant.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/memo"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Config is what a Deployer works with.
type Config struct {
	Store    *state.Store // nil: plans are kept in memory alone, and nothing is deployed
	ReadOnly bool         // plans are read from Store and not added to it
	By       Doer         // who the events of deployments name
	// Snapshots is where copies of databases are kept that a Request asks for;
	// the zero value keeps none.
	Snapshots Snapshots
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default: nothing
}

// Deployer plans and runs deployments. It is used by many goroutines at once,
// each with a tenant of its own.
type Deployer struct {
	store   *state.Store
	by      Doer
	now     func() time.Time
	log     *slog.Logger
	planner planner
	bundles bundles
	keeper  keeper
	backlog backlog
	ends    apply.Ends
	alike   memo.Map[look] // by likeness
	turns   turns
}

// New returns a Deployer.
func New(c Config) *Deployer {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Deployer{
		store: c.Store, by: c.By, now: c.Now, log: c.Log,
		planner: planner{store: c.Store, readOnly: c.ReadOnly}, bundles: bundles{store: c.Store},
		keeper: keeper{Snapshots: c.Snapshots, log: c.Log}, backlog: backlog{store: c.Store},
	}
}

// Request asks for one tenant to be brought to one bundle.
type Request struct {
	Owner    apply.Owner
	Desired  *bundle.Desired
	Policy   Policy
	Revision string // full commit
	Author   string
	Email    string
	Subject  string
	Reverts  string // the commit that Revision says to revert
	// Authors are who wrote what Revision brings, where that is not its author
	// alone, as of a merge; nil where it is.
	Authors func(context.Context) ([]Person, error)
	Rollout int // that the deployment belongs to; 0 for none
	// LastDeployment is the tenant's newest deployment that state is known to
	// have as ready; empty makes the Deployer ask.
	LastDeployment string
	// Known is what state says of the database. Where that is enough it is not
	// looked at before its plan is sent, see Deployer.guess.
	Known Known
	// Snapshots says whether the database is copied before a plan that puts its
	// rows at stake.
	Snapshots SnapshotPolicy
	// Quotas limit what the deployment may make of the tenant. They have no part
	// in its plan.
	Quotas tenantrouter.Quotas
	Apps   AppRequest
	// Untouched says that nobody has written to the database since it was looked
	// at and found as its last deployment left it.
	Untouched bool
	// Fresh says that the database was created for this request.
	Fresh bool
	// Deployed says that the tenant was deployed to before, so that a database
	// without a journal is not the one that it had.
	Deployed bool
	// Resumes says that the database's mark of a suspended tenant is taken away
	// before anything is deployed, and is in nobody's way.
	Resumes bool
	// MaxLock is how long the plan may keep writers waiting. One that would take
	// longer goes in stages, or not at all.
	MaxLock MaxLock
	// Slice is for how long a stage of such a plan may go on before the result
	// is a Backfill; 0 until it is done.
	Slice time.Duration

	back   *rollback    // set for a rollback
	reason string       // of a rollback: why
	kept   bool         // set by Kept: nothing is purged
	store  *state.Store // that approvals are read from; set by Assess
}

// Policy says which plans may run.
type Policy struct {
	Plan    PlanPolicy
	Classes map[string]string // class → allow, approve or deny
	Drift   string            // report (also when empty), heal or ignore
	// NotByAuthor makes the approval of who wrote the change not count.
	NotByAuthor bool
	// RollBack takes a deployment back by itself after which a query of
	// Desired.Verify gives rows.
	RollBack bool
	// Retention is how long what was retired is kept before it is purged.
	Retention time.Duration
}

// Result is what a deployment did to one tenant.
type Result struct {
	Assessment
	DeploymentID string // empty when nothing was tried
	Statements   int
	Seeded       int
	SeedIssues   []plan.SeedIssue
	Duration     time.Duration
	Changed      bool      // a deployment was committed
	Revision     string    // of a rollback: the commit that the tenant is at now
	PurgeAt      time.Time // when the first thing that is retired is due; zero without any
	Fingerprint  string
	// RolledBack says that the deployment was committed, failed its
	// verification and was taken back. Then DeploymentID, Revision and Plan are
	// those of the rollback, and Err tells of both.
	RolledBack bool
}

// Alone is apply.Reading.Alone since the database was looked at.
func (r Result) Alone(ctx context.Context, conn database.Conn, stamp func() error) (bool, error) {
	return r.seen.Alone(ctx, conn, stamp)
}

// Forget drops what the deployment saw of the database but for Newest: only
// Alone needs it, it is tens of kilobytes, and a pass keeps the results of a
// whole fleet.
func (r *Result) Forget() { r.seen = apply.Reading{Record: apply.Record{Last: r.seen.Record.Last}} }

// Deploy assesses and, where there is something to do and nothing in the way,
// runs the plan. A plan that went stale between the two is made once more.
// Result.Err says why nothing was committed.
func (d *Deployer) Deploy(ctx context.Context, conn database.Conn, r Request) Result {
	start := d.now()
	likeness := ""
	if r.mayBeGuessed(conn) {
		likeness = r.likeness(r.Known)
	}
	looked := d.turns.take(ctx, likeness)
	defer looked()
	if a, ok := d.guess(conn, r, likeness); ok {
		if result := d.carryOut(ctx, conn, r, a, start); !errors.Is(result.Err, apply.ErrStale) {
			return result
		}
	}
	result := d.attempt(ctx, conn, r, looked)
	if errors.Is(result.Err, apply.ErrStale) || errors.Is(result.Err, apply.ErrUnfilled) {
		result = d.attempt(ctx, conn, r, looked)
	}
	return result
}

// attempt calls looked when the database has been looked at.
func (d *Deployer) attempt(ctx context.Context, conn database.Conn, r Request, looked func()) Result {
	start := d.now()
	a := d.Assess(ctx, conn, r)
	d.remember(conn, r, a)
	looked()
	return d.carryOut(ctx, conn, r, a, start)
}

// carryOut does what an assessment found: its plan runs, or no other.
func (d *Deployer) carryOut(ctx context.Context, conn database.Conn, r Request, a Assessment, start time.Time) Result {
	result := Result{Assessment: a}
	result.Fingerprint = result.seen.Master.Fingerprint()
	err := d.backlog.catchUp(context.WithoutCancel(ctx))
	if err == nil {
		err = d.follow(ctx, conn, r, result.seen.Record)
	}
	if err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	if !d.prepare(ctx, conn, r, &result) {
		return result
	}
	if result.Action == None {
		result.PurgeAt = d.purgeAt(r, result)
		return d.verifyAgain(ctx, conn, r, result)
	}
	record := d.begin(start, r, result)
	result.DeploymentID = record.ID
	if result.Err == nil {
		result = d.run(ctx, conn, r, result, &record)
	}
	if result.guess && errors.Is(result.Err, apply.ErrStale) {
		return result // nothing was tried yet
	}
	result = d.verifyNew(ctx, conn, r, result)
	result.PurgeAt = d.purgeAt(r, result)
	result.Duration = d.now().Sub(start)
	record.finish(result, d.now())
	event := d.by.event(record.Deployment, result.Assessment, r.back != nil)
	if r.reason != "" && event.Kind == state.EventRolledBack {
		event.Reason = r.reason
	}
	if err := d.backlog.save(context.WithoutCancel(ctx), record.Deployment, event); err != nil {
		result.Assessment = result.failed(fmt.Errorf("record deployment %s: %w", record.ID, err))
		return result
	}
	return d.takeBack(ctx, conn, r, result)
}

func (d *Deployer) run(ctx context.Context, conn database.Conn, r Request, result Result, record *attempt) Result {
	previous := ""
	if result.seen.Record.Last != nil {
		previous = result.seen.Record.Last.Bundle
	}
	if err := d.bundles.save(ctx, r.Desired); err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	apps, err := r.apps(result.seen.Record)
	if err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	snapshot, err := d.keeper.prepare(ctx, conn, r, result.Assessment, record.ID)
	if err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	defer func() {
		d.keeper.release(snapshot, r.Snapshots, protocol.TenantID(r.Owner.Tenant), result.Changed)
	}()
	copied, err := d.keeper.take(ctx, conn, snapshot)
	if err != nil {
		result.Assessment = result.failed(err)
		return result
	}
	outcome, err := apply.Run(ctx, conn, result.Plan, apply.Deployment{
		ID: record.ID, Owner: r.Owner, Revision: r.Revision, Author: r.Author, PreviousBundle: previous,
		At: record.StartedAt, Adopt: result.seen.Record.Last == nil, Seen: &result.seen, OnStatus: record.transition,
		Guessed: result.guess, Apps: apps, Undo: r.back.entries(), BackTo: r.back.name(), Snapshot: copied,
		Waives: result.waives, Unverified: r.back == nil && len(r.Desired.Verify) > 0, Watch: r.watch(result.Assessment), Ends: &d.ends,
	})
	if err != nil {
		err = errors.Join(d.damaged(ctx, conn, result.whole, err), d.keeper.discard(ctx, conn, snapshot, err))
		result.Assessment = result.failed(err)
		return result
	}
	result.Changed, result.Statements, result.Seeded = true, outcome.Statements, outcome.Seeded
	result.SeedIssues, record.StatementTimes = outcome.SeedIssues, outcome.StatementTimes
	result.Fingerprint = result.Plan.To
	return result
}

// follow records the newest journal row where state does not have it, or has
// it as one that failed: a crash between COMMIT and the row in state leaves
// the one, an answer to COMMIT that was lost the other.
func (d *Deployer) follow(ctx context.Context, conn database.Conn, r Request, record apply.Record) error {
	if record.Last == nil || record.Last.Deployment == r.LastDeployment {
		return nil
	}
	known, err := d.store.Deployment(ctx, record.Last.Deployment)
	recorded := known.Status == protocol.DeployReady || known.Reason == reason.VerifyFailed
	if err == nil && recorded || err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	journal, err := apply.Journal(ctx, conn)
	if err != nil {
		return err
	}
	found := FromJournal(protocol.TenantID(r.Owner.Tenant), journal[len(journal)-1])
	if r.Desired != nil && found.BundleDigest == r.Desired.Digest {
		found.Rollout = r.Rollout // it has what the rollout is about; nothing else could have given it that
	}
	return d.store.SaveDeployment(ctx, found, foundEvent(found))
}

// Follow records the newest deployment of a tenant's journal in the history
// that a process which died may have left without it. Every Deploy does so.
func (d *Deployer) Follow(ctx context.Context, conn database.Conn) error {
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return err
	}
	return d.follow(ctx, conn, Request{Owner: seen.Record.Owner}, seen.Record)
}

// newID returns a UUIDv7: ids of later deployments sort after earlier ones.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

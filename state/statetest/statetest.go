// Package statetest holds what every state store must do, as tests against
// its methods alone.
package statetest

import (
	"context"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Store is what Exercise calls. state.Store has these methods.
type Store interface {
	Close() error

	SaveDeployment(ctx context.Context, d state.Deployment, events ...state.Event) error
	Deployments(ctx context.Context, tenant protocol.TenantID, limit int) ([]state.Deployment, error)
	Deployment(ctx context.Context, id string) (state.Deployment, error)
	Unfinished(ctx context.Context) ([]state.Deployment, error)

	SaveObserved(ctx context.Context, observed ...state.Observed) error
	SaveFleet(ctx context.Context, revision string, observed ...state.Observed) error
	Observed(ctx context.Context) (map[protocol.TenantID]state.Observed, error)
	ObservedOf(ctx context.Context, tenant protocol.TenantID) (state.Observed, bool, error)

	Replace(ctx context.Context, tenant protocol.TenantID, committed []state.Deployment, o state.Observed) error

	SavePlan(ctx context.Context, p state.Plan) error
	Plan(ctx context.Context, digest string) (state.Plan, error)
	PlanByClass(ctx context.Context, class string) (state.Plan, error)
	SaveBundle(ctx context.Context, digest string, body []byte) error
	Bundle(ctx context.Context, digest string) ([]byte, error)

	SavePass(ctx context.Context, p state.Pass) error
	LastPass(ctx context.Context) (state.Pass, bool, error)

	SaveTags(ctx context.Context, commits map[string]string) error
	Tags(ctx context.Context) (map[string]string, error)

	AddEvent(ctx context.Context, e state.Event) error
	Events(ctx context.Context, q state.EventQuery) ([]state.Event, error)

	Approve(ctx context.Context, a state.Approval) error
	Approvals(ctx context.Context, plan string) ([]state.Approval, error)
	PlanDigest(ctx context.Context, prefix string) (string, error)

	SetHold(ctx context.Context, h state.Hold) error
	Holds(ctx context.Context) ([]state.Hold, error)
	EndHold(ctx context.Context, h state.Hold, e state.Event) (bool, error)

	StartRollout(ctx context.Context, r *state.Rollout, tenants []state.RolloutTenant, superseded *state.Rollout, events ...state.Event) error
	SaveRollout(ctx context.Context, r *state.Rollout, events ...state.Event) error
	Rollouts(ctx context.Context, n int) ([]state.Rollout, error)
	LastRollout(ctx context.Context) (state.Rollout, bool, error)
	Rollout(ctx context.Context, id int) (state.Rollout, error)
	RolloutTenants(ctx context.Context, id int) ([]state.RolloutTenant, error)
	RolloutDeployments(ctx context.Context, id int) ([]state.Deployment, error)

	Confirm(ctx context.Context, c state.Confirmation) error
	Confirmed(ctx context.Context, revision string) (state.Confirmation, bool, error)
	SaveTenants(ctx context.Context, tenants ...state.Tenant) error
	SaveLifecycle(ctx context.Context, tenant protocol.TenantID, l state.Lifecycle, events ...state.Event) error
	ForgetTenant(ctx context.Context, tenant protocol.TenantID, events ...state.Event) error
	Tenants(ctx context.Context) ([]state.Tenant, error)
	UnsettledTenants(ctx context.Context) ([]state.Tenant, error)
	Tenant(ctx context.Context, id protocol.TenantID) (state.Tenant, error)

	SaveBackup(ctx context.Context, b state.Backup, events ...state.Event) error
	Backups(ctx context.Context, tenant protocol.TenantID) ([]state.Backup, error)
	BackupsBefore(ctx context.Context, before time.Time) ([]state.Backup, error)

	SavePull(ctx context.Context, p state.Pull) error
	ForgetPull(ctx context.Context, project string, number int) error
	Pulls(ctx context.Context, project string) ([]state.Pull, error)

	SavePlacement(ctx context.Context, p state.Placement, events ...state.Event) error
	ForgetPlacement(ctx context.Context, tenant protocol.TenantID) error
	Placements(ctx context.Context) ([]state.Placement, error)
	Placement(ctx context.Context, tenant protocol.TenantID) (state.Placement, bool, error)
	SaveBranch(ctx context.Context, b state.Branch) error
	ForgetBranch(ctx context.Context, b state.Branch) error
	Branches(ctx context.Context) ([]state.Branch, error)

	SignUp(ctx context.Context, key string) (state.SignUp, bool, error)
	AddSignUp(ctx context.Context, u state.SignUp) error
}

// Open opens the store that belongs to dir: an empty one the first time, the
// same one after it was closed.
type Open func(ctx context.Context, dir string, o state.Options) (Store, error)

// Exercise runs the suite. Each test has a store of its own.
func Exercise(t *testing.T, open Open) {
	for _, part := range [][]exercise{
		lifeCycle, deployments, observed, replacements, bodies, records, events, holds, approvals, tenants, backups, placements, pulls, rollouts, sharing,
	} {
		for _, e := range part {
			t.Run(e.name, func(t *testing.T) {
				e.run(&fixture{T: t, open: open, dir: t.TempDir()})
			})
		}
	}
}

type exercise struct {
	name string
	run  func(*fixture)
}

// fixture is one test and where its store is.
type fixture struct {
	*testing.T
	open Open
	dir  string
}

// now is when a store of a test is, unless the test says otherwise.
var now = time.Date(2026, 3, 4, 5, 6, 7, int(8*time.Millisecond), time.UTC)

func (f *fixture) options() state.Options {
	return state.Options{Now: func() time.Time { return now }}
}

// store opens the fixture's store until the test ends.
func (f *fixture) store() Store {
	f.Helper()
	s, err := f.open(f.Context(), f.dir, f.options())
	f.must(err)
	f.Cleanup(func() { f.must(s.Close()) })
	return s
}

// reopened closes s and opens it again.
func (f *fixture) reopened(s Store) Store {
	f.Helper()
	f.must(s.Close())
	return f.store()
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

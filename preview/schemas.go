package preview

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// planSchemas plans the changed tenants against empty databases of base's
// schema: what there is to say without any database at hand.
func (r *run) planSchemas(ctx context.Context, changed []tenantID) error {
	s := &schemas{run: r, asks: reconcile.New(reconcile.Config{}), deployer: deploy.New(deploy.Config{Now: r.Reconcile.Now}), known: map[string]deploy.Assessment{}}
	g := newGroups(r)
	for _, id := range changed {
		is := find(r.after, id)
		t := reconcile.Tenant{ID: id, Faults: is.Faults}
		request, ok := s.request(is)
		if !ok {
			continue
		}
		a, err := s.assess(ctx, find(r.before, id), request)
		if err != nil {
			return err
		}
		a.Checked, a.Findings = false, nil // there are no rows to find
		if t.Result = (deploy.Result{Assessment: a}); a.Action == deploy.Blocked {
			t.Health = state.Blocked
		}
		g.add(t, request.Policy)
	}
	r.report.Plans, r.report.Stopped = g.groups(), g.stopped
	r.report.Tenants.Unchanged = g.unchanged
	r.waves(g)
	return nil
}

// schemas plans from one bundle to another, each pair once.
type schemas struct {
	*run
	asks     *reconcile.Reconciler
	deployer *deploy.Deployer
	known    map[string]deploy.Assessment
}

// request is what a pass would ask of a tenant, false where it would ask
// nothing: it is suspended, or broken, which its faults say.
func (s *schemas) request(t *bundle.Tenant) (deploy.Request, bool) {
	if t.Desired == nil || t.Spec.ProvisioningStatus == "suspended" {
		return deploy.Request{}, false
	}
	q := s.asks.RequestFor(reconcile.Ahead{Commit: s.head, Fleet: s.after}, t)
	q.Owner.Tenant, q.Untouched = "any", true
	return q, true
}

func (s *schemas) assess(ctx context.Context, was *bundle.Tenant, to deploy.Request) (deploy.Assessment, error) {
	var from *deploy.Request
	if was != nil {
		if q, ok := s.request(was); ok {
			q.Owner = to.Owner
			from = &q
		}
	}
	key := fmt.Sprintf("%s\x00%+v\x00%+v", to.Desired.Digest, to.Policy, to.Quotas)
	if from != nil {
		key += fmt.Sprintf("\x00%s\x00%+v", from.Desired.Digest, from.Policy)
	}
	if a, ok := s.known[key]; ok {
		return a, nil
	}
	a, err := s.plan(ctx, from, to)
	if err == nil {
		s.known[key] = a
	}
	return a, err
}

// plan deploys one bundle to a database in memory and plans the other one.
func (s *schemas) plan(ctx context.Context, from *deploy.Request, to deploy.Request) (a deploy.Assessment, err error) {
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if from != nil {
		from.Policy.Classes = nil
		base := s.deployer.Assess(ctx, conn, *from)
		if base.Plan == nil {
			return base, nil // the schema of base cannot be made, and base.Err says why
		}
		_, err := apply.Run(ctx, conn, base.Plan, apply.Deployment{
			ID: "00000000-0000-7000-8000-000000000000", Owner: from.Owner, Revision: s.base.Hash, At: s.Reconcile.Now(), Adopt: true,
			Waives: func(plan.PreCheck) bool { return true },
		})
		if err != nil {
			return deploy.Fail(err), nil
		}
	}
	return s.deployer.Assess(ctx, conn, to), nil
}

package preview

import (
	"context"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// planLive plans the changed tenants against their databases.
func (r *run) planLive(ctx context.Context, changed []tenantID) error {
	look := reconcile.New(r.Reconcile)
	ahead := reconcile.Ahead{Commit: r.head, Base: r.before, Fleet: r.after, Tenants: changed}
	report, err := look.PlanAhead(ctx, ahead)
	if err != nil {
		return err
	}
	g := newGroups(r)
	for _, t := range report.Tenants {
		g.add(t, look.RequestFor(ahead, find(r.after, t.ID)).Policy)
	}
	r.report.Plans, r.report.Stopped = g.groups(), g.stopped
	r.report.Tenants.Held, r.report.Tenants.Unchanged = g.held, g.unchanged
	r.waves(g)
	return r.rehearse(ctx, look, ahead)
}

// waves puts the tenants that get a plan into the waves that a rollout of the
// merge begins with.
func (r *run) waves(g *groups) {
	c := r.before.Config.Rollout
	waves := c.All()
	if len(waves) < 2 {
		return
	}
	var members []fleet.Tenant
	for _, id := range g.planned {
		if t := find(r.after, id); t != nil {
			members = append(members, fleet.Tenant{ID: id, Labels: t.Spec.Labels, Target: t.Desired.Digest})
		}
	}
	listed := make([]Wave, len(waves))
	for i, w := range waves {
		listed[i] = Wave{Name: w.Name, Rule: rule(w)}
	}
	for _, p := range fleet.Assign(c, members) {
		listed[p.Wave].Tenants = append(listed[p.Wave].Tenants, p.Tenant)
	}
	for _, w := range listed {
		if len(w.Tenants) > 0 {
			r.report.Waves = append(r.report.Waves, w)
		}
	}
}

// planned tells that a pass would deploy to the tenant, now or when what stands
// in the way is gone.
func planned(t reconcile.Tenant) bool {
	return t.Result.Plan != nil && (t.Result.Action == deploy.Create || t.Result.Action == deploy.Update || t.Health == state.Blocked)
}

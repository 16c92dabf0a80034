package reconcile

import (
	"context"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// foresee makes the plan of the first tenant of which a revision wants something
// else than the one before, while the pass finds out whose turn it is, which of
// 10,000 tenants takes as long. Who has the same plan finds it made; nothing else
// comes of it, and what goes wrong is told when the tenant's turn has come. The
// caller calls end before the pass ends.
func (r *Reconciler) foresee(ctx context.Context, f reading) (end func()) {
	t := r.foreseeable(f)
	if t == nil {
		return func() {}
	}
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil || at.Remote != "" {
		return func() {} // a server that hangs would keep the pass
	}
	request := r.request(f, t)
	// Once it is open nothing is stopped but by ctx: others may wait for the plan.
	opening, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { r.foreseeAt(ctx, opening, at, t.ID, request) })
	return func() {
		stop()
		work.Wait()
	}
}

// foreseeable is the tenant whose plan is made ahead, nil for none. The database
// of one that may have to wait is not opened.
func (r *Reconciler) foreseeable(f reading) *bundle.Tenant {
	waves := f.loaded.Config.Rollout.Waves
	if r.recorded.loaded == nil || len(waves) != 1 || waves[0].PauseBefore || len(f.loaded.Config.Windows) > 0 {
		return nil
	}
	t := firstMoved(r.recorded.loaded.Tenants, f.tenants)
	if t == nil || f.shared[t.ID] != nil || f.suspended(t) {
		return nil
	}
	if _, held := r.hold(t); held {
		return nil
	}
	return t
}

// foreseeAt makes the plan, unless the tenant is not simply active: git need not
// say yet that somebody has suspended it, or removes it.
func (r *Reconciler) foreseeAt(ctx, opening context.Context, at tenantrouter.Location, id protocol.TenantID, q deploy.Request) {
	known, err := r.Store.Tenant(ctx, id)
	if err != nil || known.Status != protocol.TenantActive || known.Pending != "" || !known.RemovedAt.IsZero() {
		return
	}
	conn, err := r.Router.OpenReadOnly(opening, at)
	if err != nil {
		return
	}
	defer conn.Close()
	r.deployer.Foresee(ctx, conn, q)
}

// firstMoved is the first tenant that wants another bundle than before. Both
// lists are by id.
func firstMoved(before, now []*bundle.Tenant) *bundle.Tenant {
	for _, t := range now {
		for len(before) > 0 && before[0].ID < t.ID {
			before = before[1:]
		}
		if len(before) > 0 && before[0].ID == t.ID && before[0] != t && t.Desired != nil &&
			before[0].Desired != nil && before[0].Desired.Digest != t.Desired.Digest {
			return t
		}
	}
	return nil
}

package reconcile

import (
	"context"

	"github.com/tenantops/reconciler/bundle"
)

// foresee makes the plan of the first tenant of which a revision wants something
// else than the one before, while the pass finds out whose turn it is, which of
// 10,000 tenants takes as long. Who has the same plan finds it made; nothing else
// comes of it, and what goes wrong is told when the tenant's turn has come. The
// pass waits for it at its end.
func (r *Reconciler) foresee(ctx context.Context, f reading) {
	waves := f.loaded.Config.Rollout.Waves
	if r.recorded.loaded == nil || len(waves) != 1 || waves[0].PauseBefore || len(f.loaded.Config.Windows) > 0 {
		return // the database of a tenant that may have to wait is not opened
	}
	t := firstMoved(r.recorded.loaded.Tenants, f.tenants)
	if t == nil || f.shared[t.ID] != nil || f.suspended(t) {
		return
	}
	if _, held := r.hold(t); held {
		return
	}
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil || at.Remote != "" {
		return // a server that hangs would keep the pass
	}
	request := r.request(f, t)
	r.foreseeing.Go(func() {
		conn, err := r.Router.OpenReadOnly(ctx, at)
		if err != nil {
			return
		}
		defer conn.Close()
		r.deployer.Foresee(ctx, conn, request)
	})
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

package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/state"
)

// queue is the work of one round: tenants, and what is done to each.
type queue struct {
	reading
	tenants []*bundle.Tenant
	limit   int // at a time
	work    func(context.Context, reading, *bundle.Tenant) Tenant
	// last tells which tenants come after all others, because they have failed
	// before: what they wait for keeps no worker from a healthy one. Nil for
	// none of them.
	last func(*bundle.Tenant) bool
	// hurry tells that there is something better to do than trying what has
	// failed before. Nil for never.
	hurry func() bool
}

// each works on tenants in parallel. One that fails does not stop the others;
// a cancelled context does, after the tenants under way.
func (r *Reconciler) each(ctx context.Context, q queue) (Report, error) {
	report := Report{Revision: q.commit, Faults: q.loaded.Faults}
	healthy, failing := q.tenants, []*bundle.Tenant(nil)
	if q.last != nil {
		healthy = nil
		for _, t := range q.tenants {
			if q.last(t) {
				failing = append(failing, t)
			} else {
				healthy = append(healthy, t)
			}
		}
	}
	never := func() bool { return false }
	report.Tenants = r.crew(ctx, q, healthy, never)
	if q.hurry == nil {
		q.hurry = never
	}
	report.Tenants = append(report.Tenants, r.crew(ctx, q, failing, q.hurry)...)
	if err := ctx.Err(); err != nil {
		report.Tenants = slices.DeleteFunc(report.Tenants, func(t Tenant) bool { return t.ID == "" })
		return report, fmt.Errorf("stopped before every tenant was done: %w", err)
	}
	return report, nil
}

// crew works on some tenants until all are done, or postponed.
func (r *Reconciler) crew(ctx context.Context, q queue, tenants []*bundle.Tenant, postpone func() bool) []Tenant {
	done := make([]Tenant, len(tenants))
	var told sync.Mutex
	var group errgroup.Group
	group.SetLimit(q.limit)
	for i, t := range tenants {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if postpone() {
				done[i] = remembered(q.reading, t)
				return nil
			}
			one := q.work(ctx, q.reading, t)
			done[i] = one
			if r.OnTenant != nil {
				told.Lock()
				defer told.Unlock()
				r.OnTenant(one)
			}
			return nil
		})
	}
	_ = group.Wait() // no worker returns an error
	return done
}

// workers is how many tenants are worked on at a time.
func (r *Reconciler) workers(rollout config.Rollout) int {
	n := max(1, rollout.MaxConcurrent)
	if r.MaxConcurrent > 0 {
		n = min(n, r.MaxConcurrent)
	}
	return n
}

// ailing tells that a tenant was in trouble when it was looked at last, or takes
// its time.
func (f reading) ailing(t *bundle.Tenant) bool {
	switch f.observed[t.ID].Health {
	case state.Degraded, state.Missing, state.Blocked:
		return true
	}
	return f.observed[t.ID].Reason == deploy.ReasonBackfilling
}

package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
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
	// settled tells which tenants are only looked at, because git wants nothing
	// else of them than before. Nil for none.
	settled func(*bundle.Tenant) bool
	// between is told what was done before they are looked at. May be nil.
	between func([]Tenant) error
	// hurry tells that there is something better to do than trying what has
	// failed before. Nil for never.
	hurry func() bool
}

// each works on tenants in parallel: first on those of which git may want
// something, then on those that settled only looks at, last on those that have
// failed before. One that fails does not stop the others; a cancelled context
// does, after the tenants under way.
func (r *Reconciler) each(ctx context.Context, q queue) (Report, error) {
	report := Report{Revision: q.commit, Faults: q.loaded.Faults}
	never := func() bool { return false }
	if q.hurry == nil {
		q.hurry = never
	}
	wanting, settled, failing := q.sorted()
	report.Tenants = make([]Tenant, len(wanting))
	r.crew(ctx, q, wanting, report.Tenants, never)
	if q.between != nil && ctx.Err() == nil {
		if err := q.between(report.Tenants); err != nil {
			return report, err
		}
	}
	// Room for all only now: it is 9 MB for 10,000, and nobody waits for them.
	report.Tenants = slices.Grow(report.Tenants, len(settled)+len(failing))[:len(q.tenants)]
	rest := report.Tenants[len(wanting):]
	r.crew(ctx, q, settled, rest[:len(settled)], never)
	r.crew(ctx, q, failing, rest[len(settled):], q.hurry)
	if err := ctx.Err(); err != nil {
		report.Tenants = slices.DeleteFunc(report.Tenants, func(t Tenant) bool { return t.ID == "" })
		return report, fmt.Errorf("stopped before every tenant was done: %w", err)
	}
	return report, nil
}

// sorted are the tenants by what is to be done with them, each in their order.
func (q queue) sorted() (wanting, settled, failing []*bundle.Tenant) {
	last, only := make([]bool, len(q.tenants)), make([]bool, len(q.tenants))
	inParallel(len(q.tenants), func(i int) {
		t := q.tenants[i]
		last[i] = q.last != nil && q.last(t)
		only[i] = !last[i] && q.settled != nil && q.settled(t)
	})
	for i, t := range q.tenants {
		switch {
		case last[i]:
			failing = append(failing, t)
		case only[i]:
			settled = append(settled, t)
		default:
			wanting = append(wanting, t)
		}
	}
	return wanting, settled, failing
}

// crew works on some tenants until all are done, or postponed, and puts what
// came of each in its place of done. Each worker takes the next one: most take
// microseconds.
func (r *Reconciler) crew(ctx context.Context, q queue, tenants []*bundle.Tenant, done []Tenant, postpone func() bool) {
	var told sync.Mutex
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(q.limit, len(tenants)) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(tenants)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if postpone() {
					done[i] = postponed(q.reading, tenants[i])
					continue
				}
				done[i] = q.work(ctx, q.reading, tenants[i])
				if r.OnTenant != nil {
					told.Lock()
					r.OnTenant(done[i])
					told.Unlock()
				}
			}
		})
	}
	group.Wait()
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
	row := f.observed.peek(t.ID)
	switch row.Health {
	case state.Degraded, state.Missing, state.Blocked:
		return true
	}
	return row.Reason == reason.Backfilling
}

// settled tells that a tenant follows the fleet, and that this revision wants
// the same of it as the one that it is at.
func (r *Reconciler) settled(f reading, t *bundle.Tenant) bool {
	row := f.observed.peek(t.ID)
	if !row.Follows || t.Desired == nil || f.shared[t.ID] != nil || f.suspended(t) || row.Target != f.gate.target(t.ID) {
		return false
	}
	_, held := r.hold(t)
	return !held
}

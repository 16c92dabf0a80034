package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// turns say which tenants of a pass are tried, in the daemon. The nil turns let
// every tenant be tried, and every wave that may begin follow in one pass.
type turns interface {
	due(revision string, t *bundle.Tenant) bool
}

// pass looks at the selected tenants once and does what is to be done.
func (r *Reconciler) pass(ctx context.Context, s Selection, due turns) (Report, error) {
	started := r.Now()
	r.last = quiet{}
	last, err := r.lastRevision(ctx)
	if err != nil {
		return Report{Status: state.Failed}, err
	}
	f, err := r.read(ctx, s)
	if errors.Is(err, bundle.ErrInvalid) {
		err = fmt.Errorf("commit %.12s: %w", f.commit.Hash, err)
	}
	if err == nil && s.Revision == "" {
		err = r.follows(ctx, f.commit.Hash, last, s.AcceptRewrite)
	}
	f.past, f.leapt = s.Revision != "", r.clockLeapt(started)
	if err == nil {
		defer r.foresee(ctx, f)()
		err = r.record(ctx, &f, s)
	}
	if err == nil && !r.Observe {
		err = r.guard(ctx, &f, s)
	}
	if err != nil {
		return r.failedPass(ctx, started, last, Report{Revision: f.commit, Waiting: f.waiting}, err)
	}
	if r.Observe {
		return r.observingPass(ctx, started, f, s, due)
	}
	if due != nil {
		f.slice = r.Slice
	}
	report, err := r.rounds(ctx, f, s, due)
	report.Tenants = append(report.Tenants, r.removals(ctx, f, s)...)
	report.Waiting = f.waiting
	report.finish()
	if !f.past && !f.leapt { // an old fleet.yaml does not say how long backups are kept now
		r.expire(ctx, f)
	}
	r.recover(ctx, f)
	err = errors.Join(err, r.observe(ctx, f, report.Tenants, err == nil && len(s.Tenants) == 0), r.saveTags(ctx, f, report), r.endHolds(ctx, report))
	if err == nil && len(s.Tenants) == 0 {
		err = r.look(ctx, f)
	}
	if slices.ContainsFunc(report.Tenants, func(t Tenant) bool { return t.Result.Reason == reason.Backfilling }) {
		r.wake = r.Now() // it goes on in the next pass, after all who do not take so long
	}
	switch {
	case err != nil:
		report.Status = state.Failed
	case len(s.Tenants) == 0 && s.Revision == "":
		r.rest(f)
	}
	return report, errors.Join(err, r.savePass(ctx, started, report, err))
}

// rounds tries the tenants whose turn it is, in the daemon once, so that a newer
// revision is seen between two waves, else until no wave may begin.
func (r *Reconciler) rounds(ctx context.Context, f reading, s Selection, due turns) (Report, error) {
	var all Report
	for tenants := f.tenants; ; {
		report, err := r.round(ctx, f, tenants, s, due)
		all = all.followedBy(report)
		if err != nil || len(s.Tenants) > 0 {
			return all, err
		}
		tenants, err = r.again(ctx, f, all)
		if err != nil || len(tenants) == 0 || due != nil || !report.passedAny() {
			return all, err
		}
	}
}

// round lets each of some tenants through the gate once.
func (r *Reconciler) round(ctx context.Context, f reading, tenants []*bundle.Tenant, s Selection, due turns) (Report, error) {
	c, err := r.course(ctx, f, s)
	if err != nil {
		return Report{Revision: f.commit}, err
	}
	f.gate = newGate(c, &r.rollout)
	f.gate.all = len(s.Tenants) > 0
	report, err := r.each(ctx, queue{
		reading: f, tenants: tenants, limit: f.gate.limit(r.workers(f.loaded.Config.Rollout)),
		work: func(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
			if due != nil && !due.due(f.commit.Hash, t) {
				return remembered(f, t)
			}
			done := r.syncTenant(ctx, f, t)
			f.gate.tried(done)
			return done
		},
		settled: func(t *bundle.Tenant) bool { return r.settled(f, t) },
		between: func(done []Tenant) error { return r.observe(ctx, f, done, len(s.Tenants) == 0) },
		last:    f.ailing, hurry: r.waking,
	})
	for _, t := range report.Tenants {
		if !t.unchanged {
			row := r.observed(f, t)
			f.seen[t.ID] = &row
		}
	}
	return report, err
}

// again says of the tenants that wait what is true after a round, and returns
// those that wait no more: the next wave may begin at once.
func (r *Reconciler) again(ctx context.Context, f reading, report Report) ([]*bundle.Tenant, error) {
	var next []*bundle.Tenant
	if !slices.ContainsFunc(report.Tenants, func(t Tenant) bool { return t.Result.Action == Waits }) {
		return nil, nil
	}
	after, err := r.decide(ctx, f, r.tenantsOf(f).tenants)
	if err != nil || after.Begins {
		return nil, err // what begins now is for the next pass
	}
	for i, t := range report.Tenants {
		if t.Result.Action != Waits {
			continue
		}
		if why := after.Waits(t.ID); why != nil {
			report.Tenants[i] = t.waits(*why, f.before(t.ID))
			continue
		}
		if one := f.tenant(t.ID); one != nil {
			next = append(next, one)
		}
	}
	return next, nil
}

// passedAny tells that the gate let a tenant through.
func (report Report) passedAny() bool {
	return slices.ContainsFunc(report.Tenants, func(t Tenant) bool { return t.Result.Action != Waits })
}

// followedBy is what two rounds of a pass did together: of a tenant, what the
// later one says.
func (report Report) followedBy(later Report) Report {
	if len(report.Tenants) == 0 {
		return later
	}
	at := make(map[protocol.TenantID]int, len(report.Tenants))
	for i, t := range report.Tenants {
		at[t.ID] = i
	}
	report.Revision, report.Faults = later.Revision, later.Faults
	for _, t := range later.Tenants {
		if i, ok := at[t.ID]; ok {
			report.Tenants[i] = t
		} else {
			report.Tenants = append(report.Tenants, t)
		}
	}
	return report
}

// course decides how the round goes. For tenants that somebody has named
// nothing is begun: they do not wait, and the fleet's next pass looks after the
// rollout.
func (r *Reconciler) course(ctx context.Context, f reading, s Selection) (c course, err error) {
	c = r.tenantsOf(f)
	if len(s.Tenants) > 0 {
		c.Decision, err = r.decide(ctx, f, c.tenants)
	} else {
		c.Decision, err = r.advance(ctx, f, c.tenants)
		r.wake = c.Wake
	}
	return c, err
}

// look records where the rollout is after a pass, and says when the next one is
// due on its account: at once where a wave may begin, which the tenants of this
// pass have made way for.
func (r *Reconciler) look(ctx context.Context, f reading) error {
	if len(f.seen) == 0 {
		return nil // it is where it was when the pass began
	}
	d, err := r.advance(ctx, f, r.tenantsOf(f).tenants)
	if err != nil {
		return err
	}
	r.wake = d.Wake
	if d.Due > 0 {
		r.wake = r.Now()
	}
	return nil
}

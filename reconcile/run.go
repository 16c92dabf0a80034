package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/tenantops/reconciler/internal/garbage"
)

// Run carries the fleet until ctx ends: a pass at once, then one each time the
// repository has something new (it is looked at when it moves, if it is watched, at
// each poll and each Wake), at each Notice, each Look, each time a failing tenant
// is due again, a wave may begin, and a hold ends. Tenants that have
// failed before come last in a pass, and wait for the next one when something
// else does. It returns after the work under way has ended, with nil when
// ctx was cancelled. A pass that fails as a whole changes nothing and is
// tried again at the next wake.
func (r *Reconciler) Run(ctx context.Context) error {
	moved, err := r.Repo.Watch(ctx)
	if err != nil {
		r.Log.Warn("repository not watched", logErr, err) // polling goes on
	}
	for asked := true; ctx.Err() == nil; {
		began := r.Now()
		r.waking = func() bool {
			return len(moved) > 0 || len(r.noticed) > 0 || len(r.woken) > 0 || r.Now().Sub(began) >= r.Poll
		}
		err := r.turn(ctx, asked)
		poll, due := jittered(r.Poll), r.untilDue()
		if err != nil {
			due = max(due, min(r.Poll, time.Second)) // what was due is due still
		}
		asked = due <= poll
		timer := time.NewTimer(min(poll, due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case _, open := <-moved:
			if !open {
				moved = nil // the repository is closing; the context ends next
			}
			asked = false
		case <-r.noticed:
			r.retries.hurry()
			asked = true
		case <-r.woken:
			asked = false
		case <-timer.C:
		}
		timer.Stop()
		// Whatever else has come is answered by the same pass. Left where it is
		// it would have that pass put off the tenants that failed before.
		select {
		case <-r.noticed:
			r.retries.hurry()
			asked = true
		default:
		}
		if len(moved) > 0 {
			<-moved
		}
		select {
		case <-r.woken:
		default:
		}
	}
	return nil // what woke it last came together with the end
}

// turn is a pass, and what follows one. Where nobody has asked for it and
// nothing is due it is a look at the repository alone, when that has nothing new.
func (r *Reconciler) turn(ctx context.Context, asked bool) error {
	started := r.Now()
	if err := r.fetch(ctx); err != nil {
		if ctx.Err() != nil {
			return err // nobody wants to know whether the repository answers
		}
		report, err := r.unfetched(ctx, started, err)
		r.passed(report, err)
		return err
	}
	if !asked && r.untilDue() > 0 && r.unchanged(ctx) {
		return nil
	}
	report, err := r.tick(ctx)
	r.passed(report, err)
	r.compact(ctx)
	r.tidy(ctx)
	return err
}

// tidy has the garbage of a pass collected where nothing else is to be done. In a
// fleet of 10,000 tenants it would else be collected in the middle of the next
// pass, which doubles what a commit takes until the tenant that it concerns has it.
func (r *Reconciler) tidy(ctx context.Context) {
	if ctx.Err() == nil && r.untilDue() > 0 && (r.waking == nil || !r.waking()) {
		garbage.Collect()
	}
}

func (r *Reconciler) passed(report Report, err error) {
	if r.OnPass != nil {
		r.OnPass(report, err)
	}
}

// unfetched records a turn in which the repository could not be asked, so that
// a status tells of it.
func (r *Reconciler) unfetched(ctx context.Context, started time.Time, err error) (Report, error) {
	r.last = quiet{}
	last, unread := r.lastRevision(ctx)
	if unread != nil {
		return Report{}, errors.Join(err, unread)
	}
	return r.failedPass(ctx, started, last, Report{}, err)
}

// tick is one pass of the daemon. Tenants that failed wait for their turn,
// unless git has moved on.
func (r *Reconciler) tick(ctx context.Context) (Report, error) {
	r.wake = time.Time{}
	report, err := r.pass(ctx, Selection{AcceptRewrite: r.AcceptRewrite}, &r.retries)
	if err == nil {
		r.AcceptRewrite = false
		r.retries.update(report)
	}
	return report, err
}

// Names of what the log has.
const (
	logErr      = "err"
	logTenant   = "tenant"
	logRevision = "revision"
	logLast     = "last" // the revision that was deployed before
	logRollout  = "rollout"
	logReason   = "reason"
	logNext     = "next"
)

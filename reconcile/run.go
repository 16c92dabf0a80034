package reconcile

import (
	"context"
	"errors"
	"time"
)

// Run carries the fleet until ctx ends: a pass at once, then one at each
// movement of a watched repository, each poll, each Notice, each time a failing
// tenant is due again, a wave may begin, and a hold ends. Tenants that have
// failed before come last in a pass, and wait for the next one when something
// else does. It returns after the work under way has ended, with nil when
// ctx was cancelled. A pass that fails as a whole changes nothing and is
// tried again at the next wake.
func (r *Reconciler) Run(ctx context.Context) error {
	moved, err := r.Repo.Watch(ctx)
	if err != nil {
		r.Log.Warn("repository not watched", logErr, err) // polling goes on
	}
	for {
		began := r.Now()
		r.waking = func() bool {
			return len(moved) > 0 || len(r.noticed) > 0 || r.Now().Sub(began) >= r.Poll
		}
		report, err := r.tick(ctx)
		if r.OnPass != nil {
			r.OnPass(report, err)
		}
		wait := r.untilNext()
		if err != nil {
			wait = max(wait, min(r.Poll, time.Second)) // what was due is due still
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case _, open := <-moved:
			if !open {
				moved = nil // the repository is closing; the context ends next
			}
		case <-r.noticed:
			r.retries.hurry()
		case <-timer.C:
		}
		timer.Stop()
		// Whatever else has come is answered by the same pass. Left where it is
		// it would have that pass put off the tenants that failed before.
		select {
		case <-r.noticed:
			r.retries.hurry()
		default:
		}
		if len(moved) > 0 {
			<-moved
		}
	}
}

// tick is one pass of the daemon. Tenants that failed wait for their turn,
// unless git has moved on.
func (r *Reconciler) tick(ctx context.Context) (Report, error) {
	started := r.Now()
	r.wake = time.Time{}
	if _, err := r.Repo.Fetch(ctx); err != nil {
		if ctx.Err() != nil {
			return Report{}, err
		}
		last, unread := r.lastRevision(ctx)
		if unread != nil {
			return Report{}, errors.Join(err, unread)
		}
		return r.failedPass(ctx, started, last, err, nil) // so that a status tells of it
	}
	report, err := r.pass(ctx, Selection{AcceptRewrite: r.AcceptRewrite}, &r.retries)
	if err == nil {
		r.AcceptRewrite = false
		r.retries.update(report)
	}
	return report, err
}

func (r *Reconciler) untilNext() time.Duration {
	wait := r.Poll
	if next, ok := r.retries.next(); ok {
		wait = min(wait, max(0, next.Sub(r.Now())))
	}
	if !r.nextEnd.IsZero() {
		wait = min(wait, max(0, r.nextEnd.Sub(r.Now())))
	}
	if next, ok := r.nextExpiry(); ok {
		wait = min(wait, max(0, next.Sub(r.Now())))
	}
	if !r.wake.IsZero() {
		wait = min(wait, max(0, r.wake.Sub(r.Now())))
	}
	return wait
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

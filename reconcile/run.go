package reconcile

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// Run carries the fleet until ctx ends: a pass at once, then one at each
// movement of a watched repository, each poll, each Notice and Wake, each time a failing
// tenant is due again and each time a hold ends. It returns after the work under way has ended, with nil when
// ctx was cancelled. A pass that fails as a whole changes nothing and is
// tried again at the next wake.
func (r *Reconciler) Run(ctx context.Context) error {
	moved, err := r.Repo.Watch(ctx)
	if err != nil {
		r.Log.Warn("repository not watched", logErr, err) // polling goes on
	}
	for {
		report, err := r.tick(ctx)
		if r.OnPass != nil {
			r.OnPass(report, err)
		}
		r.compact(ctx)
		timer := time.NewTimer(r.untilNext())
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
		case <-r.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// tick is one pass of the daemon. Tenants that failed wait for their turn,
// unless git has moved on.
func (r *Reconciler) tick(ctx context.Context) (Report, error) {
	started := r.Now()
	if err := r.fetch(ctx); err != nil {
		if ctx.Err() != nil {
			return Report{}, err
		}
		last, unread := r.lastRevision(ctx)
		if unread != nil {
			return Report{}, errors.Join(err, unread)
		}
		return r.failedPass(ctx, started, last, err) // so that a status tells of it
	}
	report, err := r.pass(ctx, Selection{AcceptRewrite: r.AcceptRewrite}, r.retries.due)
	if err == nil {
		r.AcceptRewrite = false
		r.retries.update(report)
	}
	return report, err
}

func (r *Reconciler) untilNext() time.Duration {
	wait := jittered(r.Poll)
	if next, ok := r.retries.next(); ok {
		wait = min(wait, max(0, next.Sub(r.Now())))
	}
	if !r.nextEnd.IsZero() {
		wait = min(wait, max(0, r.nextEnd.Sub(r.Now())))
	}
	if next, ok := r.nextExpiry(); ok {
		wait = min(wait, max(0, next.Sub(r.Now())))
	}
	return wait
}

// Names of what the log has.
const (
	logErr      = "err"
	logTenant   = "tenant"
	logRevision = "revision"
	logLast     = "last" // the revision that was deployed before
)

// Backoff of a failing tenant: doubled at each failure up to the cap, with a
// fifth of jitter so that tenants that failed together do not return together.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// retries remembers when a failing tenant may be tried again.
type retries struct {
	now      func() time.Time
	revision string
	waiting  map[protocol.TenantID]retry
}

type retry struct {
	failures int
	at       time.Time
	bundle   string // digest of what it should have had
}

// due tells whether a tenant may be tried now at a revision. What may be the
// cure makes it due at once: a new revision for every tenant, and for one whose
// bundle is another, or a valid one now, the tag of an app that has arrived.
func (r *retries) due(revision string, t *bundle.Tenant) bool {
	waiting, failing := r.waiting[t.ID]
	return revision != r.revision || !failing || waiting.bundle != digestOf(t) || !r.now().Before(waiting.at)
}

// digestOf is the digest of a tenant's bundle, empty without a valid one.
func digestOf(t *bundle.Tenant) string {
	if t.Desired == nil {
		return ""
	}
	return t.Desired.Digest
}

func (r *retries) update(report Report) {
	if r.waiting == nil || r.revision != report.Revision.Hash {
		r.waiting, r.revision = map[protocol.TenantID]retry{}, report.Revision.Hash
	}
	for _, t := range report.Tenants {
		if !t.Problem() {
			delete(r.waiting, t.ID)
		}
		if !t.Problem() || t.unchanged {
			continue
		}
		w := r.waiting[t.ID]
		wait := min(lastRetry, firstRetry<<min(w.failures, 20))
		wait += time.Duration(rand.Int64N(int64(wait)/5 + 1))
		r.waiting[t.ID] = retry{failures: w.failures + 1, at: r.now().Add(wait), bundle: t.bundle}
	}
}

// hurry makes every tenant due now: somebody has done something about one, and
// nobody knows here which.
func (r *retries) hurry() {
	for id, w := range r.waiting {
		w.at = r.now()
		r.waiting[id] = w
	}
}

func (r *retries) next() (time.Time, bool) {
	var first time.Time
	for _, w := range r.waiting {
		if first.IsZero() || w.at.Before(first) {
			first = w.at
		}
	}
	return first, !first.IsZero()
}

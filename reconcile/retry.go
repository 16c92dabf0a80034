package reconcile

import (
	"math/rand/v2"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
)

// retries remembers when a failing tenant may be tried again.
type retries struct {
	now      func() time.Time
	revision string
	waiting  map[protocol.TenantID]retry
}

type retry struct {
	failures int
	at       time.Time // zero for at once
	bundle   string    // digest of what it should have had
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
		again := t.Problem() || t.Interrupted()
		if !again {
			delete(r.waiting, t.ID)
		}
		if t.postponed {
			r.postpone(t)
		}
		if !again || t.unchanged {
			continue
		}
		w := r.waiting[t.ID]
		wait := fleet.Delay(fleet.DispositionOf(t.Result.Reason), w.failures+1, rand.Float64())
		r.waiting[t.ID] = retry{failures: w.failures + 1, at: r.now().Add(wait), bundle: t.bundle}
	}
}

// postpone leaves a tenant that may be tried now to the next pass, however
// little else that has to do. One whose turn has not come waits on.
func (r *retries) postpone(t Tenant) {
	w, failing := r.waiting[t.ID]
	if !t.Problem() || failing && w.bundle == t.bundle {
		return
	}
	r.waiting[t.ID] = retry{failures: w.failures, bundle: t.bundle}
}

// hurry makes every tenant due now: somebody has done something about one, and
// nobody knows here which.
func (r *retries) hurry() {
	for id, w := range r.waiting {
		w.at = r.now()
		r.waiting[id] = w
	}
}

func (r *retries) next() (first time.Time, any bool) {
	for _, w := range r.waiting {
		if !any || w.at.Before(first) {
			first, any = w.at, true
		}
	}
	return first, any
}

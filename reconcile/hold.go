package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Held is the action of a pass on a tenant that a hold keeps as it is.
const Held deploy.Action = "held"

// Notice makes what somebody changed in the store count: holds, and a rollout
// that is paused or ended, apply to every tenant that the pass under way has not come to, and Run makes another pass
// at once, in which failing and blocked tenants do not wait for their turn. It
// may be called at any time, by any goroutine.
func (r *Reconciler) Notice(ctx context.Context) error {
	if err := r.readHolds(ctx); err != nil {
		return err
	}
	if err := r.readRollout(ctx); err != nil {
		return err
	}
	select {
	case r.noticed <- struct{}{}:
	default: // a pass is due already
	}
	return nil
}

// readHolds reads all holds: once a pass, however many tenants there are.
func (r *Reconciler) readHolds(ctx context.Context) error {
	if r.Store == nil {
		return nil
	}
	// Only one at a time, or an older answer could replace a newer one.
	r.reading.Lock()
	defer r.reading.Unlock()
	list, err := r.Store.Holds(ctx)
	if err == nil {
		r.holds.Store(indexed(list))
	}
	return err
}

// holds are all there are, as they were read at one time. After the rollback
// of a rollout every tenant may have its own.
type holds struct {
	all, wide []state.Hold // wide: on more than one tenant
	of        map[protocol.TenantID][]state.Hold
}

func indexed(list []state.Hold) *holds {
	h := &holds{all: list, of: map[protocol.TenantID][]state.Hold{}}
	for _, one := range list {
		if one.Tenant == "" {
			h.wide = append(h.wide, one)
		} else {
			h.of[one.Tenant] = append(h.of[one.Tenant], one)
		}
	}
	return h
}

// currentHolds are the holds as they were read last.
func (r *Reconciler) currentHolds() []state.Hold {
	if h := r.holds.Load(); h != nil {
		return h.all
	}
	return nil
}

// holdsOn are those that may concern a tenant.
func (r *Reconciler) holdsOn(id protocol.TenantID) []state.Hold {
	h := r.holds.Load()
	if h == nil {
		return nil
	}
	own := h.of[id]
	return append(own[:len(own):len(own)], h.wide...)
}

// hold finds the hold that keeps a tenant from its desired bundle, the one
// that lasts longest among several.
func (r *Reconciler) hold(t *bundle.Tenant) (hold state.Hold, held bool) {
	return r.holdOn(t.ID, t.Spec.Labels, t.Desired.Digest)
}

// holdOn is hold for a tenant that git may not have; digest is empty then.
func (r *Reconciler) holdOn(tenant protocol.TenantID, labels map[string]string, digest string) (hold state.Hold, held bool) {
	for _, h := range r.holdsOn(tenant) {
		if h.Expired(r.Now()) || !h.Covers(tenant, labels, digest) {
			continue
		}
		if !held || !hold.Until.IsZero() && (h.Until.IsZero() || h.Until.After(hold.Until)) {
			hold, held = h, true
		}
	}
	return hold, held
}

// held is a tenant that a hold keeps as it is. Its database is not opened:
// what is known of it is what was seen last.
func (t Tenant) held(h state.Hold, row state.Observed) Tenant {
	t.Sync, t.Health = state.OutOfSync, state.Healthy
	if row.BundleDigest == t.bundle {
		t.Sync = row.Sync
		if row.Reason == reason.Held {
			t.Sync = state.Synced // it was held back from a bundle that git has left again
		}
	}
	t.Result.Action, t.Result.Reason = Held, reason.Held
	t.Result.Message = holdMessage(h)
	t.Result.Next = fmt.Sprintf("run \"reconciler release %s\" to let it go on", ReleaseArgument(h))
	t.unchanged = row.Reason == reason.Held && row.Message == t.Result.Message && row.Sync == t.Sync && row.Health == t.Health
	return t
}

func holdMessage(h state.Hold) string {
	text := fmt.Sprintf("%s holds %s since %s", h.Owner, h.Target(), h.SetAt.UTC().Format(time.RFC3339))
	if h.Bundle != "" {
		text = fmt.Sprintf("%s holds bundle %.12s back from %s since %s", h.Owner, h.Bundle, h.Target(), h.SetAt.UTC().Format(time.RFC3339))
	}
	if !h.Until.IsZero() {
		text += " until " + h.Until.UTC().Format(time.RFC3339)
	}
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}

// ReleaseArgument is what "reconciler release" is called with to end a hold.
func ReleaseArgument(h state.Hold) string {
	switch {
	case h.Tenant != "":
		return string(h.Tenant)
	case h.Labels != "":
		return "--match " + h.Labels
	}
	return "--all"
}

// endHolds ends the holds that are over: those that have expired, and those
// that held back one bundle from a tenant that has got another.
func (r *Reconciler) endHolds(ctx context.Context, report Report) error {
	holds := r.currentHolds()
	if len(holds) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	now := make(map[protocol.TenantID]*Tenant, len(report.Tenants))
	for i := range report.Tenants {
		now[report.Tenants[i].ID] = &report.Tenants[i]
	}
	for _, h := range holds {
		e := state.Event{Actor: "reconciler", Via: r.By.Via}
		switch {
		case h.Expired(r.Now()):
			e.Kind, e.Reason = state.EventHoldExpired, h.Reason
		case h.Bundle != "" && overtaken(h, now[h.Tenant]):
			e.Kind, e.Reason = state.EventReleased, "git asks for another bundle, which the tenant has now"
		default:
			continue
		}
		if _, err := r.Store.EndHold(ctx, h, e); err != nil {
			return err
		}
	}
	return nil
}

// overtaken tells that the tenant of a hold has, after this pass, what git asks
// for, and that it is another bundle than the one held back.
func overtaken(h state.Hold, t *Tenant) bool {
	return t != nil && t.Sync == state.Synced && t.bundle != "" && t.bundle != h.Bundle
}

// nextExpiry is when a pass is due because a hold has ended by itself. One that
// ended in the pass before is due for another: it was still in the way of the
// tenants that came early.
func (r *Reconciler) nextExpiry() (next time.Time, ok bool) {
	soon := r.Now().Add(time.Second) // no faster, should the store be full or away
	for _, h := range r.currentHolds() {
		at := h.Until
		if at.IsZero() {
			continue
		}
		if at.Before(soon) {
			at = soon
		}
		if !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok
}

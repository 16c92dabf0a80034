package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
)

// leaves says what becomes of a tenant that is being removed, or is about to be.
func (t *Tenant) leaves(f reading, known state.Tenant, keep keeping) {
	is, begun := "the tenant is being removed: its database is read-only", !known.RemovedAt.IsZero()
	if !begun {
		is, known.RemovedAt = "the tenant is removed: its database becomes read-only", f.now
	}
	at := provision.DestroyAt(known, f.loaded.Config).UTC().Format(time.RFC3339)
	t.Result.Reason, t.Result.Next = reason.Removed, "put its directory back to keep it"
	t.Result.Message = is + ", and destroyed after " + at
	if known.Spec.ConnectionConfig != nil {
		t.Result.Message = is + ", and left where it is, as its tenant.yaml named it; the tenant is forgotten after " + at
	}
	switch {
	case known.Spec.LegalHold != nil:
		t.Result.Reason = reason.LegalHold
		t.Result.Message = "the tenant is removed, and a legal hold keeps its database: " + known.Spec.LegalHold.Reason
		t.Result.Next = "put its directory back without legalHold, and remove it again, when the hold is over"
	case known.Awaits(state.PendingRemoval):
		t.Result.Message += ", once git no longer has it"
		t.Result.Next = "remove its directory from git, or see why the daemon cannot commit that"
	case keep.why != "":
		t.Result.Message, t.Result.Next = keep.why, keep.next
	}
}

// removalWaits tells that a removal goes no further however long it lasts.
func removalWaits(known state.Tenant, keep keeping) bool {
	return keep.why != "" || known.Spec.LegalHold != nil || known.Awaits(state.PendingRemoval)
}

// planRemovals says what a pass would do about tenants that git no longer has.
func (r *Reconciler) planRemovals(ctx context.Context, f reading, s Selection) ([]Tenant, error) {
	var report []Tenant
	for _, id := range removed(f, s) {
		known, err := state.Tenant{}, error(state.ErrNotFound)
		if s.Revision == "" && r.Store != nil { // somebody looks back otherwise
			known, err = r.Store.Tenant(ctx, id)
		}
		switch {
		case errors.Is(err, state.ErrNotFound) || err == nil && known.Revision == "":
			report = append(report, r.removed(f, id))
		case err != nil:
			return nil, err
		default:
			f.records[id] = known
		}
	}
	if len(s.Tenants) > 0 || s.Revision != "" || r.Store == nil {
		return report, nil
	}
	waiting, err := r.accident(ctx, f)
	if err != nil {
		return nil, err
	}
	for _, known := range f.going() {
		if h, held := r.holdOn(known.ID, known.Spec.Labels, ""); held {
			report = append(report, r.heldHere(f, known, h))
			continue
		}
		if known.RemovedAt.IsZero() && waiting != nil {
			report = append(report, r.kept(f, known, waiting.Waiting))
			continue
		}
		keep := r.inUse(ctx, f, known)
		t := Tenant{ID: known.ID, Plan: string(known.Spec.Plan), Sync: state.OutOfSync, Health: state.Suspended}
		if !known.RemovedAt.IsZero() && (removalWaits(known, keep) || f.now.Before(provision.DestroyAt(known, f.loaded.Config))) {
			t.Sync = state.Synced // all is done that is due
		}
		t.Result.Action = Remove
		t.leaves(f, known, keep)
		report = append(report, t)
	}
	return report, nil
}

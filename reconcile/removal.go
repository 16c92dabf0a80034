package reconcile

import (
	"context"
	"errors"
	"fmt"
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

// keeping is why the database of a removed tenant must stay, and the next step;
// zero for no reason.
type keeping struct{ why, next string }

// keeps says why the database of a tenant must stay that could be destroyed now
// otherwise: what the pass has read, and by which clock, may not be so any more.
func (r *Reconciler) keeps(ctx context.Context, f reading, known state.Tenant) keeping {
	keep := r.inUse(ctx, f, known)
	switch {
	case keep.why != "" || !r.isOver(f, known):
	case f.leapt:
		keep = keeping{
			"the tenant is removed, and its database is kept: the clock was set forward, and a day is left to see whether it is right",
			"correct the clock if it is wrong; restart the daemon if it is right",
		}
	case r.overtaken(ctx, f):
		keep = keeping{
			"the tenant is removed, and its database is kept: the branch has moved since this pass has read it, or is not to be read, and may have the tenant again",
			"nothing: the next pass looks again",
		}
	}
	return keep
}

// inUse says that a tenant in git has come to the database of one that git no
// longer has: it was renamed. That may be so of one, too, that was never read as it
// is broken.
func (r *Reconciler) inUse(ctx context.Context, f reading, known state.Tenant) keeping {
	at, err := r.Router.Locate(known.ID, known.Spec.ConnectionConfig)
	if err != nil {
		return keeping{}
	}
	own := r.Router.Identity(at)
	var doubt keeping
	for _, t := range f.loaded.Tenants {
		connection := t.Spec.ConnectionConfig
		if t.Desired == nil && t.ID != known.ID && connection == nil {
			before, err := r.Store.Tenant(ctx, t.ID)
			if connection = before.Spec.ConnectionConfig; err != nil {
				doubt = keeping{
					fmt.Sprintf("the tenant is removed, and its database is kept: %s is broken, and may be the tenant under another name", t.Dir),
					"correct " + t.Dir,
				}
			}
		}
		if t.ID == known.ID || connection == nil {
			continue
		}
		if other, err := r.Router.Locate(t.ID, connection); err == nil && r.Router.Identity(other) == own {
			return keeping{
				fmt.Sprintf("the tenant is removed, and its database is kept: tenant %q has it in git", t.ID),
				"give that tenant a database of its own, or run \"reconciler tenant take\" for it",
			}
		}
	}
	return doubt
}

// isOver tells that the time of grace of a tenant is over, which may begin now.
func (r *Reconciler) isOver(f reading, known state.Tenant) bool {
	now := r.Now()
	if known.RemovedAt.IsZero() {
		known.RemovedAt = now
	}
	return !now.Before(provision.DestroyAt(known, f.loaded.Config))
}

// overtaken tells that the branch has moved since the pass has read it, or cannot
// say whether it has: a pass may take long, and what it destroys is gone.
func (r *Reconciler) overtaken(ctx context.Context, f reading) bool {
	head, err := r.Repo.Resolve(ctx, "")
	return err != nil || head.Hash != f.commit.Hash
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
		if !known.RemovedAt.IsZero() && (removalWaits(known, keep) || !r.isOver(f, known)) {
			t.Sync = state.Synced // all is done that is due
		}
		t.Result.Action = Remove
		t.leaves(f, known, keep)
		report = append(report, t)
	}
	return report, nil
}

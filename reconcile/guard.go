package reconcile

import (
	"context"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
)

// Removal is what a commit would take away, and why that waits.
type Removal struct {
	Revision string // full commit
	fleet.Waiting
}

// guard holds back what the revision would remove, where it looks like an
// accident.
func (r *Reconciler) guard(ctx context.Context, f *reading, s Selection) error {
	if len(s.Tenants) > 0 || s.Revision != "" {
		return nil // nothing is removed then
	}
	why, err := r.accident(ctx, *f)
	if err != nil || why == nil {
		return err
	}
	f.waiting = why
	r.recorded = recorded{} // they are to be seen by the next pass too
	if r.warned != f.commit.Hash {
		r.warned = f.commit.Hash
		r.Log.Warn("removals wait", logReason, why.Message, logNext, why.Next)
	}
	return nil
}

// accident is why removals wait that look like one, nil where none do.
func (r *Reconciler) accident(ctx context.Context, f reading) (*Removal, error) {
	var gone []protocol.TenantID
	for _, known := range f.going() {
		if _, held := r.holdOn(known.ID, known.Spec.Labels, ""); known.RemovedAt.IsZero() && !held {
			gone = append(gone, known.ID)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	confirmation, _, err := r.Store.Confirmed(ctx, f.commit.Hash)
	if err != nil {
		return nil, err
	}
	why := fleet.Guard(f.loaded.Config.DeletionGuard, fleet.Removal{
		Revision: f.commit.Hash, Left: len(f.loaded.Tenants), Tenants: gone, Confirmed: confirmation.Revision,
	})
	if why == nil {
		return nil, nil
	}
	return &Removal{f.commit.Hash, *why}, nil
}

// emptied decides about a commit without any tenant: nothing is done on account
// of it, which is what refused says, unless somebody has confirmed it.
func (r *Reconciler) emptied(ctx context.Context, f *reading, s Selection, refused error) error {
	if r.ReadOnly || len(s.Tenants) > 0 {
		return refused
	}
	if err := r.record(ctx, f, s); err != nil {
		return err
	}
	if err := r.guard(ctx, f, s); err != nil {
		return err
	}
	if f.waiting != nil {
		return refused
	}
	return nil
}

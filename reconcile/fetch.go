package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/state"
)

// fetch brings what the repository has, and records when it answered. While it
// does not, the commit fetched before stands and the pass goes on with it:
// failing tenants are tried again, drift is seen. An error is one that no
// earlier commit makes up for.
func (r *Reconciler) fetch(ctx context.Context) error {
	source, err := r.sourceBefore(ctx)
	if err != nil {
		return err
	}
	before := source
	head, failure := r.Repo.Fetch(ctx)
	switch {
	case failure == nil:
		source.Revision, source.FetchedAt = head.Hash, r.Now()
		source.AwaySince, source.Error = time.Time{}, ""
	case ctx.Err() != nil:
		return failure
	default:
		if source.AwaySince.IsZero() {
			source.AwaySince = r.Now()
		}
		source.Error = failure.Error()
	}
	r.source = &source
	if err := r.saveSource(context.WithoutCancel(ctx), before); err != nil {
		return errors.Join(failure, err)
	}
	if r.OnFetch != nil {
		r.OnFetch(source)
	}
	if failure != nil && away(failure) && source.Revision != "" {
		return nil
	}
	return failure
}

// sourceBefore is what was known of the repository before this look.
func (r *Reconciler) sourceBefore(ctx context.Context) (state.Source, error) {
	if r.source != nil {
		return *r.source, nil
	}
	source, err := r.Store.Source(ctx)
	r.sourceSaved = source.FetchedAt
	return source, err
}

// sourceAge is how old the time of the last look in state may be: a poll that
// finds nothing new does not write.
const sourceAge = 5 * time.Minute

// saveSource records the last look at the repository, when it is not as the one
// before or state has an old one.
func (r *Reconciler) saveSource(ctx context.Context, before state.Source) error {
	now := *r.source
	before.FetchedAt = now.FetchedAt
	if before == now && now.FetchedAt.Sub(r.sourceSaved) < sourceAge {
		return nil
	}
	err := r.Store.SaveSource(ctx, now)
	if err == nil {
		r.sourceSaved = now.FetchedAt
	} else {
		r.source = nil
	}
	return err
}

// away tells an error of a host that does not answer, or lets nobody in, from
// one of what it answers: a branch that is gone is a matter of the fleet.
func away(err error) bool {
	return errors.Is(err, gitrepo.ErrUnreachable) || errors.Is(err, gitrepo.ErrAuth) || errors.Is(err, gitrepo.ErrNoRepository)
}

// compact keeps the clone small. What goes wrong is tried again after the next
// pass, and holds up nothing.
func (r *Reconciler) compact(ctx context.Context) {
	packed, err := r.Repo.Compact(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		r.Log.Warn("clone not compacted", logErr, err)
	case packed > 0:
		r.Log.Info("clone compacted", logObjects, packed)
	}
}

const logObjects = "objects"

package reconcile

import (
	"context"
	"errors"
	"fmt"
)

// RewrittenError says that a branch no longer has the commit that the fleet
// was last brought to among its ancestors. Nothing is deployed.
type RewrittenError struct{ Last, Head string }

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("history was rewritten: %.12s, the revision deployed last, is no ancestor of %.12s; nothing is deployed"+
		" (push a commit that descends from it, or accept it once: `reconciler sync --accept-rewrite`,"+
		" or a daemon started with `reconciler run --accept-rewrite`)", e.Last, e.Head)
}

// warnOfRewrite tells whoever plans a branch that Sync would refuse it.
func (r *Reconciler) warnOfRewrite(ctx context.Context, f reading, s Selection) error {
	if r.Store == nil || s.Revision != "" {
		return nil
	}
	last, err := r.lastRevision(ctx)
	if err == nil {
		err = r.follows(ctx, f.commit.Hash, last, false)
	}
	var rewritten *RewrittenError
	if errors.As(err, &rewritten) {
		r.Log.Warn("sync would refuse this", logErr, err)
		return nil
	}
	return err
}

// follows refuses a head whose history does not have the last revision, unless
// a person has accepted that.
func (r *Reconciler) follows(ctx context.Context, head, last string, accept bool) error {
	if last == "" || last == head {
		return nil
	}
	descends, err := r.Repo.Descends(ctx, head, last)
	switch {
	case err != nil || descends:
		return err
	case accept:
		r.Log.Warn("rewritten history accepted", logRevision, head, logLast, last)
		return nil
	}
	return &RewrittenError{Last: last, Head: head}
}

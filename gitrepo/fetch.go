package gitrepo

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// Head is where the followed ref is.
type Head struct {
	Hash     string // full
	Previous string // of the Fetch before, of an earlier process too when the repository is remote; empty at first
	// Rewritten is true when Previous is no ancestor of Hash: the branch was
	// force-pushed, or the ref moved to another line of history.
	Rewritten bool
}

// Fetch brings a remote's branches, tags and the followed ref into the clone,
// and reads the followed ref; a local repository's ref is just read again.
// Refs that are gone from the remote go from the clone; objects stay, so an
// earlier commit remains readable after a force push.
//
// An error changes nothing. It matches ErrUnreachable (a passed deadline too),
// ErrAuth, ErrNoRepository, ErrEmpty, ErrNoRef or ErrCorrupt.
func (r *Repo) Fetch(ctx context.Context) (Head, error) {
	if r.at.remote != "" {
		if err := r.fetch(ctx, r.config.Ref); err != nil {
			return Head{}, r.failure(ctx, "fetch", err)
		}
	}
	head, err := r.advance(ctx)
	return head, r.failure(ctx, "fetch", err)
}

// advance reads the followed ref and compares it with the Fetch before.
func (r *Repo) advance(ctx context.Context) (Head, error) {
	if err := r.acquire(ctx); err != nil {
		return Head{}, err
	}
	defer r.release()
	c, err := r.find(r.refs, r.config.Ref)
	if err != nil {
		return Head{}, err
	}
	head := Head{Hash: c.Hash.String(), Previous: r.head}
	if r.head != "" {
		follows, err := r.objects.descends(ctx, c.Hash, plumbing.NewHash(r.head))
		if err != nil {
			return Head{}, err
		}
		head.Rewritten = !follows
	}
	r.head = head.Hash
	return head, nil
}

func (r *Repo) acquire(ctx context.Context) error {
	select {
	case r.fetching <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Repo) release() { <-r.fetching }

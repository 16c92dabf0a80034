package gitrepo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
)

// Descends reports whether the commit of a full hash has another one among
// its ancestors, or is it. An ancestor that is not in the repository, because
// it was never here or was collected after a force push, is none.
func (r *Repo) Descends(ctx context.Context, hash, ancestor string) (bool, error) {
	follows, err := r.objects.descends(ctx, plumbing.NewHash(hash), plumbing.NewHash(ancestor))
	return follows, r.failure(ctx, "compare", err)
}

// descends reports whether a commit has another one among its ancestors, or is
// it. Parents that a shallow clone lacks are taken for its beginning.
func (s *store) descends(ctx context.Context, from, ancestor plumbing.Hash) (bool, error) {
	seen := map[plumbing.Hash]bool{from: true}
	for queue := []plumbing.Hash{from}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if queue[0] == ancestor {
			return true, nil
		}
		c, err := s.commit(queue[0])
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, parent := range c.ParentHashes {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return false, nil
}

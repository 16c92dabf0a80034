package gitrepo

import (
	"context"
	"errors"
	"fmt"

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

// maxBetween is how many commits Between gives at most.
const maxBetween = 10_000

// Between are the commits that head has among its ancestors, itself included,
// and base has not, in no order to rely on. It is an error when there are more
// than 10,000 of them, or when one cannot be read, as in a shallow clone; there
// base is taken to begin where the clone does.
func (r *Repo) Between(ctx context.Context, base, head string) ([]Commit, error) {
	commits, err := r.objects.between(ctx, plumbing.NewHash(base), plumbing.NewHash(head))
	return commits, r.failure(ctx, "list the commits of a branch", err)
}

func (s *store) between(ctx context.Context, base, head plumbing.Hash) ([]Commit, error) {
	known := map[plumbing.Hash]bool{}
	err := s.walk(ctx, base, func(h plumbing.Hash) (parents []plumbing.Hash, err error) {
		known[h] = true
		c, err := s.commit(h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return c.ParentHashes, nil
	})
	if err != nil {
		return nil, err
	}
	var all []Commit
	err = s.walk(ctx, head, func(h plumbing.Hash) (parents []plumbing.Hash, err error) {
		if known[h] {
			return nil, nil
		}
		if len(all) == maxBetween {
			return nil, fmt.Errorf("the branch has more than %d commits", maxBetween)
		}
		c, err := s.commit(h)
		if err != nil {
			return nil, err
		}
		all = append(all, describe(c))
		return c.ParentHashes, nil
	})
	return all, err
}

// walk visits a commit and those that visit gives for it, each once.
func (*store) walk(ctx context.Context, from plumbing.Hash, visit func(plumbing.Hash) ([]plumbing.Hash, error)) error {
	seen := map[plumbing.Hash]bool{from: true}
	for queue := []plumbing.Hash{from}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		parents, err := visit(queue[0])
		if err != nil {
			return err
		}
		for _, parent := range parents {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return nil
}

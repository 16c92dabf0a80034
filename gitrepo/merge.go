package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ErrUnrelated says that two commits have no common ancestor, as far as the
// repository knows: a shallow clone lacks it.
var ErrUnrelated = errors.New("the commits have no common ancestor")

// Merged is what merging one commit into another would give. Nothing of it is
// written to the repository.
type Merged struct {
	Base, Head Commit
	// Tree is the result, nil where there are conflicts.
	Tree *Tree
	// Conflicts are the paths that both sides changed in ways that do not go
	// together, in byte order.
	Conflicts []string
}

// Merge says what merging head into base would give; both are full hashes.
// forge is the full hash of the merge that a forge has made of the two, which is
// taken when its parents are these, in this order; empty for none.
//
// Where one side has nothing new the other one is the result. Otherwise git
// merges, where a git of version 2.38 or newer is on PATH, and else a comparison
// of trees does, which follows no rename and for which a file that both sides
// changed is a conflict. Errors match ErrNoRef for a commit that is not there and
// ErrUnrelated.
func (r *Repo) Merge(ctx context.Context, base, head, forge string) (Merged, error) {
	m, err := r.merge(ctx, base, head, forge)
	return m, r.failure(ctx, fmt.Sprintf("merge %.12s into %.12s of", head, base), err)
}

func (r *Repo) merge(ctx context.Context, base, head, forge string) (m Merged, err error) {
	ours, err := r.exact(base)
	if err != nil {
		return m, err
	}
	theirs, err := r.exact(head)
	if err != nil {
		return m, err
	}
	m = Merged{Base: describe(ours), Head: describe(theirs)}
	if found, err := r.merged(ours, theirs, forge); found != nil || err != nil {
		if err == nil {
			m.Tree, err = r.treeAt(found, found.TreeHash, r.objects)
		}
		return m, err
	}
	from, err := r.objects.forks(ctx, ours.Hash, theirs.Hash)
	if err != nil {
		return m, err
	}
	switch {
	case slices.Contains(from, ours.Hash):
		m.Tree, err = r.treeAt(theirs, theirs.TreeHash, r.objects)
		return m, err
	case slices.Contains(from, theirs.Hash):
		m.Tree, err = r.treeAt(ours, ours.TreeHash, r.objects)
		return m, err
	}
	into := newLayer(r.objects)
	root, conflicts, err := r.mergeTree(ctx, base, head, into)
	if errors.Is(err, errNoMergeTree) {
		root, conflicts, err = threeWay(ctx, from, ours, theirs, into)
	}
	if err != nil || len(conflicts) > 0 {
		m.Conflicts = conflicts
		return m, err
	}
	m.Tree, err = r.treeAt(theirs, root, into)
	return m, err
}

// merged is the forge's merge commit, nil where it is not one of these two.
func (r *Repo) merged(ours, theirs *object.Commit, forge string) (*object.Commit, error) {
	if forge == "" {
		return nil, nil
	}
	c, err := r.exact(forge)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(c.ParentHashes, []plumbing.Hash{ours.Hash, theirs.Hash}) {
		return nil, nil // of an earlier base or head: forges make it anew a while later
	}
	return c, nil
}

// treeAt is a tree with the time of a commit.
func (r *Repo) treeAt(c *object.Commit, root plumbing.Hash, from reader) (*Tree, error) {
	t := &Tree{repo: r, objects: from, time: c.Committer.When.UTC(), dirs: map[plumbing.Hash][]object.TreeEntry{}}
	t.root = object.TreeEntry{Name: ".", Mode: filemode.Dir, Hash: root}
	_, err := t.entries(t.root)
	return t, err
}

// forks are the best common ancestors of two commits: those that are no
// ancestor of another one.
func (s *store) forks(ctx context.Context, a, b plumbing.Hash) ([]plumbing.Hash, error) {
	of, err := s.ancestors(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	var common []plumbing.Hash
	if _, err := s.ancestors(ctx, b, func(h plumbing.Hash) bool {
		if of[h] {
			common = append(common, h)
		}
		return of[h]
	}); err != nil {
		return nil, err
	}
	if len(common) == 0 {
		return nil, fmt.Errorf("%w: fetch the whole history (a shallow clone lacks it: fetch-depth: 0, or git fetch --unshallow)", ErrUnrelated)
	}
	var best []plumbing.Hash
	for _, h := range common {
		older := false
		for _, other := range common {
			if other != h && !older {
				if older, err = s.descends(ctx, other, h); err != nil {
					return nil, err
				}
			}
		}
		if !older {
			best = append(best, h)
		}
	}
	return best, nil
}

// ancestors are a commit and those before it, but for what is before one at
// which stop is true.
func (s *store) ancestors(ctx context.Context, from plumbing.Hash, stop func(plumbing.Hash) bool) (map[plumbing.Hash]bool, error) {
	seen := map[plumbing.Hash]bool{from: true}
	for queue := []plumbing.Hash{from}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if stop != nil && stop(queue[0]) {
			continue
		}
		c, err := s.commit(queue[0])
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // the beginning of a shallow clone
		}
		if err != nil {
			return nil, err
		}
		for _, parent := range c.ParentHashes {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return seen, nil
}

package reconcile

import (
	"context"
	"fmt"
	"sync"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
)

// authorship remembers who wrote the commit that was asked about last: all
// tenants of a pass ask about one.
type authorship struct {
	mu     sync.Mutex
	of     string // full commit
	people []deploy.Person
}

// authors is how a deployment learns who wrote what a merge brings, nil for a
// commit that is none, whose author it has.
func (r *Reconciler) authors(c gitrepo.Commit) func(context.Context) ([]deploy.Person, error) {
	if len(c.Parents) < 2 {
		return nil
	}
	return func(ctx context.Context) ([]deploy.Person, error) {
		r.authorship.mu.Lock()
		defer r.authorship.mu.Unlock()
		if r.authorship.of == c.Hash {
			return r.authorship.people, nil
		}
		people, err := r.merged(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("read the authors of %.12s: %w", c.Hash, err)
		}
		r.authorship.of, r.authorship.people = c.Hash, people
		return people, nil
	}
}

// merged are the authors of the commits that a merge brings. Who merged is one
// of them when the merge has more in it than they have.
func (r *Reconciler) merged(ctx context.Context, c gitrepo.Commit) ([]deploy.Person, error) {
	commits, err := r.Repo.Between(ctx, c.Parents[0], c.Hash)
	if err != nil {
		return nil, err
	}
	pure, err := r.pure(ctx, c)
	if err != nil {
		return nil, err
	}
	var people []deploy.Person
	for _, one := range commits {
		if one.Hash != c.Hash || !pure {
			people = append(people, deploy.Person{Name: one.Author, Email: one.Email})
		}
	}
	return people, nil
}

// pure tells that a merge has what git makes of its two parents, and nothing
// of whoever merged.
func (r *Reconciler) pure(ctx context.Context, c gitrepo.Commit) (bool, error) {
	if len(c.Parents) != 2 {
		return false, nil
	}
	made, err := r.Repo.Merge(ctx, c.Parents[0], c.Parents[1], "")
	if err != nil || made.Tree == nil {
		return false, err
	}
	tree, err := r.Repo.Tree(ctx, c.Hash)
	if err != nil {
		return false, err
	}
	want, err := made.Tree.Hash(".")
	if err != nil {
		return false, err
	}
	got, err := tree.Hash(".")
	return got == want, err
}

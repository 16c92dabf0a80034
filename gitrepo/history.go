package gitrepo

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// Descends reports whether the commit of a full hash has another one among
// its ancestors, or is it. An ancestor that is not in the repository, because
// it was never here or was collected after a force push, is none.
func (r *Repo) Descends(ctx context.Context, hash, ancestor string) (bool, error) {
	follows, err := r.objects.descends(ctx, plumbing.NewHash(hash), plumbing.NewHash(ancestor))
	return follows, r.failure(ctx, "compare", err)
}

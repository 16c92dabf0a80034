package gitrepo

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Changed returns the paths of the files below under that were added, changed
// or removed between two commits, given by their full hashes. Paths are
// relative to the repository's root and in byte order; under is a directory
// or a file, "." the whole tree, and may be missing in either commit.
//
// Directories with equal hashes are not entered, so the cost follows what
// changed. A caller maps a path to what it belongs to by going up: the tenant
// of tenants/eu/acme/objects/x.yaml is the nearest directory above it that is
// a tenant's in either commit. Errors match ErrNoRef when a commit is not
// there any more; everything counts as changed then.
func (r *Repo) Changed(ctx context.Context, from, to, under string) ([]string, error) {
	c := comparison{ctx: ctx, objects: r.objects}
	err := c.run(r, from, to, under)
	if err != nil {
		return nil, r.failure(ctx, "compare "+from+" and "+to+" in", err)
	}
	slices.Sort(c.paths)
	return c.paths, nil
}

type comparison struct {
	ctx     context.Context
	objects *store
	paths   []string
}

func (c *comparison) run(r *Repo, from, to, under string) error {
	var sides [2]object.TreeEntry
	for i, hash := range []string{from, to} {
		tree, err := r.Tree(c.ctx, hash)
		if err != nil {
			return err
		}
		if sides[i], err = tree.find("compare", under); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return c.entries(under, sides[0], sides[1])
}

// entries compares what one name is on both sides; the zero entry is nothing.
func (c *comparison) entries(name string, from, to object.TreeEntry) error {
	if from.Mode == to.Mode && from.Hash == to.Hash {
		return nil
	}
	if isFile(from) || isFile(to) {
		c.paths = append(c.paths, name)
	}
	return c.trees(name, treeOf(from), treeOf(to))
}

// trees compares two directories name by name; the zero hash is an empty one.
func (c *comparison) trees(dir string, from, to plumbing.Hash) error {
	if from == to {
		return nil
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	old, err := c.objects.tree(from)
	if err != nil {
		return err
	}
	new, err := c.objects.tree(to)
	if err != nil {
		return err
	}
	for len(old) > 0 || len(new) > 0 {
		var a, b object.TreeEntry
		order := compareFirst(old, new)
		if order <= 0 {
			a, old = old[0], old[1:]
		}
		if order >= 0 {
			b, new = new[0], new[1:]
		}
		if err := c.entries(path.Join(dir, cmp.Or(a.Name, b.Name)), a, b); err != nil {
			return err
		}
	}
	return nil
}

// compareFirst orders two lists by their first names, an empty one last.
func compareFirst(a, b []object.TreeEntry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return cmp.Compare(a[0].Name, b[0].Name)
}

func isFile(e object.TreeEntry) bool { return e.Name != "" && e.Mode != filemode.Dir }

func treeOf(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Dir {
		return e.Hash
	}
	return plumbing.ZeroHash
}

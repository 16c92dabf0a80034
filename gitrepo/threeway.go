package gitrepo

import (
	"context"
	"errors"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// threeWay merges two commits by their trees: what one side alone changed is
// taken, and a file that both changed is a conflict.
func threeWay(ctx context.Context, from []plumbing.Hash, ours, theirs *object.Commit, into *layer) (plumbing.Hash, []string, error) {
	if len(from) != 1 {
		return plumbing.ZeroHash, nil, errors.New("the two sides have been merged into each other: to merge them again needs git 2.38 or newer on PATH")
	}
	ancestor, err := into.commit(from[0])
	if err != nil {
		return plumbing.ZeroHash, nil, err
	}
	m := treeMerge{ctx: ctx, layer: into}
	root, err := m.trees("", ancestor.TreeHash, ours.TreeHash, theirs.TreeHash)
	slices.Sort(m.conflicts)
	return root, m.conflicts, err
}

type treeMerge struct {
	*layer
	ctx       context.Context
	conflicts []string
}

// sides are what one name is in the ancestor and on both sides; the zero entry
// is nothing.
type sides struct{ before, ours, theirs object.TreeEntry }

// trees merges three directories; the zero hash is an empty one.
func (m *treeMerge) trees(dir string, before, ours, theirs plumbing.Hash) (plumbing.Hash, error) {
	switch {
	case before == ours, ours == theirs:
		return theirs, nil
	case before == theirs:
		return ours, nil
	}
	if err := m.ctx.Err(); err != nil {
		return ours, err
	}
	names, err := m.names(before, ours, theirs)
	if err != nil {
		return ours, err
	}
	var merged []object.TreeEntry
	for name, s := range names {
		e, err := m.entry(path.Join(dir, name), s)
		if err != nil {
			return ours, err
		}
		if e.Name = name; !e.Hash.IsZero() {
			merged = append(merged, e)
		}
	}
	if len(merged) == 0 {
		return plumbing.ZeroHash, nil
	}
	sort.Sort(object.TreeEntrySorter(merged))
	obj := &plumbing.MemoryObject{}
	if err := (&object.Tree{Entries: merged}).Encode(obj); err != nil {
		return ours, err
	}
	return m.add(obj)
}

func (m *treeMerge) names(before, ours, theirs plumbing.Hash) (map[string]sides, error) {
	names := map[string]sides{}
	for i, h := range []plumbing.Hash{before, ours, theirs} {
		entries, err := m.tree(h)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			s := names[e.Name]
			*[]*object.TreeEntry{&s.before, &s.ours, &s.theirs}[i] = e
			names[e.Name] = s
		}
	}
	return names, nil
}

func (m *treeMerge) entry(name string, s sides) (object.TreeEntry, error) {
	switch {
	case same(s.before, s.ours), same(s.ours, s.theirs):
		return s.theirs, nil
	case same(s.before, s.theirs):
		return s.ours, nil
	case isFile(s.before), isFile(s.ours), isFile(s.theirs):
		m.conflicts = append(m.conflicts, strings.ToValidUTF8(name, "\uFFFD"))
		return s.ours, nil
	}
	h, err := m.trees(name, treeOf(s.before), treeOf(s.ours), treeOf(s.theirs))
	return object.TreeEntry{Mode: filemode.Dir, Hash: h}, err
}

func same(a, b object.TreeEntry) bool { return a.Mode == b.Mode && a.Hash == b.Hash }

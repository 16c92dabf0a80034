package gitrepo

import (
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// reader is where a Tree has its objects from.
type reader interface {
	object(h plumbing.Hash, limit int64) (*plumbing.MemoryObject, error)
	size(plumbing.Hash) (int64, error)
	tree(plumbing.Hash) ([]object.TreeEntry, error)
}

// layer is a repository's objects and, in memory, some that it does not have.
type layer struct {
	*store
	own  *store
	owns map[plumbing.Hash]bool
}

func newLayer(below *store) *layer {
	return &layer{store: below, own: newStore(memfs.New(), ""), owns: map[plumbing.Hash]bool{}}
}

func (l *layer) of(h plumbing.Hash) *store {
	if l.owns[h] {
		return l.own
	}
	return l.store
}

func (l *layer) object(h plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	return l.of(h).object(h, limit)
}
func (l *layer) size(h plumbing.Hash) (int64, error)              { return l.of(h).size(h) }
func (l *layer) tree(h plumbing.Hash) ([]object.TreeEntry, error) { return l.of(h).tree(h) }

// add keeps an object in memory.
func (l *layer) add(obj *plumbing.MemoryObject) (plumbing.Hash, error) {
	h, err := l.own.keep(obj)
	if err == nil {
		l.owns[h] = true
	}
	return h, err
}

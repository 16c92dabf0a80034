package gitrepo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// cacheSize bounds the objects kept in memory, mostly the bases of deltas.
const cacheSize = 32 * cache.MiByte

// openPacks bounds the pack files kept open, so that a repository of many
// packs does not use up the process's descriptors.
const openPacks = 32

// store reads the objects of a repository behind one lock, since go-git's
// object storage may not be used by two goroutines at once.
type store struct {
	mu    sync.Mutex
	files *filesystem.Storage
	loose string // the directory of objects that have files of their own; empty in memory
}

func newStore(dot billy.Filesystem, loose string) *store {
	return &store{loose: loose, files: filesystem.NewStorageWithOptions(dot, cache.NewObjectLRU(cacheSize),
		filesystem.Options{MaxOpenDescriptors: openPacks})}
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.Close()
}

var errOtherHash = errors.New("content does not have this hash")

// maxObject bounds what is read into memory, in bytes, of whatever has no limit of
// its own: a directory of a million tenants has less than half of it.
const maxObject = 256 << 20

// object reads one object whole and checks it against its hash. A missing one
// is plumbing.ErrObjectNotFound, a damaged one ErrCorrupt, and one of more bytes
// than the limit, which is not read, ErrTooLarge.
func (s *store) object(h plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	obj, err := s.read(h, limit)
	if errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if err != nil { // a pack may have come or gone since the last look: git gc, another process's fetch
		s.files.Reindex()
		obj, err = s.read(h, limit)
	}
	if err != nil && (!errors.Is(err, plumbing.ErrObjectNotFound) || s.files.HasEncodedObject(h) == nil) {
		err = damaged(h, err)
	}
	return obj, err
}

// damaged tells damage from what the operating system refuses: a permission,
// one more open file.
func damaged(h plumbing.Hash, err error) error {
	if is[*fs.PathError](err) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("object %s: %w", h, err)
	}
	return fmt.Errorf("%w: object %s: %w", ErrCorrupt, h, err)
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, limit)
}

func (s *store) read(h plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	if obj, err := s.readLoose(h, limit); err == nil || anyOf(err, ErrTooLarge, errUnlike) {
		return obj, err
	}
	stored, err := s.files.EncodedObject(plumbing.AnyObject, h)
	if err != nil {
		return nil, err
	}
	if stored.Size() > limit {
		return nil, tooLarge(stored.Size(), limit)
	}
	r, err := stored.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	obj := &plumbing.MemoryObject{}
	obj.SetType(stored.Type())
	if _, err := io.Copy(obj, r); err != nil {
		return nil, err
	}
	if obj.Hash() != h {
		return nil, errOtherHash
	}
	return obj, nil
}

// has reports whether the repository holds an object, without reading it.
func (s *store) has(h plumbing.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files.HasEncodedObject(h) != nil {
		s.files.Reindex()
	}
	return s.files.HasEncodedObject(h) == nil
}

// size returns a blob's length in bytes without reading all of it.
func (s *store) size(h plumbing.Hash) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.looseSize(h)
	if !errors.Is(err, fs.ErrNotExist) {
		return n, err
	}
	n, err = s.files.EncodedObjectSize(h)
	if err != nil {
		s.files.Reindex()
		n, err = s.files.EncodedObjectSize(h)
	}
	if err != nil {
		err = damaged(h, err)
	}
	return n, err
}

// commit reads the commit that h names, itself or through annotated tags.
func (s *store) commit(h plumbing.Hash) (*object.Commit, error) {
	obj, err := s.object(h, maxObject)
	if err != nil {
		return nil, err
	}
	switch obj.Type() {
	case plumbing.CommitObject:
		return decoded(object.DecodeCommit(nil, obj))
	case plumbing.TagObject:
		tag, err := decoded(object.DecodeTag(nil, obj))
		if err != nil {
			return nil, err
		}
		return s.commit(tag.Target)
	}
	return nil, fmt.Errorf("%w: %s is a %s, not a commit", ErrNoRef, h, obj.Type())
}

// tree reads a directory, its entries by name in byte order. The zero hash is
// an empty one.
func (s *store) tree(h plumbing.Hash) ([]object.TreeEntry, error) {
	if h.IsZero() {
		return nil, nil
	}
	obj, err := s.object(h, maxObject)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("%w: tree %s is missing", ErrCorrupt, h)
	}
	if err != nil {
		return nil, err
	}
	entries, err := decoded(decodeTree(obj))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b object.TreeEntry) int { return strings.Compare(a.Name, b.Name) })
	for i, e := range entries {
		if e.Name == "." || e.Name == ".." || strings.Contains(e.Name, "/") || i > 0 && e.Name == entries[i-1].Name {
			return nil, fmt.Errorf("%w: tree %s has the entry %q, which no directory can have", ErrCorrupt, h, e.Name)
		}
	}
	return entries, nil
}

// decoded marks an object that has the right hash and yet makes no sense.
func decoded[T any](value T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return value, err
}

// withPrefix returns the objects whose hash starts with the hex digits.
func (s *store) withPrefix(digits string) ([]plumbing.Hash, error) {
	whole, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.Reindex()
	found, err := s.files.HashesWithPrefix(whole)
	return slices.DeleteFunc(found, func(h plumbing.Hash) bool {
		return !strings.HasPrefix(h.String(), digits)
	}), err
}

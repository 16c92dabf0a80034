package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// manyLoose objects are what git gc --auto takes for too many: each is a
	// file, and a lookup of one that is not there reads its directory.
	manyLoose = 6700
	window    = 10 // objects that a delta is looked for in, as in git
)

// Compact puts the loose objects of a remote repository's clone into one pack
// when there are many: each Fetch adds some, see loose. All are kept, whether a
// ref still leads to them or not, since a commit that was deployed has to stay
// readable; go-git's own RepackObjects would drop those. It reports how many
// objects it has packed, and does nothing for a local repository, which
// belongs to somebody else.
//
// A loose object is removed only after the pack that has it is on the disk and
// its index, which was computed from the pack's content, names it. A crash at
// any moment leaves each object in at least one of the two.
func (r *Repo) Compact(ctx context.Context) (packed int, err error) {
	if r.at.remote == "" || !r.crowded(manyLoose) {
		return 0, nil
	}
	if err := r.acquire(ctx); err != nil {
		return 0, err
	}
	defer r.release()
	packed, err = r.compact(ctx)
	return packed, r.failure(ctx, "compact", err)
}

// crowded guesses from one of the 256 directories, as git does, whether there
// are more loose objects than most.
func (r *Repo) crowded(most int) bool {
	entries, err := os.ReadDir(filepath.Join(r.gitDir, "objects", "17"))
	return err == nil && len(entries) > most/256
}

func (r *Repo) compact(ctx context.Context) (int, error) {
	files := filesystem.NewStorage(r.dot, cache.NewObjectLRUDefault())
	defer files.Close()
	var objects []plumbing.Hash
	err := files.ForEachObjectHash(func(h plumbing.Hash) error {
		objects = append(objects, h)
		return ctx.Err()
	})
	if err != nil || len(objects) == 0 {
		return 0, err
	}
	before, err := files.ObjectPacks()
	if err != nil {
		return 0, err
	}
	if err := writePack(files, objects); err != nil {
		return 0, err
	}
	name, err := newPack(files, before)
	if err != nil {
		return 0, err
	}
	index, err := r.settled(name)
	if err != nil {
		return 0, err
	}
	for _, h := range objects {
		if has, err := index.Contains(h); err != nil || !has {
			return 0, errors.Join(err, fmt.Errorf("%w: object %s, which is kept as it is", ErrCorrupt, h))
		}
	}
	r.objects.reindex()
	removed := 0
	for _, h := range objects {
		if err := files.DeleteLooseObject(h); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// writePack writes a pack and its index. What a crash leaves of it has the name
// of an unfinished one, which sweep removes.
func writePack(files *filesystem.Storage, objects []plumbing.Hash) error {
	pack, err := files.PackfileWriter()
	if err != nil {
		return err
	}
	_, err = packfile.NewEncoder(pack, files, false).Encode(objects, window)
	return errors.Join(err, pack.Close())
}

// newPack finds the pack that was not there before.
func newPack(files *filesystem.Storage, before []plumbing.Hash) (plumbing.Hash, error) {
	known := map[plumbing.Hash]bool{}
	for _, h := range before {
		known[h] = true
	}
	after, err := files.ObjectPacks()
	for _, h := range after {
		if !known[h] {
			return h, err
		}
	}
	return plumbing.ZeroHash, errors.Join(err, errors.New("the pack that was written is not there"))
}

// settled makes sure that a pack survives a power cut, and returns its index.
func (r *Repo) settled(pack plumbing.Hash) (*idxfile.MemoryIndex, error) {
	dir := filepath.Join(r.gitDir, "objects", "pack")
	base := filepath.Join(dir, "pack-"+pack.String())
	for _, path := range []string{base + ".pack", base + ".idx", dir} {
		if err := settle(path); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(base + ".idx")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	index := idxfile.NewMemoryIndex()
	return index, idxfile.NewDecoder(f).Decode(index)
}

// settle writes a file, or a directory's names, through to the disk.
func settle(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// reindex makes the store see packs that have come.
func (s *store) reindex() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.Reindex()
}

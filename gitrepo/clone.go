package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	gitconfig "github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

// fetch brings what the remote has, the wanted revision included, and
// publishes it.
func (r *Repo) fetch(ctx context.Context, wanted string) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	before, err := r.published()
	if err != nil {
		return err
	}
	if err := r.sweep(); err != nil {
		return err
	}
	after := maps.Clone(before)
	files := filesystem.NewStorage(r.dot, cache.NewObjectLRUDefault())
	defer files.Close()
	if err := r.exchange(ctx, stage(files, after), wanted); err != nil {
		return err
	}
	if err := r.complete(before, after, wanted); err != nil {
		return err
	}
	return r.publish(after)
}

// staging is the clone as go-git fetches into it: objects go to disk, where
// new ones do no harm, and refs stay in memory until all is known to be well.
type staging struct {
	*filesystem.Storage
	memory.ReferenceStorage
}

// loose is a staging that cannot take a pack, so go-git stores each object by
// itself. A pack from every fetch of a year would slow down each lookup, which
// asks all of them: 300 small packs made reading 1.6 times slower (measured).
type loose struct {
	storer.EncodedObjectStorer
	storer.ShallowStorer
	storer.IndexStorer
	gitconfig.ConfigStorer
	storage.ModuleStorer
	memory.ReferenceStorage
}

// stage takes the first fetch as one pack and later ones as loose objects.
func stage(files *filesystem.Storage, refs memory.ReferenceStorage) storage.Storer {
	if len(refs) == 0 {
		return staging{files, refs}
	}
	return loose{files, files, files, files, files, refs}
}

// published reads the clone's refs.
func (r *Repo) published() (memory.ReferenceStorage, error) {
	refs := memory.ReferenceStorage{}
	iter, err := r.refs.IterReferences()
	if err != nil {
		return nil, err
	}
	return refs, iter.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference {
			refs[ref.Name()] = ref
		}
		return nil
	})
}

// exchange talks to the remote, within the timeout. Branches and tags are
// always asked for. A hash is asked for by itself only when none of them
// contains it, since not every server allows that.
func (r *Repo) exchange(ctx context.Context, into storage.Storer, wanted string) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	auth, err := r.config.Auth.method(r.at)
	if err != nil {
		return err
	}
	remote := git.NewRemote(into, &gitconfig.RemoteConfig{Name: "origin", URLs: []string{r.at.remote}})
	options := git.FetchOptions{
		RefSpecs:     []gitconfig.RefSpec{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"},
		Auth:         auth,
		Tags:         git.NoTags, // the second refspec has them all
		Prune:        true,
		ProxyOptions: r.dialer(ctx),
	}
	if unlisted(wanted) {
		options.RefSpecs = append(options.RefSpecs, gitconfig.RefSpec("+"+wanted+":"+wanted))
	}
	if err := transfer(ctx, remote, options); err != nil {
		return err
	}
	if fullHash.MatchString(wanted) && !r.objects.has(plumbing.NewHash(wanted)) {
		options.RefSpecs = []gitconfig.RefSpec{gitconfig.RefSpec("+" + wanted + ":" + wantedRef)}
		options.Prune = false
		return transfer(ctx, remote, options)
	}
	return nil
}

// wantedRef keeps a commit that was fetched by its hash.
const wantedRef = "refs/reconciler/wanted"

// unlisted reports whether a revision is a ref that the fetch of all branches
// and tags leaves out.
func unlisted(revision string) bool {
	name := plumbing.ReferenceName(revision)
	return strings.HasPrefix(revision, "refs/") && valid(name) && !name.IsBranch() && !name.IsTag()
}

func transfer(ctx context.Context, remote *git.Remote, options git.FetchOptions) error {
	err := remote.FetchContext(ctx, &options)
	if wrapped, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = wrapped.Err // it has no Unwrap
	}
	switch {
	case errors.Is(err, git.NoErrAlreadyUpToDate):
		return nil
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w: no end within the timeout: %w", ErrUnreachable, err)
	}
	return err
}

// complete checks that what the new refs name has arrived: go-git takes an
// answer that was cut off at its start for one that had nothing to send.
func (r *Repo) complete(before, after memory.ReferenceStorage, wanted string) error {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		h := after[name].Hash()
		if old := before[name]; (old == nil || old.Hash() != h) && !r.objects.has(h) {
			return fmt.Errorf("%w: it did not send %s of %s", ErrUnreachable, h, name)
		}
	}
	c, err := r.find(after, wanted)
	if err != nil {
		return err
	}
	_, err = r.objects.tree(c.TreeHash)
	return err
}

// publish replaces all refs of the clone at once, by renaming a new
// packed-refs over the old one; the clone has no other refs than those.
func (r *Repo) publish(refs memory.ReferenceStorage) error {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&text, "%s %s\n", refs[name].Hash(), name)
	}
	f, err := os.CreateTemp(r.gitDir, "packed-refs.new")
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(r.gitDir, "packed-refs"))
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// sweep removes what a fetch that failed or was killed left: unfinished packs,
// and indexes whose pack never came, which go-git would take for finished. A
// file that did not grow for a whole timeout belongs to no running fetch.
func (r *Repo) sweep() error {
	dir := filepath.Join(r.gitDir, "objects", "pack")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, index := strings.CutSuffix(e.Name(), ".idx")
		if index {
			_, err := os.Stat(filepath.Join(dir, base+".pack"))
			index = errors.Is(err, fs.ErrNotExist)
		}
		if !index && !strings.HasPrefix(e.Name(), "tmp_pack_") {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < r.config.Timeout {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

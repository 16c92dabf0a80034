package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	gitconfig "github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// ErrMoved says that the branch kept moving while a commit for it was made.
var ErrMoved = errors.New("branch keeps moving")

// ErrCheckedOut says that a branch cannot be committed to, because its files
// lie in a worktree that would then be behind.
var ErrCheckedOut = errors.New("branch is checked out in a worktree")

// Change is what one commit does to the files of a branch.
type Change struct {
	Files         map[string][]byte // by path; nil removes the file, or the directory with all in it
	Message       string
	Author, Email string
	When          time.Time
}

// maxMoves is how often a commit is made anew because the branch has moved.
const maxMoves = 20

// Commit adds one commit to the followed branch and pushes it: what change says
// of the branch's newest tree. When the branch moves meanwhile, change is asked
// again, of the newer tree, so that nobody's commit is lost. A change without
// files commits nothing, and gives the branch's newest commit. That is also what
// a push whose answer was lost comes to when it is tried again.
//
// Errors match ErrMoved, ErrCheckedOut for a local repository with a worktree,
// ErrNoRef for a ref that is no branch, those of Fetch, and those of change.
func (r *Repo) Commit(ctx context.Context, change func(tree *Tree) (Change, error)) (_ Commit, err error) {
	branch := plumbing.NewBranchReferenceName(strings.TrimPrefix(r.config.Ref, "refs/heads/"))
	for range maxMoves {
		var c Commit
		if c, err = r.commitOnce(ctx, branch, change); !errors.Is(err, ErrMoved) {
			return c, r.failure(ctx, "commit to "+branch.Short()+" of", err)
		}
		pause(ctx)
	}
	return Commit{}, r.failure(ctx, "commit to "+branch.Short()+" of", err)
}

// pause lets whoever was faster be done, a while of its own for each writer.
func pause(ctx context.Context) {
	timer := time.NewTimer(time.Duration(1+rand.IntN(50)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *Repo) commitOnce(ctx context.Context, branch plumbing.ReferenceName, change func(*Tree) (Change, error)) (Commit, error) {
	if _, err := r.Fetch(ctx); err != nil {
		return Commit{}, err
	}
	ref, err := lookup(r.refs, branch)
	if err == nil && ref == nil {
		err = fmt.Errorf("%w: %s is no branch", ErrNoRef, r.config.Ref)
	}
	if err != nil {
		return Commit{}, err
	}
	parent, err := r.objects.commit(ref.Hash())
	if err != nil {
		return Commit{}, err
	}
	tree, err := r.Tree(ctx, ref.Hash().String())
	if err != nil {
		return Commit{}, err
	}
	c, err := change(tree)
	if err != nil || len(c.Files) == 0 {
		return describe(parent), err
	}
	if err := r.committable(branch); err != nil {
		return Commit{}, err
	}
	made, err := r.objects.write(parent, c)
	if err != nil || made == nil {
		return describe(parent), err
	}
	return describe(made), r.advanceBranch(ctx, ref, made.Hash)
}

// committable refuses a branch whose files somebody has in a worktree.
func (r *Repo) committable(branch plumbing.ReferenceName) error {
	if r.at.remote != "" || filepath.Base(r.gitDir) != ".git" && r.gitDir == r.commonDir {
		return nil
	}
	head, err := r.refs.Reference(plumbing.HEAD)
	if err != nil {
		return err
	}
	if head.Target() == branch {
		return fmt.Errorf("%w: commit there, or give a bare repository or a URL", ErrCheckedOut)
	}
	return nil
}

// advanceBranch makes the branch name a commit, unless it has moved: then the
// error matches ErrMoved.
func (r *Repo) advanceBranch(ctx context.Context, from *plumbing.Reference, to plumbing.Hash) error {
	if r.at.remote == "" {
		return r.setRef(from, to)
	}
	pushed := r.push(ctx, from, to)
	if pushed == nil {
		_, err := r.Fetch(ctx) // so that the clone has the branch where it is now
		return err
	}
	if ctx.Err() != nil {
		return pushed
	}
	if _, err := r.Fetch(ctx); err != nil {
		return errors.Join(pushed, err)
	}
	now, err := lookup(r.refs, from.Name())
	switch {
	case err != nil:
		return err
	case now != nil && now.Hash() == to: // the answer was lost, not the push
		return nil
	case now != nil && now.Hash() != from.Hash():
		return ErrMoved
	}
	return pushed
}

// setRef moves a branch of a local repository as git does: a lock file, made by
// one writer alone, takes the place of the ref. go-git empties the file and
// writes it again, and who reads it in between finds an older, packed value.
func (r *Repo) setRef(from *plumbing.Reference, to plumbing.Hash) (err error) {
	path := filepath.Join(r.commonDir, filepath.FromSlash(from.Name().String()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s.lock is there (remove it when no git process is at work)", ErrMoved, path)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(lock.Name()))
		}
	}()
	now, err := lookup(r.refs, from.Name())
	if err == nil && (now == nil || now.Hash() != from.Hash()) {
		err = ErrMoved
	}
	if err == nil {
		_, err = fmt.Fprintln(lock, to)
	}
	if err = errors.Join(err, lock.Sync(), lock.Close()); err != nil {
		return err
	}
	return os.Rename(lock.Name(), path)
}

// push sends a commit to the remote, if its branch still is where it was.
func (r *Repo) push(ctx context.Context, from *plumbing.Reference, to plumbing.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	auth, err := r.config.Auth.method(r.at)
	if err != nil {
		return err
	}
	files := filesystem.NewStorage(r.dot, cache.NewObjectLRUDefault())
	defer files.Close()
	remote := git.NewRemote(files, &gitconfig.RemoteConfig{Name: "origin", URLs: []string{r.at.remote}})
	err = remote.PushContext(ctx, &git.PushOptions{
		RefSpecs: []gitconfig.RefSpec{gitconfig.RefSpec(to.String() + ":" + from.Name().String())},
		Auth:     auth, ProxyOptions: r.dialer(ctx),
	})
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	if wrapped, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = wrapped.Err // it has no Unwrap
	}
	return err
}

// write stores the commit that a change makes of another, or nil where it
// changes nothing. Objects that no ref leads to do no harm.
func (s *store) write(parent *object.Commit, c Change) (*object.Commit, error) {
	root := parent.TreeHash
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		if !fs.ValidPath(name) || name == "." {
			return nil, fmt.Errorf("%q is no path of a repository", name)
		}
		entry := object.TreeEntry{Mode: filemode.Regular}
		if content := c.Files[name]; content != nil {
			var err error
			if entry.Hash, err = s.put(plumbing.BlobObject, content); err != nil {
				return nil, err
			}
		}
		var err error
		if root, err = s.replace(root, strings.Split(name, "/"), entry); err != nil {
			return nil, err
		}
	}
	if root == parent.TreeHash {
		return nil, nil
	}
	by := object.Signature{Name: identity(c.Author), Email: identity(c.Email), When: c.When}
	made := &object.Commit{
		Author: by, Committer: by, Message: c.Message, TreeHash: root, ParentHashes: []plumbing.Hash{parent.Hash},
	}
	obj := &plumbing.MemoryObject{}
	if err := made.Encode(obj); err != nil {
		return nil, err
	}
	h, err := s.keep(obj)
	if err != nil {
		return nil, err
	}
	return s.commit(h)
}

// identity is a name or an address as a commit can have it: git ends both at
// these characters.
func identity(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>\n\r\x00", r) {
			return -1
		}
		return r
	}, text))
}

// replace returns a tree in which a path leads to an entry, or to nothing for
// one without a hash. A directory that becomes empty goes too.
func (s *store) replace(tree plumbing.Hash, path []string, entry object.TreeEntry) (plumbing.Hash, error) {
	entries, err := s.tree(tree)
	if err != nil {
		return tree, err
	}
	entries = slices.Clone(entries)
	at := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == path[0] })
	if len(path) > 1 {
		below := plumbing.ZeroHash
		if at >= 0 && entries[at].Mode == filemode.Dir {
			below = entries[at].Hash
		} else if at >= 0 {
			return tree, fmt.Errorf("%s is a file, not a directory", path[0])
		}
		if entry.Hash, err = s.replace(below, path[1:], entry); err != nil {
			return tree, err
		}
		entry.Mode = filemode.Dir
	}
	entry.Name = path[0]
	if at >= 0 {
		entries = slices.Delete(entries, at, at+1)
	}
	if !entry.Hash.IsZero() {
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return plumbing.ZeroHash, nil
	}
	sort.Sort(object.TreeEntrySorter(entries))
	obj := &plumbing.MemoryObject{}
	if err := (&object.Tree{Entries: entries}).Encode(obj); err != nil {
		return tree, err
	}
	return s.keep(obj)
}

func (s *store) put(kind plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	obj := &plumbing.MemoryObject{}
	obj.SetType(kind)
	if _, err := obj.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.keep(obj)
}

// keep stores an object as a file of its own.
func (s *store) keep(obj *plumbing.MemoryObject) (plumbing.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.SetEncodedObject(obj)
}

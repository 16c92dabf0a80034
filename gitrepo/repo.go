// Package gitrepo is the git repository of the fleet: it follows one ref of a
// local or remote repository and gives any of its commits as a read-only file
// system, without a worktree.
//
// A local repository is opened in place and only Commit writes to it. A remote
// one is kept as a bare clone whose refs only Fetch changes, and only as a whole:
// all refs move in one rename, after every object they name has arrived.
// Whatever fails, the commit fetched before stays readable.
package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Config says which repository to follow, and how.
type Config struct {
	// URL is a path, opened in place whether it has a worktree or is bare, or
	// a file, http, https or ssh URL, or host:path for ssh. A user and a
	// password in it are used, and never shown.
	URL string
	// Ref is the branch, tag, full ref name (refs/pull/7/head) or commit hash
	// to follow. Default main.
	Ref string
	// Dir is the directory of bare clones; a remote gets a folder of its own
	// in it. Not used for a local repository.
	Dir string
	// Auth is for a remote.
	Auth Auth
	// Timeout bounds each exchange with a remote. Default 2m: a first clone of
	// 10,000 tenants is 114 MB, 90 s at 10 Mbit/s.
	Timeout time.Duration
}

// String returns the URL without its secrets, so that a logged Config shows none.
func (c Config) String() string { return redact(c.URL) }

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	at, err := locate(c.URL)
	if err != nil {
		faults = append(faults, err)
	}
	if at.remote != "" && c.Dir == "" {
		faults = append(faults, errors.New("a remote repository needs a directory for its clone"))
	}
	if c.Timeout < 0 {
		faults = append(faults, errors.New("the timeout is negative"))
	}
	return errors.Join(faults...)
}

// Repo is an open repository. Its methods may be called at the same time.
type Repo struct {
	config    Config
	at        location
	gitDir    string           // holds HEAD
	commonDir string           // holds refs and objects; gitDir except in a linked worktree
	dot       billy.Filesystem // both, for go-git
	objects   *store
	refs      *filesystem.ReferenceStorage

	fetching chan struct{} // holds one token; who has it may fetch
	head     string        // of the last Fetch, guarded by fetching
	closing  context.CancelFunc
	closed   context.Context
	watchers sync.WaitGroup
}

// Commit is one commit. Author, Email and Subject are valid UTF-8; Subject is
// the first line of the message; Time is the committer's, UTC.
type Commit struct {
	Hash, Author, Email, Subject string
	Reverts                      string // the commit that it says to revert, empty for none
	Time                         time.Time
	Parents                      []string // full hashes, first parent first
}

// Open opens a local repository, or the clone of a remote one, which is made
// empty when there is none. It does not use the network: call Fetch next.
//
// Errors match ErrNoRepository when a local path holds no repository.
func Open(ctx context.Context, c Config) (*Repo, error) {
	if err := c.Validate(); err != nil {
		return nil, &Error{Op: "open", Repo: c.String(), Err: err}
	}
	if c.Ref == "" {
		c.Ref = "main"
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Minute
	}
	r := &Repo{config: c, fetching: make(chan struct{}, 1)}
	r.closed, r.closing = context.WithCancel(context.WithoutCancel(ctx))
	r.at, _ = locate(c.URL) // Validate has checked it
	opened, err := r.open()
	if err != nil {
		return nil, r.failure(ctx, "open", err)
	}
	files := opened.Storer.(*filesystem.Storage)
	r.dot, r.refs = files.Filesystem(), &files.ReferenceStorage
	r.gitDir, r.commonDir = r.dot.Root(), commonDir(r.dot.Root())
	if err := borrows(r.commonDir); err != nil {
		return nil, r.failure(ctx, "open", err)
	}
	r.objects = newStore(r.dot, filepath.Join(r.commonDir, "objects"))
	if r.at.remote != "" {
		if found, err := r.find(r.refs, c.Ref); err == nil {
			r.head = found.Hash.String()
		}
	}
	return r, nil
}

func (r *Repo) open() (*git.Repository, error) {
	options := &git.PlainOpenOptions{EnableDotGitCommonDir: true}
	if r.at.remote == "" {
		opened, err := git.PlainOpenWithOptions(r.at.local, options)
		if anyOf(err, git.ErrUnknownExtension, git.ErrUnsupportedExtensionRepositoryFormatVersion) {
			err = fmt.Errorf("%w; %s", err, plainClone)
		}
		return opened, err
	}
	dir := filepath.Join(r.config.Dir, r.at.folder())
	opened, err := git.PlainOpenWithOptions(dir, options)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return git.PlainInit(dir, true)
	}
	return opened, err
}

const plainClone = "give a clone made by git clone --bare in its place"

// borrows refuses a repository that has objects in another one: go-git would
// load the other's index anew for each of them.
func borrows(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "objects", "info", "alternates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, errors.New("it borrows objects from another repository by objects/info/alternates; "+plainClone))
}

// commonDir returns where a linked worktree's refs are (gitrepository-layout(5)).
func commonDir(gitDir string) string {
	text, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if err != nil {
		return gitDir
	}
	dir := strings.TrimSpace(string(text))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(gitDir, dir)
	}
	return dir
}

// String returns the repository's URL or path without its secrets.
func (r *Repo) String() string { return r.at.name }

// Close ends every Watch and releases the files. It may be called twice.
func (r *Repo) Close() error {
	r.closing()
	r.watchers.Wait()
	return r.objects.close()
}

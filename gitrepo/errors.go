package gitrepo

import (
	"compress/flate"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Errors that a caller can match with errors.Is. Each one leaves what was
// fetched before as it was.
var (
	ErrNoRepository = errors.New("not a git repository")
	ErrEmpty        = errors.New("repository has no commits yet")
	ErrNoRef        = errors.New("revision not found")
	ErrCorrupt      = errors.New("repository is corrupt")
	ErrAuth         = errors.New("access denied")
	ErrUnreachable  = errors.New("remote cannot be reached")
	ErrNotFile      = errors.New("not a plain file") // a symbolic link or a submodule, from Tree
	ErrTooLarge     = errors.New("file too large")   // more bytes than are read, from Tree
)

// errGone is of a local repository that was there when it was opened.
var errGone = fmt.Errorf("%w any more: its folder is gone, or not mounted", ErrNoRepository)

// Error says what failed on which repository and what helps. It matches the
// sentinel of its kind where there is one, and the cause.
type Error struct {
	Op   string // fetch, resolve, read tree, ...
	Repo string // URL without user, password and query, or the path
	Err  error
	Next string // what to do about it; may be empty
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s: %s", e.Op, e.Repo, oneLine(e.Err.Error()))
	if e.Next != "" {
		text += " (" + e.Next + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// oneLine shortens what a server answered, which may be a whole page.
func oneLine(text string) string {
	const most = 240 // bytes
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// failure gives err its kind, its repository and the next step. The end of
// the caller's own context is no fault of the repository.
func (r *Repo) failure(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if is[*Error](err) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return &Error{Op: op, Repo: r.at.name, Err: cause}
	}
	kind := kindOf(err)
	if kind != nil && !errors.Is(err, kind) {
		err = fmt.Errorf("%w: %w", kind, err)
	}
	return &Error{Op: op, Repo: r.at.name, Err: err, Next: r.next(kind)}
}

// kindOf maps what go-git and its transports report to a sentinel of this
// package; nil when it is neither, a full disk for example.
func kindOf(err error) error {
	for _, kind := range []error{errGone, ErrNoRepository, ErrEmpty, ErrNoRef, ErrCorrupt, ErrAuth, ErrUnreachable} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	switch {
	case anyOf(err, transport.ErrRepositoryNotFound, git.ErrRepositoryNotExists, git.ErrRepositoryIncomplete,
		syscall.ENOTDIR, pktline.ErrInvalidPktLen): // a file; a server that does not speak git
		return ErrNoRepository
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return ErrEmpty
	case anyOf(err, plumbing.ErrReferenceNotFound, git.ErrExactSHA1NotSupported), is[git.NoMatchingRefSpecError](err),
		strings.Contains(err.Error(), "not our ref"): // the server's words
		return ErrNoRef
	case anyOf(err, transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrInvalidAuthMethod),
		is[*knownhosts.KeyError](err), strings.Contains(err.Error(), "ssh: unable to authenticate"): // it has no type
		return ErrAuth
	case anyOf(err, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF), is[*githttp.Err](err), is[*url.Error](err), is[*net.OpError](err):
		return ErrUnreachable
	case anyOf(err, plumbing.ErrObjectNotFound, idxfile.ErrMalformedIdxFile, zlib.ErrHeader, zlib.ErrChecksum),
		is[*packfile.Error](err), is[flate.CorruptInputError](err):
		return ErrCorrupt
	}
	return nil
}

// is reports whether an error of a type is in err's chain.
func is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

func anyOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// next is the step that helps against a kind of error.
func (r *Repo) next(kind error) string {
	remote := r.at.remote != ""
	steps := []struct {
		kind error
		when bool
		step string
	}{
		{errGone, true, "put it back, or mount its volume"},
		{ErrNoRepository, remote, "check the URL, and that the credentials may read it"},
		{ErrNoRepository, !remote, "give the folder that holds .git, or a bare repository"},
		{ErrEmpty, true, "push a first commit"},
		{ErrNoRef, true, "check the name; a shallow or single-branch clone lacks other revisions"},
		{ErrCorrupt, remote, "try again; if it stays, delete " + r.gitDir + ", which the next fetch clones again"},
		{ErrCorrupt, !remote, "run git fsck there, and restore the repository from another clone"},
		{ErrAuth, r.at.scheme == "ssh", "check the key file and the known_hosts file"},
		{ErrAuth, r.at.scheme != "ssh", "check the user name and the token"},
		{ErrUnreachable, true, "check the URL and the network; the commit fetched last stays in use"},
	}
	for _, s := range steps {
		if s.when && errors.Is(kind, s.kind) {
			return s.step
		}
	}
	return ""
}

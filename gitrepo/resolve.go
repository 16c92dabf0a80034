package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// Resolve returns the commit that a revision names: a branch, a tag, a full
// ref name, HEAD, or a commit hash of at least four digits; "" is the
// configured ref. A branch goes before a tag of the same name.
//
// A remote answers from what has been fetched. A revision that is not there is
// asked from the remote, and a ref outside branches and tags, such as
// refs/pull/7/head, always is. Errors match ErrNoRef for an unknown or
// ambiguous revision, ErrEmpty without any commit, ErrCorrupt, and those of Fetch.
func (r *Repo) Resolve(ctx context.Context, revision string) (Commit, error) {
	name := firstOf(revision, r.config.Ref)
	found, err := r.find(r.refs, name)
	if r.at.remote != "" && (anyOf(err, ErrNoRef, ErrEmpty) || revision != "" && unlisted(name)) {
		if err = r.fetch(ctx, name); err == nil {
			found, err = r.find(r.refs, name)
		}
	}
	if err != nil {
		return Commit{}, r.failure(ctx, "resolve "+name+" of", err)
	}
	return describe(found), nil
}

// Tag returns the full hash of the commit that a tag names, directly or as an
// annotated tag; ok is false when there is no such tag among those fetched.
func (r *Repo) Tag(ctx context.Context, name string) (hash string, ok bool, err error) {
	ref, err := lookup(r.refs, plumbing.NewTagReferenceName(name))
	if err != nil || ref == nil {
		return "", false, r.failure(ctx, "read tag "+name+" of", err)
	}
	c, err := r.named(ref)
	if err != nil {
		return "", false, r.failure(ctx, "read tag "+name+" of", err)
	}
	return c.Hash.String(), true, nil
}

var (
	fullHash  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	shortHash = regexp.MustCompile(`^[0-9a-f]{4,39}$`)
)

// find returns the commit that a revision names among refs and objects.
func (r *Repo) find(refs storer.ReferenceStorer, revision string) (*object.Commit, error) {
	if fullHash.MatchString(revision) {
		return r.hashed(plumbing.NewHash(revision))
	}
	for _, name := range candidates(revision) {
		if ref, err := lookup(refs, name); err != nil {
			return nil, err
		} else if ref != nil {
			return r.named(ref)
		}
	}
	if shortHash.MatchString(revision) {
		if c, err := r.abbreviated(revision); c != nil || err != nil {
			return c, err
		}
	}
	err := missing(refs, revision)
	if errors.Is(err, ErrEmpty) && r.gone() {
		err = errGone
	}
	return nil, err
}

// gone tells that a local repository is no longer where it was opened: it looks
// like one without any commit.
func (r *Repo) gone() bool {
	_, err := os.Stat(filepath.Join(r.gitDir, "HEAD"))
	return r.at.remote == "" && errors.Is(err, fs.ErrNotExist)
}

// candidates are the refs that a name can mean, the first one that exists wins.
func candidates(revision string) []plumbing.ReferenceName {
	if revision == "HEAD" || strings.HasPrefix(revision, "refs/") {
		return []plumbing.ReferenceName{plumbing.ReferenceName(revision)}
	}
	return []plumbing.ReferenceName{
		plumbing.NewBranchReferenceName(revision),
		plumbing.NewTagReferenceName(revision),
		plumbing.ReferenceName("refs/remotes/" + revision),
	}
}

// lookup follows symbolic refs to a hash; nil when the ref does not exist.
func lookup(refs storer.ReferenceStorer, name plumbing.ReferenceName) (*plumbing.Reference, error) {
	if !valid(name) {
		return nil, nil
	}
	ref, err := storer.ResolveReference(refs, name)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, nil
	}
	return ref, err
}

// valid reports whether a ref can have this name; a path that leaves refs, a
// pattern or an expression cannot be one.
func valid(name plumbing.ReferenceName) bool { return name.Validate() == nil }

// named reads the commit of a ref, which must be there.
func (r *Repo) named(ref *plumbing.Reference) (*object.Commit, error) {
	c, err := r.objects.commit(ref.Hash())
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		err = fmt.Errorf("%w: %s names %s, which is missing", ErrCorrupt, ref.Name(), ref.Hash())
	}
	return c, err
}

// exact reads the commit of a full hash, as this package's callers hold it.
func (r *Repo) exact(hash string) (*object.Commit, error) {
	if !fullHash.MatchString(hash) {
		return nil, fmt.Errorf("%w: %q is not a full commit hash", ErrNoRef, hash)
	}
	return r.hashed(plumbing.NewHash(hash))
}

// hashed reads the commit of a hash that a person or an earlier run gave.
func (r *Repo) hashed(h plumbing.Hash) (*object.Commit, error) {
	c, err := r.objects.commit(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		err = fmt.Errorf("%w: no commit %s", ErrNoRef, h)
	}
	return c, err
}

func (r *Repo) abbreviated(digits string) (*object.Commit, error) {
	hashes, err := r.objects.withPrefix(digits)
	if err != nil {
		return nil, err
	}
	var found *object.Commit
	for _, h := range hashes {
		c, err := r.objects.commit(h)
		switch {
		case err != nil || c.Hash != h: // a tree, a blob or a tag
		case found != nil:
			return nil, fmt.Errorf("%w: %s is ambiguous: %s and %s", ErrNoRef, digits, found.Hash, h)
		default:
			found = c
		}
	}
	return found, nil
}

// missing explains an unknown revision by the branches that are there.
func missing(refs storer.ReferenceStorer, revision string) error {
	iter, err := refs.IterReferences()
	if err != nil {
		return err
	}
	var branches []string
	any := false
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		any = any || ref.Type() == plumbing.HashReference
		if ref.Name().IsBranch() {
			branches = append(branches, ref.Name().Short())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !any {
		return ErrEmpty
	}
	slices.Sort(branches)
	const shown = 5
	if len(branches) > shown {
		branches = append(branches[:shown], "...")
	}
	return fmt.Errorf("%w: no branch, tag or commit %q; branches are %s", ErrNoRef, revision, strings.Join(branches, ", "))
}

// reverts finds what git revert writes into a message.
var reverts = regexp.MustCompile(`(?m)^This reverts commit ([0-9a-f]{7,64})\b`)

func describe(c *object.Commit) Commit {
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	d := Commit{
		Hash:    c.Hash.String(),
		Author:  strings.ToValidUTF8(c.Author.Name, "\uFFFD"),
		Email:   strings.ToValidUTF8(c.Author.Email, "\uFFFD"),
		Subject: strings.ToValidUTF8(subject, "\uFFFD"),
		Time:    c.Committer.When.UTC(),
	}
	if found := reverts.FindStringSubmatch(c.Message); found != nil {
		d.Reverts = found[1]
	}
	for _, p := range c.ParentHashes {
		d.Parents = append(d.Parents, p.String())
	}
	return d
}

package gitrepo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/gitrepo"
)

func TestOpenInPlace(t *testing.T) {
	dir := newRepo(t)
	head := commit(t, dir, "first", company)
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "clone", "-q", "--bare", ".", bare)
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	side := commit(t, linked, "on the side", nil)
	packed := filepath.Join(t.TempDir(), "packed")
	git(t, dir, "clone", "-q", ".", packed)
	git(t, packed, "gc", "-q")
	spaced := filepath.Join(t.TempDir(), "a folder")
	git(t, dir, "clone", "-q", ".", spaced)

	for name, c := range map[string]struct {
		config gitrepo.Config
		want   string
	}{
		"a worktree":              {gitrepo.Config{URL: dir}, head},
		"its .git":                {gitrepo.Config{URL: filepath.Join(dir, ".git")}, head},
		"a bare repository":       {gitrepo.Config{URL: bare}, head},
		"packed refs and objects": {gitrepo.Config{URL: packed}, head},
		"a linked worktree":       {gitrepo.Config{URL: linked, Ref: "HEAD"}, side},
		"main from a worktree":    {gitrepo.Config{URL: linked}, head},
		"a file URL":              {gitrepo.Config{URL: "file://" + bare}, head},
		"an escaped file URL":     {gitrepo.Config{URL: "file://localhost" + strings.ReplaceAll(spaced, " ", "%20")}, head},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, c.config)
			if got := fetch(t, r); got.Hash != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
			if _, err := r.Tree(t.Context(), c.want); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoRepository(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	file := filepath.Join(dir, "fleet.yaml")
	for _, path := range []string{t.TempDir(), filepath.Join(dir, "tenants"), filepath.Join(dir, "gone"), file} {
		if _, err := gitrepo.Open(t.Context(), gitrepo.Config{URL: path}); !errors.Is(err, gitrepo.ErrNoRepository) {
			t.Errorf("%s: got %v, want %v", path, err, gitrepo.ErrNoRepository)
		}
	}
}

func TestOpenSaysWhatItCannotRead(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	borrowing := filepath.Join(t.TempDir(), "borrowing.git")
	git(t, dir, "clone", "-q", "--bare", "--shared", ".", borrowing)
	sha256 := t.TempDir()
	git(t, sha256, "init", "-q", "--object-format=sha256", ".")
	for _, path := range []string{borrowing, sha256} {
		if _, err := gitrepo.Open(t.Context(), gitrepo.Config{URL: path}); err == nil || !strings.Contains(err.Error(), "git clone --bare") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestEmptyRepositoryIsWaitedFor(t *testing.T) {
	dir := newRepo(t)
	r := open(t, gitrepo.Config{URL: dir})
	if _, err := r.Fetch(t.Context()); !errors.Is(err, gitrepo.ErrEmpty) {
		t.Errorf("got %v, want %v", err, gitrepo.ErrEmpty)
	}
	want := commit(t, dir, "first", company)
	if got := fetch(t, r); got.Hash != want || got.Previous != "" {
		t.Errorf("got %+v, want %s", got, want)
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	err := gitrepo.Config{URL: "ssh://git:hunter2@example.com/x.git", Timeout: -time.Second}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want two faults", err)
	}
	for _, url := range []string{
		"", "git://example.com/x", "file://example.com/x", "https://example.com/x?token=hunter2",
		"https://user:hunter2@exa mple.com/x", "ftp://user:hunter2@example.com/x",
	} {
		_, err := gitrepo.Open(t.Context(), gitrepo.Config{URL: url, Dir: t.TempDir()})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	for url, want := range map[string]string{
		"https://user:hunter2@example.com/acme/tenants.git": "https://example.com/acme/tenants.git",
		"https://hunter2@example.com/acme/tenants.git":      "https://example.com/acme/tenants.git",
		"https://us@er:hunter2@example.com/x":               "https://example.com/x",
		"ssh://git:hunter2@example.com:2222/x.git":          "ssh://example.com:2222/x.git",
		"git@example.com:acme/tenants.git":                  "example.com:acme/tenants.git",
		"user:hunter2@example.com":                          "example.com",
	} {
		config := gitrepo.Config{URL: url, Dir: t.TempDir(), Auth: gitrepo.Auth{Token: "hunter2"}}
		if got := fmt.Sprintf("%v", config); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
		if got := fmt.Sprintf("%+v", struct{ Git gitrepo.Config }{config}); strings.Contains(got, "hunter2") {
			t.Errorf("%s: got %s", url, got)
		}
	}
	r := open(t, gitrepo.Config{URL: "https://user:hunter2@example.com/x.git", Dir: t.TempDir()})
	if got, want := r.String(), "https://example.com/x.git"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestClonesDoNotMeet(t *testing.T) {
	dir := t.TempDir()
	for _, url := range []string{"https://example.com/a/fleet.git", "https://example.com/b/fleet.git", "git@example.com:a/fleet.git"} {
		open(t, gitrepo.Config{URL: url, Dir: dir})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v, want three clones", entries, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "fleet-") {
			t.Errorf("got %s, want it to start with the repository's name", e.Name())
		}
	}
}

func TestResolve(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	git(t, dir, "tag", "light")
	git(t, dir, "tag", "-m", "annotated", "heavy")
	git(t, dir, "tag", "-m", "a tag of a tag", "heavier", "heavy")
	git(t, dir, "tag", "main") // a branch has this name too
	git(t, dir, "tag", "content", "HEAD^{tree}")
	second := commit(t, dir, "second\n\nits body", nil)
	git(t, dir, "update-ref", "refs/remotes/origin/topic", first)
	r := open(t, gitrepo.Config{URL: dir})

	for revision, want := range map[string]string{
		"": second, "main": second, "HEAD": second, "refs/heads/main": second, "refs/tags/main": first,
		"light": first, "heavy": first, "heavier": first, "origin/topic": first,
		first: first, first[:4]: first, first[:9]: first,
	} {
		if c, err := r.Resolve(t.Context(), revision); err != nil || c.Hash != want {
			t.Errorf("%q: got %s, %v, want %s", revision, c.Hash, err, want)
		}
	}
	for _, revision := range []string{
		"nowhere", "refs/heads/nowhere", "../../etc/passwd", "main~1", "-x", "content",
		strings.Repeat("0", 40), "123", git(t, dir, "rev-parse", "HEAD^{tree}"),
	} {
		_, err := r.Resolve(t.Context(), revision)
		if !errors.Is(err, gitrepo.ErrNoRef) {
			t.Errorf("%q: got %v, want %v", revision, err, gitrepo.ErrNoRef)
		}
	}
	_, err := r.Resolve(t.Context(), "nowhere")
	if !strings.Contains(err.Error(), "branches are main") {
		t.Errorf("the error does not name the branches: %v", err)
	}

	got, err := r.Resolve(t.Context(), second)
	want := gitrepo.Commit{
		Hash: second, Author: "Ada", Email: "ada@example.com", Subject: "second",
		Time: time.Date(2026, 2, 3, 2, 5, 6, 0, time.UTC), Parents: []string{first},
	}
	if diff := cmp.Diff(got, want); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestTextOfACommitIsMadeValid(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	raw := strings.Replace(git(t, dir, "cat-file", "commit", "HEAD"), "first", "caf\xe9", 1)
	raw = strings.Replace(raw, "author Ada", "author \xc5sa", 1)
	file := filepath.Join(t.TempDir(), "commit")
	if err := os.WriteFile(file, []byte(raw+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := git(t, dir, "hash-object", "-t", "commit", "-w", file)
	got, err := open(t, gitrepo.Config{URL: dir}).Resolve(t.Context(), hash)
	if got.Subject != "caf\uFFFD" || got.Author != "\uFFFDsa" || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestShortHashOfTwoCommitsIsAmbiguous(t *testing.T) {
	dir := newRepo(t)
	tree := git(t, dir, "write-tree")
	var hash string
	for _, message := range []string{"98", "424"} { // the first pair that meets, found by counting
		hash = git(t, dir, "commit-tree", "-m", message, tree)
	}
	git(t, dir, "branch", "main", hash)
	r := open(t, gitrepo.Config{URL: dir})
	_, err := r.Resolve(t.Context(), hash[:4])
	if !errors.Is(err, gitrepo.ErrNoRef) || !strings.Contains(err.Error(), "ambiguous") {
		t.Errorf("got %v", err)
	}
	if c, err := r.Resolve(t.Context(), hash[:8]); err != nil || c.Hash != hash {
		t.Errorf("more digits: got %s, %v, want %s", c.Hash, err, hash)
	}
}

// A repository whose folder is gone is no empty one, and is followed again once
// it is back.
func TestLocalRepositoryThatIsGone(t *testing.T) {
	dir := newRepo(t)
	want := commit(t, dir, "first", company)
	r := open(t, gitrepo.Config{URL: dir})
	fetch(t, r)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Fetch(t.Context())
	if !errors.Is(err, gitrepo.ErrNoRepository) || !strings.Contains(err.Error(), "gone, or not mounted (put it back") {
		t.Errorf("got %v, want %v", err, gitrepo.ErrNoRepository)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, r); got.Hash != want {
		t.Errorf("got %+v, want %s", got, want)
	}
}

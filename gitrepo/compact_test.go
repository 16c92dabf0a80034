package gitrepo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// loose are the files of loose objects in the only clone below a directory.
func loose(t *testing.T, clones string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(clones, "*", "objects", "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Every commit stays readable, one that no ref leads to as well, for who has
// the clone open and for who opens it; and git finds nothing wrong with it.
func TestCompact(t *testing.T) {
	dir, clones := newRepo(t), t.TempDir()
	base := commit(t, dir, "first", company)
	url := serve(t, dir, nil)
	r := open(t, gitrepo.Config{URL: url, Dir: clones})
	fetch(t, r)
	commits := []string{base}
	for i := range 20 {
		if i == 10 { // what comes before is led to by nothing then
			git(t, dir, "reset", "-q", "--hard", base)
		}
		name := fmt.Sprintf("tenants/t%d/tenant.yaml", i)
		commits = append(commits, commit(t, dir, "another", files{name: fmt.Sprintf("id: t%d\n", i)}))
		fetch(t, r)
	}
	if n := len(loose(t, clones)); n < 60 {
		t.Fatalf("only %d loose objects: this test shows nothing", n)
	}
	if n, err := r.Compact(t.Context()); n != 0 || err != nil {
		t.Errorf("few objects: got %d, %v, want to leave them", n, err)
	}
	before := len(loose(t, clones))
	if n, err := gitrepo.CompactNow(r); err != nil || n != before {
		t.Fatalf("got %d, %v, want %d", n, err, before)
	}
	if left := loose(t, clones); len(left) > 0 {
		t.Errorf("%d loose objects are left", len(left))
	}
	again := open(t, gitrepo.Config{URL: url, Dir: clones})
	for _, hash := range commits {
		for _, repo := range []*gitrepo.Repo{r, again} {
			tree, err := repo.Tree(t.Context(), hash)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tree.ReadFile("tenants/acme/tenant.yaml"); err != nil {
				t.Errorf("commit %s: %v", hash, err)
			}
		}
	}
	clone, err := filepath.Glob(filepath.Join(clones, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if out := git(t, clone[0], "fsck", "--full", "--no-dangling"); strings.Contains(out, "error") {
		t.Errorf("git fsck: %s", out)
	}
	next := commit(t, dir, "after", nil)
	if head := fetch(t, r); head.Hash != next {
		t.Errorf("fetch afterwards: got %+v", head)
	}
	if n, err := gitrepo.CompactNow(r); err != nil || n != 1 {
		t.Errorf("once more: got %d, %v, want the commit alone", n, err)
	}
}

// With an object that is damaged nothing is removed.
func TestCompactDamaged(t *testing.T) {
	dir, clones := newRepo(t), t.TempDir()
	commit(t, dir, "first", company)
	r := open(t, gitrepo.Config{URL: serve(t, dir, nil), Dir: clones})
	fetch(t, r)
	commit(t, dir, "second", files{"a": "one", "b": "two"})
	fetch(t, r)
	objects := loose(t, clones)
	for _, spoil := range []func(path string) error{
		func(path string) error { return os.WriteFile(path, []byte("nonsense"), 0o600) },
		func(path string) error { return os.Truncate(path, 0) },
		func(path string) error { // another object in its place
			text, err := os.ReadFile(objects[1])
			return errors.Join(err, os.WriteFile(path, text, 0o600))
		},
	} {
		text, err := os.ReadFile(objects[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(objects[0], 0o600), spoil(objects[0])); err != nil {
			t.Fatal(err)
		}
		if n, err := gitrepo.CompactNow(r); err == nil || n != 0 {
			t.Errorf("got %d, %v, want an error", n, err)
		}
		if left := loose(t, clones); len(left) != len(objects) {
			t.Errorf("%d of %d objects are left", len(left), len(objects))
		}
		if err := os.WriteFile(objects[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := gitrepo.CompactNow(r); err != nil || n != len(objects) {
		t.Errorf("repaired: got %d, %v, want %d", n, err, len(objects))
	}
}

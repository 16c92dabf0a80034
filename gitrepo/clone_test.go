package gitrepo_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
)

// A first fetch that fails leaves nothing that a second one trips over.
func TestFirstFetchAfterAFailure(t *testing.T) {
	for name, fault := range map[string]func(*switchable){
		"cut off": func(s *switchable) { s.cut(2) }, "not sent": func(s *switchable) { s.cut(1 << 20) },
		"damaged": func(s *switchable) { s.damage() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			head := commit(t, dir, "first", company)
			s := &switchable{}
			r := open(t, gitrepo.Config{URL: serve(t, dir, s.wrap), Dir: t.TempDir()})
			fault(s)
			if got, err := r.Fetch(t.Context()); err == nil {
				t.Fatalf("got %+v", got)
			}
			s.handle(nil)
			if got := fetch(t, r); got != (gitrepo.Head{Hash: head}) {
				t.Errorf("got %+v, want %s", got, head)
			}
		})
	}
}

// What a killed fetch leaves is removed once no running one can own it.
func TestLeftoversOfAKilledFetch(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	clones := t.TempDir()
	c := gitrepo.Config{URL: serve(t, dir, nil), Dir: clones}
	r := open(t, c)
	fetch(t, r)
	packs := filepath.Join(onlyFile(t, filepath.Join(clones, "*")), "objects", "pack")
	name := func(base string) string { return filepath.Join(packs, base) }
	old := []string{name("tmp_pack_1"), name("pack-1111111111111111111111111111111111111111.idx")}
	fresh := []string{name("tmp_pack_2"), name("pack-2222222222222222222222222222222222222222.idx")}
	for _, file := range append(old, fresh...) {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range old {
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(file, past, past); err != nil {
			t.Fatal(err)
		}
	}
	fetch(t, r)
	for _, file := range old {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	for _, file := range fresh {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if err := readEverything(t, c); err != nil {
		t.Error(err)
	}
}

// A local repository may be repacked, and a clone fetched by another process,
// while its commits are read.
func TestReadingGoesOnWhileTheRepositoryChanges(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	clones, url := t.TempDir(), serve(t, dir, nil)
	local, reader, writer := open(t, gitrepo.Config{URL: dir}),
		open(t, gitrepo.Config{URL: url, Dir: clones}), open(t, gitrepo.Config{URL: url, Dir: clones})
	fetch(t, writer)
	for i := range 4 {
		head := commit(t, dir, "next", files{"tenants/new/tenant.yaml": string(rune('a'+i)) + "\n"})
		if i%2 == 1 {
			git(t, dir, "gc", "-q", "--prune=now")
		}
		fetch(t, writer)
		for _, r := range []*gitrepo.Repo{local, reader} {
			c, err := r.Resolve(t.Context(), "")
			if err != nil || c.Hash != head {
				t.Fatalf("%s: got %s, %v, want %s", r, c.Hash, err, head)
			}
			tree, err := r.Tree(t.Context(), head)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := tree.ReadFile("tenants/new/tenant.yaml"); err != nil || text[0] != byte('a'+i) {
				t.Errorf("%s: got %q, %v", r, text, err)
			}
		}
	}
}

func TestFetchAndReadAtTheSameTime(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	r := remote(t, serve(t, dir, nil))
	fetch(t, r)
	commit(t, dir, "second", files{"fleet.yaml": "fleet: other\n"})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := r.Fetch(t.Context()); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if _, err := r.Resolve(t.Context(), "main"); err != nil {
				t.Error(err)
			}
			tree, err := r.Tree(t.Context(), first)
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := tree.ReadFile("fleet.yaml"); err != nil || string(text) != company["fleet.yaml"] {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
	group.Wait()
}

// A shallow clone, as continuous integration makes it, has a beginning that
// is not the history's.
func TestShallowCloneIsRead(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	second := commit(t, dir, "second", nil)
	shallow := filepath.Join(t.TempDir(), "shallow")
	git(t, dir, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	r := open(t, gitrepo.Config{URL: shallow})
	if got := fetch(t, r); got.Hash != second {
		t.Errorf("got %+v, want %s", got, second)
	}
	third := commit(t, shallow, "third", nil)
	if got, want := fetch(t, r), (gitrepo.Head{Hash: third, Previous: second}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := r.Tree(t.Context(), first); !errors.Is(err, gitrepo.ErrNoRef) {
		t.Errorf("got %v, want %v", err, gitrepo.ErrNoRef)
	}
}

func TestDescends(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	git(t, dir, "checkout", "-q", "-b", "side")
	side := commit(t, dir, "side", nil)
	git(t, dir, "checkout", "-q", "main")
	main := commit(t, dir, "main", nil)
	git(t, dir, "merge", "-q", "-m", "merge", "side")
	merged := git(t, dir, "rev-parse", "HEAD")
	r := open(t, gitrepo.Config{URL: dir})
	for _, c := range []struct {
		hash, ancestor string
		want           bool
	}{
		{first, first, true},
		{merged, first, true},
		{merged, side, true},
		{merged, main, true},
		{main, side, false},
		{first, merged, false},
		{merged, "7777777777777777777777777777777777777777", false},
	} {
		if got, err := r.Descends(t.Context(), c.hash, c.ancestor); got != c.want || err != nil {
			t.Errorf("%s from %s: got %v, %v, want %v", c.hash, c.ancestor, got, err, c.want)
		}
	}
	for _, c := range []struct {
		base, head string
		want       []string
	}{{main, side, []string{side}}, {main, merged, []string{merged, side}}, {merged, side, nil}, {side, main, []string{main}}} {
		between, err := r.Between(t.Context(), c.base, c.head)
		var got []string
		for _, one := range between {
			got = append(got, one.Hash)
		}
		if !slices.Equal(got, c.want) || err != nil {
			t.Errorf("between %s and %s: got %v, %v, want %v", c.base, c.head, got, err, c.want)
		}
	}
	if _, err := r.Between(t.Context(), main, "7777777777777777777777777777777777777777"); err == nil {
		t.Error("a head that is not there has commits")
	}
}

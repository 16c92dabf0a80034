package gitrepo_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// branched makes a repository whose branches base and head have changed
// different files of one commit.
func branched(t *testing.T, base, head files) (dir, baseHash, headHash string) {
	t.Helper()
	dir = newRepo(t)
	commit(t, dir, "first", files{
		"fleet.yaml": "fleet: main\n", "apps/crm/app.yaml": "name: crm\nversion: 1.0.0\n\n\n\n\n\nlabel: CRM\n",
		"tenants/acme/tenant.yaml": "id: acme\n", "tenants/beta/tenant.yaml": "id: beta\n",
	})
	git(t, dir, "checkout", "-q", "-b", "head")
	headHash = commit(t, dir, "head", head)
	git(t, dir, "checkout", "-q", "main")
	baseHash = commit(t, dir, "base", base)
	return dir, baseHash, headHash
}

var bothSides = []struct {
	name       string
	base, head files
	conflicts  string // paths, of git and of a comparison of trees
	more       string // of the comparison alone
}{
	{
		name: "what each side changed alone is taken",
		base: files{"tenants/acme/tenant.yaml": "id: acme\nname: A\n", "apps/new/app.yaml": "name: new\n"},
		head: files{"tenants/beta/tenant.yaml": "", "tenants/gamma/tenant.yaml": "id: gamma\n"},
	},
	{
		name: "two places of one file",
		base: files{"apps/crm/app.yaml": "name: crm\nversion: 1.1.0\n\n\n\n\n\nlabel: CRM\n"},
		head: files{"apps/crm/app.yaml": "name: crm\nversion: 1.0.0\n\n\n\n\n\nlabel: Sales\n"},
		more: "apps/crm/app.yaml",
	},
	{
		name:      "one place of one file",
		base:      files{"fleet.yaml": "fleet: one\n", "tenants/acme/tenant.yaml": "id: acme\nplan: pro\n"},
		head:      files{"fleet.yaml": "fleet: two\n", "tenants/acme/tenant.yaml": "id: acme\nplan: free\n"},
		conflicts: "fleet.yaml tenants/acme/tenant.yaml",
	},
	{
		name:      "a file that one side removed and the other changed",
		base:      files{"tenants/beta/tenant.yaml": ""},
		head:      files{"tenants/beta/tenant.yaml": "id: beta\nname: B\n"},
		conflicts: "tenants/beta/tenant.yaml",
	},
	{
		name: "both sides made the same change",
		base: files{"tenants/beta/tenant.yaml": "id: beta\nplan: pro\n", "a.txt": "a\n"},
		head: files{"tenants/beta/tenant.yaml": "id: beta\nplan: pro\n", "b.txt": "b\n"},
	},
}

func TestMergeIsWhatGitMakesOfIt(t *testing.T) {
	for _, c := range bothSides {
		t.Run(c.name, func(t *testing.T) {
			dir, base, head := branched(t, c.base, c.head)
			for _, at := range []string{dir, bareOf(t, dir)} {
				r := remote(t, at)
				before := objectsOf(t, at)
				m, err := r.Merge(t.Context(), base, head, "")
				if err != nil {
					t.Fatal(err)
				}
				if got := objectsOf(t, at); got != before {
					t.Errorf("the repository has %s objects, before it had %s", got, before)
				}
				if got := strings.Join(m.Conflicts, " "); got != c.conflicts {
					t.Errorf("got conflicts %q, want %q", got, c.conflicts)
				}
				checkTree(t, dir, m, head, c.conflicts == "")
			}
		})
	}
}

func TestMergeWithoutGit(t *testing.T) {
	for _, c := range bothSides {
		t.Run(c.name, func(t *testing.T) {
			dir, base, head := branched(t, c.base, c.head)
			path := t.TempDir()
			var m gitrepo.Merged
			t.Run("merge", func(t *testing.T) {
				t.Setenv("PATH", path)
				var err error
				if m, err = remote(t, dir).Merge(t.Context(), base, head, ""); err != nil {
					t.Fatal(err)
				}
			})
			want := strings.Fields(c.conflicts + " " + c.more)
			if !slices.Equal(m.Conflicts, want) && len(want)+len(m.Conflicts) > 0 {
				t.Errorf("got conflicts %q, want %q", m.Conflicts, want)
			}
			checkTree(t, dir, m, head, len(want) == 0)
		})
	}
}

// The git that merges is not told the secrets of the process.
func TestMergeGetsNoSecrets(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir, base, head := branched(t, bothSides[0].base, bothSides[0].head)
	path, told := t.TempDir(), filepath.Join(t.TempDir(), "told")
	if err := os.WriteFile(filepath.Join(path, "git"), []byte("#!/bin/sh\nenv >> "+told+"\nexec "+git+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("RECONCILER_SECRET_X", "planted")
	if _, err := remote(t, dir).Merge(t.Context(), base, head, ""); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(told); err != nil || len(text) == 0 || strings.Contains(string(text), "planted") {
		t.Errorf("git was told %s, %v", text, err)
	}
}

// checkTree merges for good and compares.
func checkTree(t *testing.T, dir string, m gitrepo.Merged, head string, clean bool) {
	t.Helper()
	if !clean {
		if m.Tree != nil {
			t.Error("there is a tree in spite of conflicts")
		}
		return
	}
	git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", head)
	defer git(t, dir, "reset", "-q", "--hard", "HEAD^")
	got, err := m.Tree.Hash(".")
	if want := git(t, dir, "rev-parse", "HEAD^{tree}"); got != want || err != nil {
		t.Errorf("got tree %s, %v, want %s as git merges", got, err, want)
	}
	err = fs.WalkDir(m.Tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := m.Tree.ReadFile(name)
		if want := git(t, dir, "show", "HEAD:"+name); strings.TrimSpace(string(text)) != want {
			t.Errorf("%s: got %q, want %q", name, text, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func objectsOf(t *testing.T, dir string) string {
	t.Helper()
	return git(t, dir, "count-objects", "-v")
}

func TestMergeOfOneSide(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	second := commit(t, dir, "second", files{"fleet.yaml": "fleet: main\nretention: 1d\n"})
	r := remote(t, dir)
	for _, c := range [][2]string{{first, second}, {second, first}, {second, second}} {
		m, err := r.Merge(t.Context(), c[0], c[1], "")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := m.Tree.Hash(".")
		if want := git(t, dir, "rev-parse", second+"^{tree}"); got != want {
			t.Errorf("%s into %s: got tree %s, want %s", c[1], c[0], got, want)
		}
	}
}

func TestMergeTakesTheForgesOwn(t *testing.T) {
	dir, base, head := branched(t, files{"fleet.yaml": "fleet: one\n"}, files{"fleet.yaml": "fleet: two\n"})
	git(t, dir, "checkout", "-q", "-b", "forge")
	git(t, dir, "merge", "-q", "-X", "ours", "-m", "resolved", head)
	forge := git(t, dir, "rev-parse", "HEAD")
	r := remote(t, dir)
	m, err := r.Merge(t.Context(), base, head, forge)
	if err != nil || m.Tree == nil {
		t.Fatalf("got %+v, %v, want the forge's tree", m, err)
	}
	if text, err := m.Tree.ReadFile("fleet.yaml"); string(text) != "fleet: one\n" {
		t.Errorf("got %q, %v, want the forge's file", text, err)
	}
	git(t, dir, "checkout", "-q", "main")
	later := commit(t, dir, "later", files{"fleet.yaml": "fleet: three\n"})
	if m, err := r.Merge(t.Context(), later, head, forge); err != nil || len(m.Conflicts) != 1 {
		t.Errorf("got %+v, %v, want a conflict: the forge's merge is of an earlier base", m, err)
	}
}

func TestMergeOfUnrelatedCommits(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	git(t, dir, "checkout", "-q", "--orphan", "other")
	other := commit(t, dir, "other", files{"fleet.yaml": "fleet: other\n"})
	if _, err := remote(t, dir).Merge(t.Context(), first, other, ""); !errors.Is(err, gitrepo.ErrUnrelated) || !strings.Contains(err.Error(), "fetch-depth") {
		t.Errorf("got %v, want one that matches ErrUnrelated and says how to fetch", err)
	}
}

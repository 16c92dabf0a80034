package gitrepo_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tenantops/reconciler/gitrepo"
)

func readTree(t testing.TB, dir, hash string) *gitrepo.Tree {
	t.Helper()
	tree, err := open(t, gitrepo.Config{URL: dir}).Tree(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTreeIsAFileSystem(t *testing.T) {
	content := files{
		"large.bin": strings.Repeat("more than what go-git keeps in memory at once\n", 1000),
		// Git sorts a directory as if its name ended in a slash.
		"a.b": "1", "a/b": "2", "a0": "3",
	}
	for name, text := range company {
		content[name] = text
	}
	var names []string
	for name := range content {
		names = append(names, name)
	}
	dir := newRepo(t)
	hash := commit(t, dir, "first", content)
	if err := fstest.TestFS(readTree(t, dir, hash), names...); err != nil {
		t.Error(err)
	}
	git(t, dir, "gc", "-q")
	tree := readTree(t, dir, hash)
	if err := fstest.TestFS(tree, names...); err != nil {
		t.Errorf("packed: %v", err)
	}
	for name, want := range content {
		if got, err := fs.ReadFile(tree, name); err != nil || string(got) != want {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
}

// A file with more bytes than wanted is not read, whether it has a file of its
// own in the repository, is in a pack, or there in parts.
func TestReadFileMax(t *testing.T) {
	content := files{}
	for name, size := range map[string]int{"small": 100, "large": 100_000} {
		content[name] = strings.Repeat("x", size)
	}
	dir := newRepo(t)
	commit(t, dir, "first", content)
	changed := files{"small": content["small"] + "y", "large": "y" + content["large"]}
	hash := commit(t, dir, "second", changed)
	check := func(how string) {
		tree := readTree(t, dir, hash)
		for name, want := range changed {
			size := int64(len(want))
			if got, err := tree.ReadFileMax(name, size); err != nil || string(got) != want {
				t.Errorf("%s: %s: got %d bytes, %v, want %d", how, name, len(got), err, size)
			}
			if got, err := tree.ReadFileMax(name, size-1); !errors.Is(err, gitrepo.ErrTooLarge) || got != nil {
				t.Errorf("%s: %s: got %d bytes, %v, want %v", how, name, len(got), err, gitrepo.ErrTooLarge)
			}
		}
		if _, err := tree.ReadFileMax("gone", 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want %v", how, err, fs.ErrNotExist)
		}
	}
	check("loose")
	git(t, dir, "gc", "-q", "--aggressive")
	check("packed")
}

func TestTreeErrors(t *testing.T) {
	dir := newRepo(t)
	tree := readTree(t, dir, commit(t, dir, "first", company))
	for name, want := range map[string]error{
		"gone": fs.ErrNotExist, "tenants/gone/tenant.yaml": fs.ErrNotExist, "fleet.yaml/below": fs.ErrNotExist,
		"../fleet.yaml": fs.ErrInvalid, "/fleet.yaml": fs.ErrInvalid, "tenants/": fs.ErrInvalid, "": fs.ErrInvalid,
	} {
		_, err := tree.Open(name)
		var where *fs.PathError
		if !errors.Is(err, want) || !errors.As(err, &where) || where.Path != name {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	if _, err := tree.ReadFile("tenants"); err == nil {
		t.Error("a directory was read as a file")
	}
	if _, err := tree.ReadDir("fleet.yaml"); err == nil {
		t.Error("a file was listed as a directory")
	}
	r := open(t, gitrepo.Config{URL: dir})
	for _, hash := range []string{"", "main", strings.Repeat("1", 40), git(t, dir, "rev-parse", "HEAD:fleet.yaml")} {
		if _, err := r.Tree(t.Context(), hash); !errors.Is(err, gitrepo.ErrNoRef) {
			t.Errorf("%q: got %v, want %v", hash, err, gitrepo.ErrNoRef)
		}
	}
}

func TestTreeOpensNoLinksAndNoSubmodules(t *testing.T) {
	dir := newRepo(t)
	other := commit(t, dir, "first", company)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "tenants", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "fleet.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "add", "-A")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+other+",apps/module")
	git(t, dir, "commit", "-q", "-m", "odd entries")
	tree := readTree(t, dir, git(t, dir, "rev-parse", "HEAD"))

	for name, want := range map[string]fs.FileMode{
		"tenants/link": fs.ModeSymlink, "apps/module": fs.ModeIrregular, "fleet.yaml": 0, "apps": fs.ModeDir,
	} {
		info, err := tree.Stat(name)
		if err != nil || info.Mode().Type() != want {
			t.Errorf("%s: got %v, %v, want type %v", name, info, err, want)
		}
		if want == 0 || want == fs.ModeDir {
			continue
		}
		for _, path := range []string{name, name + "/below"} {
			f, err := tree.Open(path)
			if err == nil {
				t.Errorf("%s: got %v", path, f)
			}
		}
		if _, err := tree.ReadFile(name); !errors.Is(err, gitrepo.ErrNotFile) {
			t.Errorf("%s: got %v, want %v", name, err, gitrepo.ErrNotFile)
		}
	}
	var seen []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.Type().IsRegular() && !d.IsDir() {
			seen = append(seen, name)
		}
		return err
	})
	if got, want := strings.Join(seen, " "), "apps/module tenants/link"; got != want || err != nil {
		t.Errorf("walk: got %s, %v, want %s", got, err, want)
	}
}

func TestHashesTellContentApart(t *testing.T) {
	dir := newRepo(t)
	one := readTree(t, dir, commit(t, dir, "first", company))
	two := readTree(t, dir, commit(t, dir, "second", files{"tenants/acme/tenant.yaml": "id: acme\nplan: pro\n"}))
	for name, same := range map[string]bool{
		".": false, "tenants": false, "tenants/acme": false, "tenants/acme/tenant.yaml": false,
		"tenants/eu": true, "apps/crm": true, "fleet.yaml": true,
	} {
		a, errA := one.Hash(name)
		b, errB := two.Hash(name)
		if (a == b) != same || errA != nil || errB != nil || a == "" {
			t.Errorf("%s: got %s %v and %s %v, want same %v", name, a, errA, b, errB, same)
		}
	}
	if got, _ := one.Hash("tenants/acme"); got != git(t, dir, "rev-parse", "HEAD~1:tenants/acme") {
		t.Errorf("got %s, which is not git's", got)
	}
	if _, err := one.Hash("gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestTreeIsReadBySeveralAtOnce(t *testing.T) {
	dir, _, to := newFleet(t, 200, layouts[0].dirOf)
	tree := readTree(t, dir, to)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				f, err := tree.Open(name)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, f)
				return errors.Join(err, f.Close())
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

package gitrepo_test

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"strings"
	"testing"

	git5 "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/tenantops/reconciler/gitrepo"
)

// layouts name the two ways a fleet lays out its tenants: all in one
// directory, and below one of a hundred.
var layouts = map[string]func(i int) string{
	"tenants/ID":    func(i int) string { return fmt.Sprintf("tenants/t%05d", i) },
	"tenants/NN/ID": func(i int) string { return fmt.Sprintf("tenants/%02d/t%05d", i%100, i) },
}

// newFleet makes a bare repository of tenants with five files each, and a
// second commit that changes one tenant. It returns both hashes.
func newFleet(t testing.TB, tenants int, dirOf func(int) string) (dir, from, to string) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "init", "-q", "--bare", "-b", "main", ".")
	var in strings.Builder
	file := func(name, text string) {
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
	}
	header := "commit refs/heads/main\ncommitter Ada <ada@example.com> 1767323045 +0000\ndata 1\nx\n"
	in.WriteString(header)
	for i := range tenants {
		id := path.Base(dirOf(i))
		file(path.Join(dirOf(i), "tenant.yaml"), fmt.Sprintf("id: %s\nname: Tenant %d\norgId: org_%d\nplan: pro\napps:\n- name: crm\n  version: 1.2.0\n", id, i, i))
		for _, object := range []string{"account", "contact", "deal", "task"} {
			file(path.Join(dirOf(i), "objects", object+".yaml"), fmt.Sprintf("name: %s\nlabel: %s of %s\nfields:\n  name: {type: text}\n", object, object, id))
		}
	}
	in.WriteString(header)
	file(path.Join(dirOf(tenants/2), "objects", "deal.yaml"), "name: deal\nfields: {}\n")
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	return dir, git(t, dir, "rev-parse", "main~1"), git(t, dir, "rev-parse", "main")
}

func BenchmarkChanged(b *testing.B) {
	for name, dirOf := range layouts {
		dir, from, to := newFleet(b, 10_000, dirOf)
		r := open(b, gitrepo.Config{URL: dir})
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if paths, err := r.Changed(b.Context(), from, to, "tenants"); err != nil || len(paths) != 1 {
					b.Fatal(paths, err)
				}
			}
		})
		b.Run(name+"/DiffTree", func(b *testing.B) {
			repo, err := git5.PlainOpen(dir)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var trees [2]*object.Tree
				for i, hash := range []string{from, to} {
					c, err := repo.CommitObject(plumbing.NewHash(hash))
					if err != nil {
						b.Fatal(err)
					}
					if trees[i], err = c.Tree(); err != nil {
						b.Fatal(err)
					}
				}
				if changes, err := object.DiffTree(trees[0], trees[1]); err != nil || len(changes) != 1 {
					b.Fatal(changes, err)
				}
			}
		})
	}
}

func BenchmarkReadTenants(b *testing.B) {
	for name, dirOf := range layouts {
		dir, _, to := newFleet(b, 10_000, dirOf)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := open(b, gitrepo.Config{URL: dir})
				tree, err := r.Tree(b.Context(), to)
				if err != nil {
					b.Fatal(err)
				}
				read := 0
				err = fs.WalkDir(tree, "tenants", func(name string, d fs.DirEntry, err error) error {
					if err != nil || path.Base(name) != "tenant.yaml" {
						return err
					}
					read++
					_, err = tree.ReadFile(name)
					return err
				})
				if err != nil || read != 10_000 {
					b.Fatal(read, err)
				}
			}
		})
	}
}

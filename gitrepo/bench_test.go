package gitrepo_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/tenantops/reconciler/gitrepo"
)

// layouts are the two ways a fleet lays out its tenants: all in one directory,
// and below one of a hundred.
var layouts = []struct {
	name  string
	dirOf func(i int) string
}{
	{"tenants/ID", func(i int) string { return fmt.Sprintf("tenants/t%05d", i) }},
	{"tenants/NN/ID", func(i int) string { return fmt.Sprintf("tenants/%02d/t%05d", i%100, i) }},
}

// benchTenants is the size of a fleet in benchmarks.
func benchTenants(b *testing.B) int {
	b.Helper()
	text := os.Getenv("BENCH_TENANTS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
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

// BenchmarkChanged compares with go-git's own comparison of two trees:
// DiffTree/op is how many times longer that takes, on a repository as freshly
// opened as ours is at its first call.
func BenchmarkChanged(b *testing.B) {
	for _, layout := range layouts {
		b.Run(layout.name, func(b *testing.B) {
			dir, from, to := newFleet(b, benchTenants(b), layout.dirOf)
			r := open(b, gitrepo.Config{URL: dir})
			var own, other []time.Duration
			for b.Loop() {
				start := time.Now()
				if paths, err := r.Changed(b.Context(), from, to, "tenants"); err != nil || len(paths) != 1 {
					b.Fatal(paths, err)
				}
				own = append(own, time.Since(start))
				if len(other) < 9 {
					b.StopTimer()
					other = append(other, diffTree(b, dir, from, to))
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(median(other))/float64(median(own)), "DiffTree/op")
		})
	}
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

// diffTree times object.DiffTree.
func diffTree(b *testing.B, dir string, hashes ...string) time.Duration {
	b.Helper()
	repo, err := gogit.PlainOpen(dir)
	if err != nil {
		b.Fatal(err)
	}
	var trees []*object.Tree
	for _, hash := range hashes {
		c, err := repo.CommitObject(plumbing.NewHash(hash))
		if err != nil {
			b.Fatal(err)
		}
		tree, err := c.Tree()
		if err != nil {
			b.Fatal(err)
		}
		trees = append(trees, tree)
	}
	start := time.Now()
	if changes, err := object.DiffTree(trees[0], trees[1]); err != nil || len(changes) != 1 {
		b.Fatal(changes, err)
	}
	return time.Since(start)
}

// BenchmarkReadTenants opens the repository and reads every tenant.yaml.
func BenchmarkReadTenants(b *testing.B) {
	for _, layout := range layouts {
		b.Run(layout.name, func(b *testing.B) {
			tenants := benchTenants(b)
			dir, _, to := newFleet(b, tenants, layout.dirOf)
			for b.Loop() {
				read := 0
				tree := readTree(b, dir, to)
				err := fs.WalkDir(tree, "tenants", func(name string, _ fs.DirEntry, err error) error {
					if err != nil || path.Base(name) != "tenant.yaml" {
						return err
					}
					read++
					_, err = tree.ReadFile(name)
					return err
				})
				if err != nil || read != tenants {
					b.Fatal(read, err)
				}
			}
		})
	}
}

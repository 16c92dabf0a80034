package gitrepo_test

import (
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// However many files a tree has, none stays open: not even until the garbage
// collector would close it.
func TestNothingOfATreeStaysOpen(t *testing.T) {
	const many = 200
	dir, content := newRepo(t), files{}
	for i := range many {
		content[fmt.Sprintf("tenants/t%d/tenant.yaml", i)] = fmt.Sprintf("id: t%d\n", i)
	}
	commit(t, dir, "many", content)
	r := open(t, gitrepo.Config{URL: dir})
	tree, err := r.Tree(t.Context(), fetch(t, r).Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := descriptors(t)
	for name := range content {
		if _, err := fs.Stat(tree, name); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(tree, name); err != nil {
			t.Fatal(err)
		}
	}
	if now := descriptors(t); now > before+many/10 {
		t.Errorf("%d files are open after reading %d, %d before", now, many, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc/self/fd: open files are not counted")
	}
	return len(open)
}

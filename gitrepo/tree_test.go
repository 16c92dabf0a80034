package gitrepo_test

import (
	"testing"
	"testing/fstest"

	"github.com/tenantops/reconciler/gitrepo"
)

func TestTreeIsAFileSystem(t *testing.T) {
	dir := newRepo(t)
	hash := commit(t, dir, "first", company)
	tree, err := open(t, gitrepo.Config{URL: dir}).Tree(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range company {
		names = append(names, name)
	}
	if err := fstest.TestFS(tree, names...); err != nil {
		t.Error(err)
	}
}

package gitrepo_test

import (
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
)

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gittest.Run(t, dir, args...)
}

// files is the content of a commit by path; an empty text removes the file.
type files map[string]string

// newRepo makes a repository with a worktree on branch main.
func newRepo(t testing.TB) string {
	t.Helper()
	return gittest.Init(t)
}

// commit writes files, commits them and returns the full hash.
func commit(t testing.TB, dir, message string, content files) string {
	t.Helper()
	return gittest.Commit(t, dir, message, content)
}

// company is a small fleet, enough for most tests.
var company = files{
	"fleet.yaml":                           "fleet: main\n",
	"apps/crm/app.yaml":                    "name: crm\n",
	"tenants/acme/tenant.yaml":             "id: acme\n",
	"tenants/eu/west/umbrella/tenant.yaml": "id: umbrella\n",
}

func open(t testing.TB, c gitrepo.Config) *gitrepo.Repo {
	t.Helper()
	r, err := gitrepo.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

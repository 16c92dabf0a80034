package gitrepo_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// git runs the real git in dir and returns what it printed. No configuration
// of the machine or the user has a part in it.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.com", "GIT_COMMITTER_DATE=2026-02-03T04:05:06+02:00")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// files is the content of a commit by path; an empty text removes the file.
type files map[string]string

// newRepo makes a repository with a worktree on branch main.
func newRepo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main", ".")
	return dir
}

// commit writes files, commits them and returns the full hash.
func commit(t testing.TB, dir, message string, content files) string {
	t.Helper()
	for name, text := range content {
		file := filepath.Join(dir, name)
		if text == "" {
			git(t, dir, "rm", "-q", name)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", message)
	return git(t, dir, "rev-parse", "HEAD")
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

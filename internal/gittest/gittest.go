// Package gittest runs the real git for tests, without the configuration of
// the machine or its user. Commits are Ada's, committed by Bob, each at a fixed
// time: the same content has the same hash in every run.
package gittest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Run runs git in dir and returns what it printed, without space around it.
// A failure ends the test.
func Run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.com", "GIT_COMMITTER_DATE=2026-02-03T04:05:06+02:00")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// Init makes a repository with a worktree on an unborn branch main.
func Init(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	Run(t, dir, "init", "--quiet", "--initial-branch=main")
	return dir
}

// Write writes files by their path below dir. An empty text removes what is
// there.
func Write(t testing.TB, dir string, content map[string]string) {
	t.Helper()
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if text == "" {
			must(t, os.RemoveAll(path))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// Commit writes files as Write does and commits all that the worktree has, even
// if that is nothing new. It returns the full hash.
func Commit(t testing.TB, dir, message string, content map[string]string) string {
	t.Helper()
	Write(t, dir, content)
	Run(t, dir, "add", "--all")
	Run(t, dir, "commit", "--quiet", "--allow-empty", "--message", message)
	return Run(t, dir, "rev-parse", "HEAD")
}

// Serve publishes the repositories below root with git's own HTTP server, each
// at its path, until the test ends. wrap may be nil, or stand before it: to ask
// for a password, to hang, to cut an answer off.
func Serve(t testing.TB, root string, wrap func(http.Handler) http.Handler) (url string) {
	t.Helper()
	var handler http.Handler = &cgi.Handler{
		Path:   filepath.Join(Run(t, root, "--exec-path"), "git-http-backend"),
		Stderr: io.Discard, // what it says of a refused request
		Env:    []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1"},
	}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

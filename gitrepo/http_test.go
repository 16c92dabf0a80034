package gitrepo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
)

// serve publishes a repository as gittest.Serve does.
func serve(t *testing.T, dir string, wrap func(http.Handler) http.Handler) (url string) {
	t.Helper()
	return gittest.Serve(t, dir, wrap) + "/.git"
}

// remote opens an empty clone of url.
func remote(t *testing.T, url string) *gitrepo.Repo {
	t.Helper()
	return open(t, gitrepo.Config{URL: url, Dir: t.TempDir()})
}

func fetch(t *testing.T, r *gitrepo.Repo) gitrepo.Head {
	t.Helper()
	head, err := r.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func TestFetchFollowsARemote(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	clones, url := t.TempDir(), serve(t, dir, nil)
	r := open(t, gitrepo.Config{URL: url, Dir: clones})

	if got, want := fetch(t, r), (gitrepo.Head{Hash: first}); got != want {
		t.Fatalf("first fetch: got %+v, want %+v", got, want)
	}
	if got, want := fetch(t, r), (gitrepo.Head{Hash: first, Previous: first}); got != want {
		t.Errorf("nothing new: got %+v, want %+v", got, want)
	}
	second := commit(t, dir, "second", files{"tenants/acme/tenant.yaml": "id: acme\nplan: pro\n"})
	if got, want := fetch(t, r), (gitrepo.Head{Hash: second, Previous: first}); got != want {
		t.Errorf("one new commit: got %+v, want %+v", got, want)
	}
	tree, err := r.Tree(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.ReadFile("tenants/acme/tenant.yaml"); err != nil || string(got) != "id: acme\nplan: pro\n" {
		t.Errorf("fetched file: got %q, %v", got, err)
	}

	// What another process finds, before it fetches and with a fetch.
	again := open(t, gitrepo.Config{URL: url, Dir: clones})
	if c, err := again.Resolve(t.Context(), ""); err != nil || c.Hash != second {
		t.Errorf("reopened: got %+v, %v, want %s", c, err, second)
	}
	third := commit(t, dir, "third", nil)
	if got, want := fetch(t, again), (gitrepo.Head{Hash: third, Previous: second}); got != want {
		t.Errorf("reopened: got %+v, want %+v", got, want)
	}
}

func TestFetchTellsOfARewrittenBranch(t *testing.T) {
	for name, address := range map[string]func(*testing.T, string) string{
		"remote": func(t *testing.T, dir string) string { return serve(t, dir, nil) },
		"local":  func(_ *testing.T, dir string) string { return dir },
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			base := commit(t, dir, "base", company)
			lost := commit(t, dir, "to be lost", nil)
			r := remote(t, address(t, dir))
			fetch(t, r)
			git(t, dir, "reset", "-q", "--hard", base)
			pushed := commit(t, dir, "in its place", nil)
			if got, want := fetch(t, r), (gitrepo.Head{Hash: pushed, Previous: lost, Rewritten: true}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if _, err := r.Tree(t.Context(), lost); err != nil {
				t.Errorf("the commit before is gone: %v", err)
			}
			if got := fetch(t, r); got.Rewritten {
				t.Errorf("told twice: %+v", got)
			}
		})
	}
}

func TestFetchTakesBranchesAndTagsAsTheRemoteHasThem(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	git(t, dir, "branch", "topic")
	git(t, dir, "tag", "-m", "annotated", "crm/v1.2.0")
	r := remote(t, serve(t, dir, nil))
	fetch(t, r)
	if hash, ok, err := r.Tag(t.Context(), "crm/v1.2.0"); hash != first || !ok || err != nil {
		t.Errorf("tag: got %s, %v, %v, want %s", hash, ok, err, first)
	}

	second := commit(t, dir, "second", nil)
	git(t, dir, "branch", "-D", "topic")
	git(t, dir, "branch", "topic/below") // cannot be beside a branch named topic
	git(t, dir, "tag", "-f", "crm/v1.2.0")
	fetch(t, r)
	if c, err := r.Resolve(t.Context(), "topic/below"); err != nil || c.Hash != second {
		t.Errorf("new branch: got %+v, %v", c, err)
	}
	if c, err := r.Resolve(t.Context(), "topic"); !errors.Is(err, gitrepo.ErrNoRef) {
		t.Errorf("deleted branch: got %+v, %v, want %v", c, err, gitrepo.ErrNoRef)
	}
	if hash, _, err := r.Tag(t.Context(), "crm/v1.2.0"); hash != second || err != nil {
		t.Errorf("moved tag: got %s, %v, want %s", hash, err, second)
	}
	if hash, ok, err := r.Tag(t.Context(), "crm/v9"); hash != "" || ok || err != nil {
		t.Errorf("no such tag: got %q, %v, %v", hash, ok, err)
	}
}

func TestResolveAsksTheRemote(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	git(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	git(t, dir, "checkout", "-q", "--detach")
	merge := commit(t, dir, "pull request", nil)
	git(t, dir, "update-ref", "refs/pull/7/head", merge)
	unnamed := commit(t, dir, "in no branch", nil)
	git(t, dir, "checkout", "-q", "main")
	r := remote(t, serve(t, dir, nil))

	resolve := func(revision, want string) {
		t.Helper()
		if c, err := r.Resolve(t.Context(), revision); err != nil || c.Hash != want {
			t.Errorf("%s: got %s, %v, want %s", revision, c.Hash, err, want)
		}
	}
	resolve("", base) // nothing was fetched yet
	resolve("refs/pull/7/head", merge)
	resolve(unnamed, unnamed)
	resolve(unnamed[:12], unnamed)
	git(t, dir, "update-ref", "refs/pull/7/head", unnamed)
	resolve("refs/pull/7/head", unnamed) // it moved
	git(t, dir, "branch", "late", merge)
	resolve("late", merge)
	for _, unknown := range []string{"nowhere", "refs/pull/8/head", "refs/pull/*/head", strings.Repeat("5", 40)} {
		if _, err := r.Resolve(t.Context(), unknown); !errors.Is(err, gitrepo.ErrNoRef) {
			t.Errorf("%s: got %v, want %v", unknown, err, gitrepo.ErrNoRef)
		}
	}
	if got := fetch(t, r); got.Hash != base || got.Rewritten {
		t.Errorf("the followed branch moved: %+v", got)
	}
}

func TestFollowedRefNeedsNoBranch(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	git(t, dir, "tag", "v1")
	pull := commit(t, dir, "pull request", nil)
	git(t, dir, "update-ref", "refs/pull/7/head", pull)
	url := serve(t, dir, nil)
	for ref, want := range map[string]string{"v1": base, "refs/tags/v1": base, "refs/pull/7/head": pull, base: base, base[:8]: base} {
		if got := fetch(t, open(t, gitrepo.Config{URL: url, Ref: ref, Dir: t.TempDir()})); got.Hash != want {
			t.Errorf("%s: got %+v, want %s", ref, got, want)
		}
	}
}

func TestAFetchThatFailsChangesNothing(t *testing.T) {
	// Each way of failing replaces the server or damages the repository.
	cases := map[string]struct {
		fault func(t *testing.T, dir string, s *switchable)
		want  error
	}{
		"the server refuses": {func(_ *testing.T, _ string, s *switchable) { s.answer(http.StatusForbidden) }, gitrepo.ErrAuth},
		"the server is broken": {
			func(_ *testing.T, _ string, s *switchable) { s.answer(http.StatusBadGateway) }, gitrepo.ErrUnreachable,
		},
		"the repository is gone": {
			func(_ *testing.T, _ string, s *switchable) { s.answer(http.StatusNotFound) }, gitrepo.ErrNoRepository,
		},
		"the server is something else": {func(_ *testing.T, _ string, s *switchable) {
			s.handle(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>hello</html>")) })
		}, gitrepo.ErrNoRepository},
		"the branch is deleted": {func(t *testing.T, dir string, _ *switchable) {
			git(t, dir, "checkout", "-q", "-b", "other")
			git(t, dir, "branch", "-q", "-D", "main")
		}, gitrepo.ErrNoRef},
		"the repository is emptied": {func(t *testing.T, dir string, _ *switchable) {
			git(t, dir, "update-ref", "-d", "refs/heads/main")
		}, gitrepo.ErrEmpty},
		"the pack is cut off":  {func(_ *testing.T, _ string, s *switchable) { s.cut(2) }, gitrepo.ErrUnreachable},
		"the pack is not sent": {func(_ *testing.T, _ string, s *switchable) { s.cut(1 << 20) }, gitrepo.ErrUnreachable},
		"the pack is damaged":  {func(_ *testing.T, _ string, s *switchable) { s.damage() }, gitrepo.ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			old := commit(t, dir, "first", company)
			s := &switchable{}
			clones := t.TempDir()
			config := gitrepo.Config{URL: serve(t, dir, s.wrap), Dir: clones}
			r := open(t, config)
			fetch(t, r)
			before := snapshot(t, clones)
			commit(t, dir, "second", files{"tenants/new/tenant.yaml": strings.Repeat("id: new\n", 1000) + git(t, dir, "log")})
			c.fault(t, dir, s)

			_, err := r.Fetch(t.Context())
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			t.Log(err)
			if after := snapshot(t, clones); after != before {
				t.Errorf("refs changed:\n%s\nbefore:\n%s", after, before)
			}
			for _, r := range []*gitrepo.Repo{r, open(t, config)} {
				c, err := r.Resolve(t.Context(), "")
				if err != nil || c.Hash != old {
					t.Fatalf("head after the failure: got %+v, %v", c, err)
				}
				if tree, err := r.Tree(t.Context(), c.Hash); err != nil {
					t.Error(err)
				} else if _, err := tree.ReadFile("tenants/acme/tenant.yaml"); err != nil {
					t.Error(err)
				}
			}

			if git(t, dir, "for-each-ref", "refs/heads/main") == "" {
				return
			}
			s.handle(nil)
			if got := fetch(t, r); got.Previous != old || got.Hash == old {
				t.Errorf("fetch after the fault: %+v", got)
			}
		})
	}
}

// snapshot is the text of all refs of the clones in dir.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "packed-refs*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("refs of the clone: %q, %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	loose, _ := filepath.Glob(filepath.Join(dir, "*", "refs", "*", "*"))
	return string(text) + strings.Join(loose, "\n")
}

func TestFetchNeedsCredentials(t *testing.T) {
	dir := newRepo(t)
	head := commit(t, dir, "first", company)
	const user, secret = "deploy", "s3cr3t-t0ken"
	url := serve(t, dir, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, _ := r.BasicAuth(); u != user || p != secret {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	withUser := func(userinfo string) string { return strings.Replace(url, "://", "://"+userinfo+"@", 1) }
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]gitrepo.Config{
		"in the URL":           {URL: withUser(user + ":" + secret)},
		"a token":              {URL: url, Auth: gitrepo.Auth{Username: user, Token: secret}},
		"a token file":         {URL: withUser(user), Auth: gitrepo.Auth{TokenFile: tokenFile}},
		"a token over the URL": {URL: withUser(user + ":old"), Auth: gitrepo.Auth{Token: secret}},
	} {
		c.Dir = t.TempDir()
		if got := fetch(t, open(t, c)); got.Hash != head {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for name, c := range map[string]gitrepo.Config{
		"none":          {URL: url},
		"wrong":         {URL: withUser("deploy:hunter2")},
		"token as user": {URL: withUser("hunter2")},
		"no such file":  {URL: withUser(user), Auth: gitrepo.Auth{TokenFile: tokenFile + ".gone"}},
	} {
		c.Dir = t.TempDir()
		_, err := open(t, c).Fetch(t.Context())
		if !errors.Is(err, gitrepo.ErrAuth) {
			t.Errorf("%s: got %v, want %v", name, err, gitrepo.ErrAuth)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func TestFetchHonoursItsDeadline(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	for name, path := range map[string]string{"refs": "/info/refs", "pack": "/git-upload-pack"} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, dir, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, path) {
						if _, err := io.Copy(io.Discard, r.Body); err == nil {
							<-r.Context().Done() // until the client gives up
						}
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			r := open(t, gitrepo.Config{URL: url, Dir: t.TempDir(), Timeout: 300 * time.Millisecond})
			if _, err := r.Fetch(t.Context()); !errors.Is(err, gitrepo.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, gitrepo.ErrUnreachable)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Fetch(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, gitrepo.ErrUnreachable) {
				t.Errorf("caller gave up: got %v", err)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	dir := newRepo(t)
	r := remote(t, "http://user:hunter2@127.0.0.1:1/x.git")
	_, err := r.Fetch(t.Context())
	if !errors.Is(err, gitrepo.ErrUnreachable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if _, err := remote(t, serve(t, dir, nil)).Fetch(t.Context()); !errors.Is(err, gitrepo.ErrEmpty) {
		t.Errorf("empty repository: got %v", err)
	}
}

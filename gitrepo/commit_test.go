package gitrepo_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
)

// bareOf makes a bare repository of a worktree's commits.
func bareOf(t *testing.T, dir string) string {
	t.Helper()
	bare := t.TempDir()
	git(t, bare, "clone", "-q", "--bare", dir, "repo")
	git(t, bare+"/repo", "config", "http.receivepack", "true")
	return bare + "/repo"
}

func add(name, text string) func(*gitrepo.Tree) (gitrepo.Change, error) {
	return func(*gitrepo.Tree) (gitrepo.Change, error) {
		return gitrepo.Change{
			Files: map[string][]byte{name: []byte(text)}, Message: "add " + name, Author: "Ada", Email: "ada@example.com",
			When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}, nil
	}
}

func TestCommit(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	for _, kind := range []string{"local", "remote"} {
		t.Run(kind, func(t *testing.T) {
			bare := bareOf(t, dir)
			at := bare
			if kind == "remote" {
				at = serveBare(t, bare, nil)
			}
			r := remote(t, at)
			done, err := r.Commit(t.Context(), add("tenants/beta/tenant.yaml", "id: beta\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got := git(t, bare, "rev-parse", "main"); got != done.Hash || done.Author != "Ada" {
				t.Errorf("the branch is at %s, want %+v", got, done)
			}
			want := "apps/crm/app.yaml fleet.yaml tenants/acme/tenant.yaml tenants/beta/tenant.yaml tenants/eu/west/umbrella/tenant.yaml"
			if got := strings.Join(strings.Fields(git(t, bare, "ls-tree", "-r", "--name-only", "main")), " "); got != want {
				t.Errorf("got files %s, want %s", got, want)
			}
			git(t, bare, "fsck", "--strict")
			if c, err := r.Resolve(t.Context(), ""); err != nil || c.Hash != done.Hash {
				t.Errorf("the repository is at %+v, %v, want %s", c, err, done.Hash)
			}
			again, err := r.Commit(t.Context(), add("tenants/beta/tenant.yaml", "id: beta\n"))
			if err != nil || again.Hash != done.Hash {
				t.Errorf("the same again: got %+v, %v, want no commit", again, err)
			}
			_, err = r.Commit(t.Context(), func(*gitrepo.Tree) (gitrepo.Change, error) {
				return gitrepo.Change{Files: map[string][]byte{"tenants/eu": nil, "apps/crm/app.yaml": nil}, Message: "remove"}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want = "fleet.yaml tenants/acme/tenant.yaml tenants/beta/tenant.yaml"
			if got := strings.Join(strings.Fields(git(t, bare, "ls-tree", "-r", "--name-only", "main")), " "); got != want {
				t.Errorf("got files %s, want %s", got, want)
			}
			git(t, bare, "fsck", "--strict")
		})
	}
}

func serveBare(t *testing.T, bare string, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	return strings.TrimSuffix(serve(t, filepath.Dir(bare), wrap), ".git") + filepath.Base(bare)
}

// Commits of several at once all arrive, whoever is first.
func TestCommitsOfManyArriveAll(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	for _, kind := range []string{"local", "remote"} {
		t.Run(kind, func(t *testing.T) {
			bare := bareOf(t, dir)
			at := bare
			if kind == "remote" {
				at = serveBare(t, bare, nil)
			}
			const writers, each = 3, 4
			var group sync.WaitGroup
			for w := range writers {
				r := remote(t, at)
				group.Go(func() {
					for n := range each {
						name := fmt.Sprintf("tenants/t%d-%d/tenant.yaml", w, n)
						if _, err := r.Commit(t.Context(), add(name, name)); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
				})
			}
			group.Wait()
			if got := strings.Count(git(t, bare, "ls-tree", "-r", "--name-only", "main"), "tenants/t"); got != writers*each {
				t.Errorf("got %d files, want %d", got, writers*each)
			}
			if got := git(t, bare, "rev-list", "--count", "main"); got != fmt.Sprint(1+writers*each) {
				t.Errorf("got %s commits, want %d", got, 1+writers*each)
			}
		})
	}
}

// A push whose answer is lost has arrived: trying again commits nothing twice.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	bare, s := bareOf(t, dir), &switchable{}
	r := remote(t, serveBare(t, bare, s.wrap))
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/git-receive-pack") {
			s.next.ServeHTTP(discarded{http.Header{}}, q)
			panic(http.ErrAbortHandler)
		}
		s.next.ServeHTTP(w, q)
	})
	if _, err := r.Commit(t.Context(), add("tenants/beta/tenant.yaml", "id: beta\n")); err != nil {
		t.Error(err)
	}
	if got := git(t, bare, "rev-list", "--count", "main"); got != "2" {
		t.Errorf("got %s commits, want 2", got)
	}
}

// discarded is an answer that nobody gets.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

func TestCommitThatCannotBe(t *testing.T) {
	dir := newRepo(t)
	first := commit(t, dir, "first", company)
	git(t, dir, "tag", "v1")
	bare, s := bareOf(t, dir), &switchable{}
	url := serveBare(t, bare, s.wrap)
	for name, test := range map[string]struct {
		config gitrepo.Config
		file   string
		want   error
	}{
		"a worktree":    {gitrepo.Config{URL: dir}, "x.yaml", gitrepo.ErrCheckedOut},
		"a tag":         {gitrepo.Config{URL: bare, Ref: "v1"}, "x.yaml", gitrepo.ErrNoRef},
		"a bad path":    {gitrepo.Config{URL: bare}, "../x.yaml", nil},
		"below a file":  {gitrepo.Config{URL: bare}, "fleet.yaml/x.yaml", nil},
		"a server away": {gitrepo.Config{URL: url, Dir: t.TempDir()}, "x.yaml", gitrepo.ErrUnreachable},
	} {
		if test.config.URL == url {
			s.answer(http.StatusBadGateway)
		}
		_, err := open(t, test.config).Commit(t.Context(), add(test.file, "x"))
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v", name, err, test.want)
		}
	}
	for _, at := range []string{dir, bare} {
		if got := git(t, at, "rev-parse", "main"); got != first {
			t.Errorf("the branch of %s has moved", at)
		}
	}
}

// Who reads the branch while others commit to it never sees it go back.
func TestReadersNeverSeeTheBranchGoBack(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	bare := bareOf(t, dir)
	writer, reader, done := remote(t, bare), remote(t, bare), make(chan struct{})
	go func() {
		defer close(done)
		for n := range 60 {
			name := fmt.Sprintf("tenants/t%d/tenant.yaml", n)
			if _, err := writer.Commit(t.Context(), add(name, name)); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		if head := fetch(t, reader); head.Rewritten {
			t.Errorf("got %+v", head)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

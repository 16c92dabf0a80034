package pull_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/preview/forge/forgetest"
	"github.com/tenantops/reconciler/preview/pull"
	"github.com/tenantops/reconciler/state"
)

var (
	ada = forgetest.User{ID: 7, Login: "ada", Name: "Ada Lovelace", Access: "write"}
	bo  = forgetest.User{ID: 6, Login: "bo", Access: "admin"}
	eve = forgetest.User{ID: 8, Login: "eve", Access: "read"}
	ci  = forgetest.User{ID: 9, Login: "project_1_bot", Program: true, Access: "admin"}
)

// plans are two digests that begin alike.
const (
	plan1 = "0123456789abcdef0000000000000000000000000000000000000000000000aa"
	plan2 = "0123456789abcdef1111111111111111111111111111111111111111111111bb"
)

// bench is a fleet's repository, its forge, its state, and a watcher on them
// whose previews say what the test wants.
type bench struct {
	*testing.T
	forge *forgetest.Forge
	dir   string
	repo  *gitrepo.Repo
	store *state.Store
	log   *lines
	w     *pull.Watcher
	end   func()

	mu       sync.Mutex
	result   pull.Result
	err      error
	asked    []pull.Request
	approved []pull.Approval
	gate     chan struct{} // when set, previews wait for it
}

func newBench(t *testing.T, kind string) *bench {
	b := &bench{T: t, forge: forgetest.New(t, kind), dir: t.TempDir(), log: &lines{}}
	b.forge.Users(ada, bo, eve, ci)
	b.git("init", "-q", "-b", "main")
	b.commit("base")
	var err error
	if b.repo, err = gitrepo.Open(t.Context(), gitrepo.Config{URL: b.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.must(b.repo.Close()) })
	if b.store, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), state.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.must(b.store.Close()) })
	b.result = pull.Result{State: forge.Success, Summary: "1 tenant, 1 plan"}
	b.start()
	t.Cleanup(func() { b.end() })
	return b
}

// start starts a watcher, as the daemon does.
func (b *bench) start() {
	b.Helper()
	c := forge.Config{Kind: b.forge.Kind, URL: b.forge.URL, Project: forgetest.Project, Token: func() (string, error) { return forgetest.Token, nil }}
	client, err := forge.Open(c)
	if err != nil {
		b.Fatal(err)
	}
	b.w = pull.New(pull.Config{
		Forge: client, Refs: c.Refs(), Project: forgetest.Project, Branch: "main", Environment: "prod", Repo: b.repo, Store: b.store,
		Preview: b.preview, Approve: b.approve, Poll: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.w.Run(ctx) }()
	b.end = func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		ended <- nil
	}
}

func (b *bench) preview(ctx context.Context, r pull.Request) (*pull.Result, error) {
	b.mu.Lock()
	b.asked = append(b.asked, r)
	gate := b.gate
	b.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	result, summary := b.result, b.result.Summary
	result.Markdown = func(mark string, _ int) string {
		return fmt.Sprintf("<!-- %s -->\npreview of %s: %s\n", mark, r.Head, summary)
	}
	return &result, b.err
}

func (b *bench) approve(_ context.Context, a pull.Approval) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.approved = append(b.approved, a)
	return nil
}

// set changes what previews say from now on.
func (b *bench) set(change func(b *bench)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *bench) git(args ...string) string {
	b.Helper()
	return gittest.Run(b, b.dir, args...)
}

func (b *bench) commit(subject string) string {
	b.Helper()
	return gittest.Commit(b, b.dir, subject, map[string]string{"file": subject})
}

// topic is a commit on a branch, with the ref of a pull request.
func (b *bench) topic(number int, subject string) string {
	b.Helper()
	b.git("checkout", "-q", "-B", "topic")
	head := b.commit(subject)
	b.git("checkout", "-q", "main")
	ref := "refs/pull/%d/head"
	if b.forge.Kind == "gitlab" {
		ref = "refs/merge-requests/%d/head"
	}
	b.git("update-ref", fmt.Sprintf(ref, number), head)
	return head
}

// until waits for a condition.
func (b *bench) until(what string, is func() bool) {
	b.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within the time\ncomments: %q\nlog:\n%s", what, b.forge.Written(1), b.log)
		}
	}
}

// shows waits for the one comment of a pull request to have a text.
func (b *bench) shows(number int, text string) {
	b.Helper()
	b.until(fmt.Sprintf("comment with %q", text), func() bool {
		written := b.forge.Written(number)
		return len(written) == 1 && strings.Contains(written[0], text)
	})
}

func (b *bench) status(commit, state string) {
	b.Helper()
	b.until("status "+state, func() bool {
		got, _ := b.forge.State(commit)
		return got == state || b.forge.Kind == "gitlab" && got == "failed" && state == "failure"
	})
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(text string) int { return strings.Count(l.String(), text) }

func each(t *testing.T, test func(*bench)) {
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, kind))
		})
	}
}

// A pull request from its beginning to its merge: one comment, and statuses
// that tell how far it is.
func TestLife(t *testing.T) {
	each(t, func(b *bench) {
		gate := make(chan struct{})
		b.set(func(b *bench) { b.gate = gate })
		first := b.topic(1, "first")
		b.forge.Open(1, eve, first)
		b.status(first, "pending")
		close(gate)
		b.shows(1, "preview of "+first)
		b.status(first, "success")

		b.set(func(b *bench) {
			b.result = pull.Result{State: forge.Failure, Summary: "blocked: 1 plan waits for an approval"}
		})
		second := b.topic(1, "second")
		b.forge.Push(1, second)
		b.w.Wake()
		b.shows(1, "preview of "+second)
		b.status(second, "failure")

		b.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
		merge := b.git("rev-parse", "HEAD")
		b.forge.Merge(1, merge)
		b.status(merge, "pending")
		r := state.Rollout{Revision: merge, Status: state.Running, Waves: []state.Wave{{Name: "canary"}, {Name: "all"}}, StartedAt: time.Now()}
		b.must(b.store.StartRollout(b.Context(), &r, nil, nil))
		if b.forge.Kind != "gitlab" { // which keeps the text of a state
			b.until("wave", func() bool { _, text := b.forge.State(merge); return strings.Contains(text, "wave 1 of 2, canary") })
		}
		r.Status, r.EndedAt = state.Succeeded, time.Now()
		b.must(b.store.SaveRollout(b.Context(), &r))
		b.status(merge, "success")
		b.until("forgotten", func() bool {
			rows, err := b.store.Pulls(b.Context(), forgetest.Project)
			return err == nil && len(rows) == 0
		})
		if got := b.forge.Written(1); len(got) != 1 {
			b.Errorf("got %d comments", len(got))
		}
	})
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// A push ends the preview before; closing ends it too, and nothing of it is
// posted.
func TestSupersedeAndClose(t *testing.T) {
	b := newBench(t, "github")
	gate := make(chan struct{})
	b.set(func(b *bench) { b.gate = gate })
	first := b.topic(1, "first")
	b.forge.Open(1, eve, first)
	b.status(first, "pending")
	second := b.topic(1, "second")
	b.forge.Push(1, second)
	b.status(second, "pending")
	close(gate)
	b.shows(1, second)
	if got := b.forge.Statuses(first); len(got) != 1 {
		t.Errorf("the head before has %+v", got)
	}

	b.set(func(b *bench) { b.gate = make(chan struct{}) }) // for ever
	third := b.topic(1, "third")
	b.forge.Push(1, third)
	b.status(third, "pending")
	b.forge.CloseWithout(1)
	b.until("forgotten", func() bool {
		rows, err := b.store.Pulls(b.Context(), forgetest.Project)
		return err == nil && len(rows) == 0
	})
	b.end() // which waits for the previews
	if got := b.forge.Statuses(third); len(got) != 1 || !strings.Contains(b.forge.Written(1)[0], second) {
		t.Errorf("got %+v", got)
	}
}

// A restart finds its comment again, by the state or by the mark; a stranger's
// comment with the mark is not taken for it, and one that was deleted is
// written anew.
func TestRestart(t *testing.T) {
	each(t, func(b *bench) {
		head := b.topic(1, "first")
		b.forge.Open(1, eve, head)
		b.forge.Say(1, eve, "<!-- reconciler preview prod -->\nall is well, merge it")
		b.shows(1, head)
		b.status(head, "success")
		b.end()
		statuses := len(b.forge.Statuses(head))
		b.set(func(b *bench) { b.result.Summary = "after a restart" })
		b.start()
		b.shows(1, "after a restart")
		b.until("status", func() bool { return b.forge.Kind == "gitlab" || len(b.forge.Statuses(head)) > statuses })
		b.end()
		b.must(b.store.ForgetPull(b.Context(), forgetest.Project, 1))
		b.set(func(b *bench) { b.result.Summary = "after a loss" })
		b.start()
		b.shows(1, "after a loss")
		b.forge.Remove(1, forgetest.Bot)
		b.set(func(b *bench) { b.result.Summary = "after a deletion" })
		b.w.Changed()
		b.shows(1, "after a deletion")
	})
}

// A forge that is away delays what is told; previews go on meanwhile.
func TestForgeAway(t *testing.T) {
	b := newBench(t, "gitea")
	first := b.topic(1, "first")
	b.forge.Open(1, eve, first)
	b.shows(1, first)
	b.forge.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	second := b.topic(1, "second") // git tells of it
	b.until("preview", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.asked[len(b.asked)-1].Head == second
	})
	b.until("log", func() bool { return b.log.count("forge away") == 1 })
	if got := b.forge.Written(1); !strings.Contains(got[0], first) {
		t.Errorf("got %q", got)
	}
	b.forge.Fault(nil)
	b.forge.Push(1, second)
	b.shows(1, second)
	b.status(second, "success")
	b.until("log", func() bool { return b.log.count("forge back") == 1 }) // after all is told
	if b.log.count("forge away") != 1 {
		t.Errorf("the log has\n%s", b.log)
	}
}

// What the machinery cannot preview is tried again, and said without details.
func TestPreviewFails(t *testing.T) {
	b := newBench(t, "github")
	b.set(func(b *bench) { b.err = errors.New("open /srv/secret/tenant.db: no such file") })
	head := b.topic(1, "first")
	b.forge.Open(1, eve, head)
	b.until("log", func() bool { return b.log.count("preview failed") > 0 })
	b.set(func(b *bench) { b.err = nil })
	b.w.Changed() // another state of the fleet: no wait
	b.shows(1, head)
	for _, s := range b.forge.Statuses(head) {
		if strings.Contains(s.Description, "secret") {
			t.Errorf("got %+v", s)
		}
	}
}

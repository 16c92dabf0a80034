package reconcile_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// host serves the world's repository over HTTP while up is true.
func (w *world) host(up *atomic.Bool) (url string) {
	backend := &cgi.Handler{
		Path:   filepath.Join(w.git("--exec-path"), "git-http-backend"),
		Stderr: io.Discard,
		Env:    []string{"GIT_PROJECT_ROOT=" + w.repo, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		backend.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(server.Close)
	return server.URL + "/.git"
}

// running is Run under way, a value of passes for each pass and one of fetches
// for each look at the repository.
type running struct {
	passes  chan passed
	fetches chan state.Source
	stop    func()
}

type passed struct {
	report reconcile.Report
	err    error
}

func run(t *testing.T, r *reconcile.Reconciler) *running {
	t.Helper()
	loop := &running{passes: make(chan passed, 100), fetches: make(chan state.Source, 100)}
	r.OnPass = func(report reconcile.Report, err error) { loop.passes <- passed{report, err} }
	r.OnFetch = func(source state.Source) { loop.fetches <- source }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	loop.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return loop
}

// While the git host is away the commit fetched before stands, in a new
// process too: passes go on, and a tenant that was broken recovers. A push that
// is told of by Wake is deployed once the host is back.
func TestHostAway(t *testing.T) {
	w := newWorld(t, shop("acme"))
	var up atomic.Bool
	up.Store(true)
	url, clones := w.host(&up), t.TempDir()
	open := func() (*reconcile.Reconciler, func()) {
		remote, err := gitrepo.Open(t.Context(), gitrepo.Config{URL: url, Dir: clones})
		if err != nil {
			t.Fatal(err)
		}
		r, closeAll := w.openWith(func(c *reconcile.Config) { c.Repo, c.Poll = remote, time.Hour })
		return r, func() {
			closeAll()
			if err := remote.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	first := w.git("rev-parse", "HEAD")
	r, closeAll := open()
	loop := run(t, r)
	if p := <-loop.passes; p.err != nil || p.report.Revision.Hash != first {
		t.Fatalf("first pass: got %+v", p)
	}
	before := <-loop.fetches
	if before.Revision != first || !before.AwaySince.IsZero() {
		t.Errorf("first fetch: got %+v", before)
	}
	loop.stop()
	closeAll()

	up.Store(false)
	second := w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	r, closeAll = open()
	defer closeAll()
	loop = run(t, r)
	defer loop.stop()
	p := <-loop.passes
	if p.err != nil || p.report.Revision.Hash != first || p.report.Status != state.Succeeded {
		t.Errorf("away: got %+v, want a pass at the commit before", p)
	}
	away := <-loop.fetches
	if away.AwaySince.IsZero() || away.Error == "" || away.Revision != first || !away.FetchedAt.Equal(before.FetchedAt.Truncate(time.Millisecond)) {
		t.Errorf("away: got %+v after %+v", away, before)
	}

	up.Store(true)
	r.Wake()
	if p := <-loop.passes; p.err != nil || p.report.Revision.Hash != second || !tenantOf(t, p.report, "acme").Result.Changed {
		t.Errorf("back: got %+v, want the new commit deployed", p)
	}
	if back := <-loop.fetches; !back.AwaySince.IsZero() || back.Error != "" || !back.FetchedAt.After(away.FetchedAt) {
		t.Errorf("back: got %+v", back)
	}
}

// While the folder of a local repository is not there the commit that was read
// stands too: a tenant that was away is brought to it.
func TestLocalRepositoryAway(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	r, closeAll := w.open()
	defer closeAll()
	file := w.tenantFile("acme")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	sync := func(want state.Health) {
		t.Helper()
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		if got := tenantOf(t, report, "acme"); got.Health != want {
			t.Errorf("got %s, want %s", got.Health, want)
		}
	}
	sync(state.Healthy)
	move(file, file+".away")
	sync(state.Missing)
	move(w.repo, w.repo+".away")
	sync(state.Missing)
	move(file+".away", file)
	sync(state.Healthy)
}

// What wakes the daemon as it is told to stop begins nothing any more: no pass,
// and no look at the repository that fails because it is given up.
func TestWakeAtTheEnd(t *testing.T) {
	w := newWorld(t, shop("a"))
	r, closeAll := w.open()
	defer closeAll()
	for range 30 { // each goes wrong by chance only
		ctx, cancel := context.WithCancel(t.Context())
		looks := 0
		r.OnFetch = func(state.Source) { looks++ }
		r.OnPass = func(_ reconcile.Report, err error) {
			if err != nil {
				t.Error(err)
			}
			cancel()
			r.Wake()
		}
		if err := r.Run(ctx); err != nil || looks != 1 {
			t.Fatalf("Run looked %d times and gave %v", looks, err)
		}
	}
}

// A Wake during a pass is not lost, and many are one: the repository is looked
// at again. It has nothing new, so no pass follows.
func TestWakeDuringAPass(t *testing.T) {
	w := newWorld(t, shop("acme"))
	r, closeAll := w.open()
	defer closeAll()
	r.Poll = time.Hour
	during, pass := make(chan struct{}), make(chan struct{})
	told := false
	r.OnTenant = func(reconcile.Tenant) {
		if !told { // of the first pass alone
			told = true
			close(during)
			<-pass
		}
	}
	loop := run(t, r)
	<-during
	for range 10 {
		r.Wake()
	}
	close(pass)
	<-loop.passes
	<-loop.fetches // before the pass
	<-loop.fetches
	loop.stop()
	if n, m := len(loop.passes), len(loop.fetches); n > 0 || m > 0 {
		t.Errorf("%d passes and %d looks more", n, m)
	}
}

// Polls of many daemons part, and no daemon polls much less than it was told.
func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		got := reconcile.Jittered(time.Minute)
		if got < 54*time.Second || got > 66*time.Second {
			t.Fatalf("got %v for a minute", got)
		}
		seen[got.Round(time.Second)] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d different times", len(seen))
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// served is a data directory with one tenant, acme, whose socket is served as
// the daemon does it.
type served struct {
	dir     string
	noticed atomic.Int32
	stop    func() // may be called twice
}

func newServed(t *testing.T) *served {
	t.Helper()
	t.Chdir(t.TempDir()) // the path of a socket is short
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := state.Open(t.Context(), "data/state.db", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	acme := state.Observed{Tenant: "acme", Sync: state.Synced, Health: state.Healthy}
	if err := store.SaveObserved(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	s := &served{dir: "data"}
	k := &control{store: store, now: time.Now, notice: func(context.Context) error { s.noticed.Add(1); return nil }}
	socket, err := serve(s.dir, k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := errors.Join(socket.close(), store.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func holdOf(tenant string) holdRequest {
	return holdRequest{target: target{Tenant: protocol.TenantID(tenant)}, Actor: "ops", Reason: "why"}
}

func TestSocketCarriesOutRequests(t *testing.T) {
	s := newServed(t)
	info, err := os.Stat("data/reconciler.sock")
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("got mode %v, %v, want a socket for its owner alone", info.Mode(), err)
	}
	held, err := ask[holdAnswer](t.Context(), s.dir, holdPath, holdOf("acme"))
	if err != nil || held.target() != "acme" || held.Owner != "ops" || held.Since == nil || s.noticed.Load() != 1 {
		t.Errorf("hold: got %+v, %v, noticed %d times", held, err, s.noticed.Load())
	}
	if _, err := ask[holdAnswer](t.Context(), s.dir, holdPath, holdOf("acmee")); err == nil || !strings.Contains(err.Error(), "has not been seen") {
		t.Errorf("hold of an unknown tenant: got %v", err)
	}
	release := releaseRequest{target: target{Tenant: "acme"}, Actor: "ops"}
	if answer, err := ask[releaseAnswer](t.Context(), s.dir, releasePath, release); err != nil || len(answer.Released) != 1 {
		t.Errorf("release: got %+v, %v", answer, err)
	}
	if got := s.noticed.Load(); got != 2 {
		t.Errorf("noticed %d times, want 2: what was refused is no change", got)
	}
	s.stop()
	if _, err := os.Stat("data/reconciler.sock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := ask[holdAnswer](t.Context(), s.dir, holdPath, holdOf("acme")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a daemon: got %v, want ErrNotExist", err)
	}
}

// Whoever may open the socket may also send it anything.
func TestSocketRefusesWhatIsNoRequest(t *testing.T) {
	s := newServed(t)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "reconciler.sock"))
	}}}
	defer client.CloseIdleConnections()
	for name, c := range map[string]struct {
		path, body string
		want       int
	}{
		"no JSON":          {holdPath, "hold acme", http.StatusBadRequest},
		"an unknown field": {holdPath, `{"tenant": "acme", "actor": "ops", "reason": "x", "force": true}`, http.StatusBadRequest},
		"nobody":           {holdPath, `{"tenant": "acme", "reason": "x"}`, http.StatusBadRequest},
		"nothing held":     {holdPath, `{"actor": "ops"}`, http.StatusBadRequest},
		"two targets":      {releasePath, `{"tenant": "acme", "all": true, "actor": "ops"}`, http.StatusBadRequest},
		"a short digest":   {approvePath, `{"plan": "0123", "actor": "ops"}`, http.StatusBadRequest},
		"too much":         {holdPath, `{"tenant": "acme", "actor": "ops", "reason": "` + strings.Repeat("x", maxRequest) + `"}`, http.StatusBadRequest},
		"another path":     {"/v1/destroy", `{}`, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := client.Post("http://daemon"+c.path, "application/json", bytes.NewBufferString(c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != c.want {
				t.Errorf("got %s, want %d", response.Status, c.want)
			}
		})
	}
	response, err := client.Get("http://daemon" + holdPath)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %s", response.Status)
	}
	if got := s.noticed.Load(); got != 0 {
		t.Errorf("%d changes were made", got)
	}
}

// A daemon that was killed leaves its socket behind; a file that is none of
// ours stays.
func TestSocketLeftBehind(t *testing.T) {
	t.Chdir(t.TempDir())
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: "reconciler.sock"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask[holdAnswer](t.Context(), ".", holdPath, holdOf("acme")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want ECONNREFUSED", err)
	}
	again, err := serve(".", &control{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}

	if err := os.WriteFile("reconciler.sock", []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serve(".", &control{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile("reconciler.sock"); err != nil || string(text) != "notes" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestSocketPathIsTooLong(t *testing.T) {
	dir := strings.Repeat("d", maxSocketPath-len("/reconciler.sock"))
	if _, err := socketPath(dir); err != nil {
		t.Error(err)
	}
	_, err := serve(dir+"d", &control{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "has 108 bytes, and the system takes 107: give a shorter --data") {
		t.Errorf("got %v", err)
	}
}

// The longest path that is let through is one that the system takes.
func TestLongestSocketPath(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := strings.Repeat("d", maxSocketPath-len("/reconciler.sock"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := serve(dir, &control{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// A process that holds the lock and takes no commands, as a sync does, is
// waited for, and not for long.
func TestChangeWaitsForTheLock(t *testing.T) {
	s := newServed(t)
	s.stop()
	held, err := acquire(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &cli{patience: 100 * time.Millisecond}
	c.settings.Data = s.dir
	_, err = change(t.Context(), c, holdPath, holdOf("acme"), (*control).hold)
	if err == nil || !strings.Contains(err.Error(), "which takes no commands: wait until it has ended") {
		t.Errorf("got %v", err)
	}

	c.patience = time.Minute
	done := make(chan error)
	go func() {
		_, err := change(t.Context(), c, holdPath, holdOf("acme"), (*control).hold)
		done <- err
	}()
	time.Sleep(100 * time.Millisecond) // it has met the lock by now, or will not: both end well
	if err := held.release(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A daemon that is started while a command has the lock starts all the same.
func TestLockIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	held, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = held.release() })
	l, err := acquireSoon(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acquireSoon(dir); err == nil {
		t.Error("the lock was taken twice")
	}
	if err := l.release(); err != nil {
		t.Error(err)
	}
}

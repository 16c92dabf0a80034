package reconcile_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// counted is the connection of a store, and what it was asked to do.
type counted struct {
	database.Conn
	mu   sync.Mutex
	said []string
}

func (c *counted) note(sql string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, sql)
}

// take returns the statements since it was called last.
func (c *counted) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

func (c *counted) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	c.note(sql)
	return c.Conn.Exec(ctx, sql, args...)
}

func (c *counted) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	c.note(sql)
	return c.Conn.Query(ctx, sql, args...)
}

// openCounted is open with a store whose statements are counted.
func (w *world) openCounted() (*reconcile.Reconciler, *counted) {
	w.t.Helper()
	ctx := w.t.Context()
	path := filepath.Join(w.data, "state.db")
	conn, err := libsql.Open(ctx, path, libsql.Options{Create: true, WAL: true, Synchronous: "NORMAL"})
	if err != nil {
		w.t.Fatal(err)
	}
	seen := &counted{Conn: conn}
	store, err := state.OpenConn(ctx, seen, path, state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	repo, err := gitrepo.Open(ctx, gitrepo.Config{URL: w.repo})
	if err != nil {
		w.t.Fatal(err)
	}
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: w.data})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			w.t.Error(err)
		}
		if err := repo.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return reconcile.New(reconcile.Config{Repo: repo, Store: store, Router: router}), seen
}

// While the repository has nothing new and nothing is due, polls make no pass
// and neither read nor write state.
func TestUnchangedPoll(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	r, store := w.openCounted()
	r.Poll, r.Look = time.Millisecond, time.Hour
	loop := run(t, r)
	if p := <-loop.passes; p.err != nil || p.report.Status != state.Succeeded {
		t.Fatalf("first pass: got %+v", p)
	}
	<-loop.fetches
	<-loop.fetches // what followed the pass is over
	store.take()
	for range 20 {
		<-loop.fetches
	}
	said := store.take()
	loop.stop()
	if len(said) > 0 {
		t.Errorf("20 polls asked state: %q", said)
	}
	if n := len(loop.passes); n > 0 {
		t.Errorf("20 polls made %d passes", n)
	}
}

// The databases are looked at when it is time, whatever git has: drift is seen.
func TestLookBetweenPolls(t *testing.T) {
	w := newWorld(t, shop("acme"))
	r, _ := w.openCounted()
	r.Poll, r.Look = time.Millisecond, 20*time.Millisecond
	loop := run(t, r)
	defer loop.stop()
	<-loop.passes
	w.onTenant("acme", "CREATE INDEX theirs ON customer (name)", "DROP INDEX theirs", "ALTER TABLE customer ADD COLUMN theirs TEXT",
		"ALTER TABLE customer DROP COLUMN name")
	for p := range loop.passes {
		if p.err == nil && tenantOf(t, p.report, "acme").Result.Drift {
			return
		}
	}
}

// A commit that concerns one tenant of many comes to that one first, and
// writes its row of what was observed and nobody else's. All are at the commit
// afterwards but one that is broken.
func TestCommitWritesWhatItConcerns(t *testing.T) {
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprintf("t%02d", i))
	}
	w := newWorld(t, shop(ids...))
	r, store := w.openCounted()
	var order []protocol.TenantID
	r.OnTenant = func(t reconcile.Tenant) { order = append(order, t.ID) }
	sync := func() map[protocol.TenantID]state.Observed {
		t.Helper()
		order = nil
		store.take()
		if _, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil {
			t.Fatal(err)
		}
		said := store.take()
		rows, err := r.Store.Observed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		store.said = said
		return rows
	}
	written := func() (n int) {
		for _, sql := range store.take() {
			if strings.HasPrefix(sql, "REPLACE INTO observed") {
				n++
			}
		}
		return n
	}
	first := w.git("rev-parse", "HEAD")
	sync()
	w.commit("break one", files{"tenants/t03/tenant.yaml": "id: t03\nname: [\n"})
	sync()
	if n := written(); n != 1 {
		t.Errorf("a commit that breaks a tenant wrote %d rows", n)
	}
	second := w.commit("an object of one", files{"tenants/t07/objects/own.yaml": "name: own\nlabel: Own\nfields:\n  a: {type: text}\n"})
	rows := sync()
	if n := written(); n != 2 { // the broken one was tried again at this commit
		t.Errorf("a commit that concerns one tenant wrote %d rows", n)
	}
	if len(order) == 0 || order[0] != "t07" {
		t.Errorf("it came to %v, first of all", order)
	}
	for id, row := range rows {
		applied := second
		if id == "t03" {
			applied = first
		}
		if row.Revision != second || row.AppliedRevision != applied {
			t.Errorf("%s is at %.12s of %.12s, want %.12s", id, row.AppliedRevision, row.Revision, applied)
		}
	}
	third := w.commit("nobody's", files{"README.md": "hello\n"})
	if rows = sync(); rows["t07"].AppliedRevision != third || rows["t03"].AppliedRevision != first {
		t.Errorf("after a commit about nobody: %+v", rows["t07"])
	}
	if n := written(); n != 1 {
		t.Errorf("it wrote %d rows", n)
	}
}

package reconcile_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// counted opens a reconciler that works on one tenant at a time, and counts its
// requests.
func (f *remoteFleet) counted() (*reconcile.Reconciler, *atomic.Int64) {
	f.t.Helper()
	var count atomic.Int64
	proxy := f.server.Proxy(f.t, func(int, *http.Request, string) sqldtest.Fault {
		count.Add(1)
		return sqldtest.None
	})
	r, closeAll := f.through(proxy.URL)
	f.t.Cleanup(closeAll)
	r.MaxConcurrent = 1
	return r, &count
}

// TestOneRequestATenant holds what a change costs a fleet on a server: the first
// tenant of a class is looked at, and each of the others takes one request,
// though they begin at the same time.
func TestOneRequestATenant(t *testing.T) {
	for _, atOnce := range []int{1, 8} {
		t.Run(fmt.Sprint(atOnce, " at once"), func(t *testing.T) { oneRequestATenant(t, atOnce) })
	}
}

func oneRequestATenant(t *testing.T, atOnce int) {
	const n = 5
	f := newRemoteFleet(t, sqldtest.Start(t), oneApp(), n)
	r, count := f.counted()
	r.MaxConcurrent = atOnce
	f.synced(r)
	object := oneObject
	for _, column := range []string{"more", "yet_more"} {
		object += "  " + column + ": {type: text}\n"
		f.commit("add a column", files{"apps/big/objects/thing.yaml": object})
		before := count.Load()
		f.synced(r)
		if got := count.Load() - before; got != n+1 {
			t.Errorf("%d requests for a column of %d tenants, want %d", got, n, n+1)
		}
	}
	for i := range n {
		if got := f.ask(i, "SELECT count(*) FROM _reconciler_journal"); got != int64(3) {
			t.Errorf("tenant %d has %v deployments, want 3", i, got)
		}
		if got := f.ask(i, "SELECT count(*) FROM _reconciler_journal a JOIN _reconciler_journal b ON b.seq = a.seq + 1 WHERE b.previous_bundle = a.bundle AND b.from_fingerprint = a.to_fingerprint"); got != int64(2) {
			t.Errorf("tenant %d has a journal whose rows do not follow one another", i)
		}
	}
}

// TestNotAsStateSays changes databases behind the reconciler's back. A plan that
// is sent to them without a look does nothing, and what then happens is what a
// look would have led to.
func TestNotAsStateSays(t *testing.T) {
	cases := []struct {
		sql    string
		reason string // empty for a deployment
		event  string // that the event of the deployment says
	}{
		{sql: "SELECT 1"}, // the one that is looked at
		{sql: "CREATE INDEX mine ON thing (title)"},
		{sql: "ALTER TABLE thing DROP COLUMN first", event: "put drift right"},
		{sql: "UPDATE sys_metadata SET metadata = '{}' WHERE name = 'thing'", event: "metadata of object thing was edited"},
		{sql: "UPDATE _reconciler_meta SET value = 'other' WHERE key = 'fleet'", reason: "OwnedElsewhere"},
		{sql: "UPDATE _reconciler_meta SET value = 't0000' WHERE key = 'tenant'", reason: "OwnedElsewhere"},
		{sql: "INSERT INTO _reconciler_meta VALUES ('suspended', '2026-01-01T00:00:00Z')", reason: "Suspended"},
		{sql: "UPDATE _reconciler_meta SET value = '9' WHERE key = 'format'", reason: "NewerJournal"},
		{sql: "UPDATE _reconciler_journal SET deployment = deployment || 'x' WHERE seq = 2"},
		{sql: "CREATE TABLE _reconciler_fill (x)"},
		{sql: "CREATE VIEW titles AS SELECT title FROM thing"},
	}
	f := newRemoteFleet(t, sqldtest.Start(t), oneApp(), len(cases))
	r, _ := f.counted()
	f.synced(r)
	f.commit("add a column", files{"apps/big/objects/thing.yaml": oneObject + "  first: {type: text}\n"})
	f.synced(r)
	for i, c := range cases {
		if _, err := f.on(i).Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
	}
	f.commit("add another", files{"apps/big/objects/thing.yaml": oneObject + "  first: {type: text}\n  second: {type: text}\n"})
	for i, tenant := range f.sync(r).Tenants {
		c := cases[i]
		deployed := f.ask(i, "SELECT count(*) FROM pragma_table_info('thing') WHERE name IN ('first', 'second')") == int64(2)
		if tenant.Result.Reason != c.reason || deployed != (c.reason == "") || (tenant.Health == state.Healthy) != deployed {
			t.Errorf("%s: %s %s, %s: %s", c.sql, tenant.Sync, tenant.Health, tenant.Result.Reason, tenant.Result.Message)
		}
		events, err := r.Store.Events(t.Context(), state.EventQuery{Tenant: tenant.ID})
		if err != nil || len(events) == 0 {
			t.Fatal(events, err)
		}
		if !strings.Contains(events[0].Detail, c.event) {
			t.Errorf("%s: event %+v, want %q", c.sql, events[0], c.event)
		}
		for _, e := range events {
			if e.Kind == state.EventFailed {
				t.Errorf("%s: what was not even tried has an event: %+v", c.sql, e)
			}
		}
	}
}

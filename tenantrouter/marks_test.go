package tenantrouter_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// mark writes what the reconciler writes into a database about it.
func (h *house) mark(id protocol.TenantID, statements ...string) {
	h.Helper()
	at, err := h.files.Locate(id, nil)
	must(h, err)
	conn, err := h.files.Open(h.Context(), at, false)
	must(h, err)
	defer conn.Close()
	for _, sql := range statements {
		_, err := conn.Exec(h.Context(), sql)
		must(h, err)
	}
}

const metaTable = "CREATE TABLE _reconciler_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

// A database that says whose it is is nobody else's, by whatever way the
// records lead there.
func TestDatabaseOfAnotherTenant(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.mark("acme", metaTable, "INSERT INTO _reconciler_meta VALUES ('tenant', 'acme')")
	must(t, os.Link(filepath.Join(h.data, "tenants", "acme.db"), filepath.Join(h.data, "tenants", "globex.db")))
	h.records.Put(tenantrouter.Record{ID: "globex", Status: protocol.TenantActive})
	h.records.Put(tenantrouter.Record{
		ID: "initech", Status: protocol.TenantActive, Connection: &protocol.TenantConnectionConfig{URL: "file:tenants/acme.db"},
	})
	for _, id := range []string{"globex", "initech"} {
		wantError(t, h.get(id, whose), http.StatusServiceUnavailable, "unavailable")
	}
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

// A database that is marked as suspended is read-only, though the record says
// nothing yet, and writable again a moment after the mark has gone.
func TestMarkedDatabaseIsReadOnly(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := newHouse(t, func(o *tenantrouter.Options) { o.Now = func() time.Time { return now } })
	h.add("acme", nil)
	h.mark("acme", metaTable, "INSERT INTO _reconciler_meta VALUES ('suspended', '2026-11-28T12:00:00Z')")
	write := func(w http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		if _, err = tenant.Exec(r.Context(), "INSERT INTO who VALUES ('more')"); err != nil {
			tenantrouter.WriteError(w, err)
		}
	}
	wantError(t, h.get("acme", write), http.StatusForbidden, "read_only")
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	h.mark("acme", "DELETE FROM _reconciler_meta")
	wantError(t, h.get("acme", write), http.StatusForbidden, "read_only")
	now = now.Add(time.Second)
	if got := h.get("acme", write); got.Code != http.StatusOK {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

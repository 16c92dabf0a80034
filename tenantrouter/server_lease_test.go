package tenantrouter_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// onServer is a house whose tenants have their databases on a real server.
func onServer(t *testing.T, change func(*tenantrouter.Options)) (*house, func() func(*tenantrouter.Record)) {
	t.Helper()
	server := sqldtest.Start(t)
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: t.TempDir(), Servers: tenantrouter.Servers{
		Hosts: []tenantrouter.Host{{Match: "*.sqld.test", Address: server.URL}},
	}})
	must(t, err)
	h := newHouse(t, func(o *tenantrouter.Options) {
		o.Files = router
		change(o)
	})
	h.files = router
	return h, func() func(*tenantrouter.Record) {
		url := "http://" + sqldtest.Host(server.Namespace(t))
		return func(r *tenantrouter.Record) { r.Connection = &protocol.TenantConnectionConfig{URL: url} }
	}
}

// What a handler forgets on a server ends with its request as it does in a
// file: the transaction is rolled back there, and its lock is free.
func TestLeasesOnServer(t *testing.T) {
	h, place := onServer(t, func(o *tenantrouter.Options) { o.PoolSize = 1 })
	h.add("acme", place())
	h.add("globex", place())
	var forgotten *tenantrouter.Lease
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		forgotten, err = tenant.Conn(r.Context())
		must(t, err)
		for _, sql := range []string{"BEGIN IMMEDIATE", "DELETE FROM who"} {
			_, err = forgotten.Exec(r.Context(), sql)
			must(t, err)
		}
	})
	if _, err := forgotten.Query(t.Context(), "SELECT 1"); !errors.Is(err, tenantrouter.ErrClosed) {
		t.Errorf("got %v from a lease of a request that has ended, want ErrClosed", err)
	}
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		conn, err := tenant.Conn(r.Context())
		must(t, err)
		_, err = conn.Exec(r.Context(), "UPDATE who SET tenant = 'database of ' || tenant WHERE 0") // takes the lock
		must(t, err)
	})
	for _, id := range []string{"acme", "globex"} {
		if got := h.get(id, whose); got.Body.String() != "database of "+id {
			t.Errorf("got %d %s after the rollback", got.Code, got.Body)
		}
	}
}

// A suspended tenant that keeps reading cannot write, whatever it sends.
func TestSuspendedOnServer(t *testing.T) {
	h, place := onServer(t, func(o *tenantrouter.Options) { o.OnSuspend = &protocol.TenantSuspendHook{ReadOnly: true} })
	at := place()
	h.add("acme", func(r *tenantrouter.Record) {
		at(r)
		r.Status = protocol.TenantSuspended
	})
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		conn, err := tenant.Conn(r.Context())
		must(t, err)
		if _, err := conn.Exec(r.Context(), "DELETE FROM who"); !errors.Is(err, database.ErrReadOnly) {
			t.Errorf("a write gives %v", err)
		}
		rows, err := conn.Query(r.Context(), "SELECT tenant FROM who")
		if err != nil || len(rows.Values) != 1 {
			t.Errorf("a read gives %v, %v", rows.Values, err)
		}
	})
}

package tenantrouter_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/tenantops/reconciler/tenantrouter"
)

// What a handler forgets to give back ends with its request: its transaction
// is rolled back, and the connection is as good as new.
func TestLeasesEndWithTheRequest(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.PoolSize = 1 })
	h.add("acme", nil)
	var forgotten *tenantrouter.Lease
	var tenant *tenantrouter.Tenant
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		var err error
		tenant, err = tenantrouter.FromContext(r.Context())
		must(t, err)
		forgotten, err = tenant.Conn(r.Context())
		must(t, err)
		for _, sql := range []string{"BEGIN IMMEDIATE", "DELETE FROM who"} {
			_, err = forgotten.Exec(r.Context(), sql)
			must(t, err)
		}
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := tenant.Conn(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v from a pool of one, want to have waited", err)
		}
	})
	if _, err := forgotten.Query(t.Context(), "SELECT 1"); !errors.Is(err, tenantrouter.ErrClosed) {
		t.Errorf("got %v from a lease of a request that has ended, want ErrClosed", err)
	}
	if _, err := tenant.Conn(t.Context()); !errors.Is(err, tenantrouter.ErrClosed) {
		t.Errorf("got %v from a tenant of a request that has ended, want ErrClosed", err)
	}
	must(t, forgotten.Close())
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s after the rollback", got.Code, got.Body)
	}
	if got := len(handles(t, h.data)); got > 3 { // database, log and its index
		t.Errorf("%d files are open for one connection", got)
	}
}

// Who holds all connections of a tenant and asks for one more does not wait
// for ever.
func TestAllConnectionsAreLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(o *tenantrouter.Options) { o.PoolSize = 1 })
		defer h.gateway.Close()
		h.add("acme", nil)
		got := h.get("acme", func(w http.ResponseWriter, r *http.Request) {
			tenant, err := tenantrouter.FromContext(r.Context())
			must(t, err)
			_, err = tenant.Conn(r.Context())
			must(t, err)
			_, err = tenant.Conn(r.Context())
			tenantrouter.WriteError(w, err)
		})
		wantError(t, got, http.StatusServiceUnavailable, "busy")
	})
}

// A handler that panics gives everything back.
func TestPanicGivesBack(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.PoolSize = 1 })
	h.add("acme", nil)
	func() {
		defer func() { _ = recover() }()
		h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
			tenant, err := tenantrouter.FromContext(r.Context())
			must(t, err)
			_, err = tenant.Conn(r.Context())
			must(t, err)
			panic("a handler's mistake")
		})
	}()
	h.gateway.InvalidateCache("acme")
	wantNoHandles(t, h)
}

// Readers of one tenant do not wait for each other, nor for a writer.
func TestReadersDoNotWait(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		var leases []*tenantrouter.Lease
		for i := range 4 {
			lease, err := tenant.Conn(r.Context())
			must(t, err)
			begin := "BEGIN"
			if i == 0 {
				begin = "BEGIN IMMEDIATE"
			}
			_, err = lease.Exec(r.Context(), begin)
			must(t, err)
			leases = append(leases, lease)
		}
		_, err = leases[0].Exec(r.Context(), "INSERT INTO who VALUES ('uncommitted')")
		must(t, err)
		for _, lease := range leases[1:] {
			rows, err := lease.Query(r.Context(), "SELECT count(*) FROM who")
			must(t, err)
			if rows.Values[0][0] != int64(1) {
				t.Errorf("a reader sees %v rows, want the committed one", rows.Values[0][0])
			}
		}
	})
}

package tenantrouter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// house is a gateway over real databases. A request names its tenant in the
// header X-Tenant-ID.
type house struct {
	testing.TB
	data    string
	place   *databasetest.Place
	files   *tenantrouter.Router
	records *tenantrouter.MemoryRecords
	gateway *tenantrouter.Gateway
}

// byHeader believes a header.
func byHeader(t testing.TB) *identity.Resolver {
	t.Helper()
	r, err := identity.New(identity.Config{Strategies: []protocol.TenantResolverStrategy{protocol.ResolveHeader}})
	must(t, err)
	return r
}

func newHouse(t testing.TB, change func(*tenantrouter.Options)) *house {
	t.Helper()
	return newHouseOn(t, databasetest.File, change)
}

func newHouseOn(t testing.TB, kind databasetest.Kind, change func(*tenantrouter.Options)) *house {
	t.Helper()
	h := &house{TB: t, place: databasetest.New(t, kind), records: &tenantrouter.MemoryRecords{}}
	h.data = h.place.Dir
	config := tenantrouter.Config{DataDir: h.data}
	if kind == databasetest.Server {
		config.Servers.Hosts = []tenantrouter.Host{{Match: "*.sqld.test", Address: h.place.Address()}}
	}
	var err error
	h.files, err = tenantrouter.New(config)
	must(t, err)
	o := tenantrouter.Options{Records: h.records, Files: h.files, Identity: byHeader(t)}
	if change != nil {
		change(&o)
	}
	h.gateway, err = tenantrouter.Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, h.gateway.Close()) })
	return h
}

// add makes an active tenant whose database has one row with its id.
func (h *house) add(id protocol.TenantID, change func(*tenantrouter.Record)) {
	h.Helper()
	record := tenantrouter.Record{
		ID: id, Name: string(id), Plan: protocol.PlanFree, Region: protocol.RegionEUWest, Status: protocol.TenantActive,
		Schema: tenantrouter.Schema{Revision: "0123abcd", BundleDigest: "feed"},
	}
	if change != nil {
		change(&record)
	}
	if h.place.OnServer() {
		conn, err := h.place.Open(h.Context(), string(id)) // which makes it
		must(h, err)
		must(h, conn.Close())
		record.Connection = &protocol.TenantConnectionConfig{URL: "http://" + h.place.Host(string(id))}
	}
	at, err := h.files.Locate(id, record.Connection)
	must(h, err)
	conn, err := h.files.Open(h.Context(), at, true)
	must(h, err)
	for _, sql := range []string{"CREATE TABLE who (tenant TEXT NOT NULL)", "INSERT INTO who VALUES ('" + string(id) + "')"} {
		_, err := conn.Exec(h.Context(), sql)
		must(h, err)
	}
	must(h, conn.Close())
	h.records.Put(record)
}

// change changes a tenant's record without telling the gateway.
func (h *house) change(id protocol.TenantID, change func(*tenantrouter.Record)) {
	h.Helper()
	record, err := h.records.Tenant(h.Context(), id)
	must(h, err)
	change(&record)
	h.records.Put(record)
}

// whose asks the database of the request's tenant whose it is.
func whose(w http.ResponseWriter, r *http.Request) {
	tenant, err := tenantrouter.FromContext(r.Context())
	if err == nil {
		var rows tenantrouter.Rows
		if rows, err = tenant.Query(r.Context(), "SELECT tenant FROM who"); err == nil {
			fmt.Fprint(w, "database of ", rows.Values[0][0])
			return
		}
	}
	tenantrouter.WriteError(w, err)
}

// get sends a request of a tenant through the middleware.
func (h *house) get(id string, handler http.HandlerFunc) *httptest.ResponseRecorder {
	h.Helper()
	request := httptest.NewRequestWithContext(h.Context(), http.MethodGet, "/orders", nil)
	if id != "" {
		request.Header.Set("X-Tenant-ID", id)
	}
	recorder := httptest.NewRecorder()
	tenantrouter.Middleware(h.gateway)(handler).ServeHTTP(recorder, request)
	return recorder
}

// wantError checks a refusal.
func wantError(t testing.TB, r *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var answer struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(r.Body.Bytes(), &answer); err != nil {
		t.Fatalf("got %d %q, want JSON", r.Code, r.Body)
	}
	if r.Code != status || answer.Error.Code != code || answer.Error.Message == "" {
		t.Errorf("got %d %+v, want %d %s", r.Code, answer.Error, status, code)
	}
}

// wantNoHandles checks that this process has no file below the data directory
// open.
func wantNoHandles(t testing.TB, h *house) {
	t.Helper()
	if open := handles(t, h.data); len(open) > 0 {
		t.Errorf("%v are open", open)
	}
}

// handles lists the open files below a directory.
func handles(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not tell which files are open")
	}
	var open []string
	for _, entry := range entries {
		if path, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err == nil && strings.HasPrefix(path, dir+"/") {
			open = append(open, path)
		}
	}
	return open
}

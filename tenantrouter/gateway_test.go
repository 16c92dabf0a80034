package tenantrouter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// house is a gateway over real databases. A request names its tenant in the
// header X-Tenant-ID.
type house struct {
	testing.TB
	data    string
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
	h := &house{TB: t, data: t.TempDir(), records: &tenantrouter.MemoryRecords{}}
	var err error
	h.files, err = tenantrouter.New(tenantrouter.Config{DataDir: h.data})
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

func TestTenantRouterContract(t *testing.T) {
	contracttest.TenantRouter(t, func(t testing.TB) contracttest.TenantRouterFixture {
		h := newHouse(t, func(o *tenantrouter.Options) { o.MaxConnections = 3 })
		n := 0
		return contracttest.TenantRouterFixture{
			Service: h.gateway, Capacity: 3, Unknown: protocol.TenantID("nobody"),
			Add: func(_ testing.TB, plan protocol.TenantPlan) (protocol.TenantID, any) {
				n++
				id := protocol.TenantID(fmt.Sprint("t", n))
				h.add(id, func(r *tenantrouter.Record) { r.Plan = plan })
				if n%2 == 0 {
					return id, id
				}
				request := httptest.NewRequest(http.MethodGet, "/", nil)
				request.Header.Set("X-Tenant-ID", string(id))
				return id, request
			},
			SetPlan: func(_ testing.TB, id protocol.TenantID, plan protocol.TenantPlan) {
				h.change(id, func(r *tenantrouter.Record) { r.Plan = plan })
			},
		}
	})
}

// Each request gets its own tenant's database, and the protocol's context.
func TestMiddleware(t *testing.T) {
	limit := int64(600)
	h := newHouse(t, nil)
	h.add("acme", func(r *tenantrouter.Record) {
		r.Plan, r.Quotas = protocol.PlanPro, &protocol.TenantQuota{APIRateLimit: &limit}
	})
	h.add("globex", nil)
	for _, id := range []string{"acme", "globex", "acme"} {
		if got := h.get(id, whose); got.Code != http.StatusOK || got.Body.String() != "database of "+id {
			t.Errorf("%s: got %d %s", id, got.Code, got.Body)
		}
	}
	h.get("acme", func(_ http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		if tenant.TenantID != "acme" || tenant.TenantPlan != protocol.PlanPro || *tenant.TenantQuotas.APIRateLimit != 600 ||
			tenant.TenantRegion != "eu-west" || tenant.Schema.Revision != "0123abcd" || tenant.Identity.By != protocol.ResolveHeader {
			t.Errorf("got %+v", tenant)
		}
		text, err := json.Marshal(tenant.TenantRuntimeContext)
		must(t, err)
		if _, report := shape.ParseJSON[protocol.TenantRuntimeContext](text, shape.Strict); len(report.Issues) > 0 {
			t.Errorf("%s is no context of the protocol: %v", text, report.Issues)
		}
	})
	if got := h.gateway.RequestsThisMinute("acme"); got < 1 || got > 3 {
		t.Errorf("%d requests were counted, want 3 or those of a minute that has just begun", got)
	}
}

func TestFromContextWithoutMiddleware(t *testing.T) {
	if _, err := tenantrouter.FromContext(t.Context()); !errors.Is(err, tenantrouter.ErrNotRouted) {
		t.Errorf("got %v, want ErrNotRouted", err)
	}
}

// Who is not served hears why, in one form; the handler is never asked.
func TestMiddlewareRefuses(t *testing.T) {
	h := newHouse(t, nil)
	for id, status := range map[protocol.TenantID]protocol.TenantProvisioningStatus{
		"suspended": protocol.TenantSuspended, "new": protocol.TenantProvisioning,
		"failed": protocol.TenantFailed, "going": protocol.TenantDestroying, "odd": "sleeping",
	} {
		h.add(id, func(r *tenantrouter.Record) { r.Status = status })
	}
	h.records.Put(tenantrouter.Record{ID: "lost", Status: protocol.TenantActive})
	h.records.Put(tenantrouter.Record{
		ID: "remote", Status: protocol.TenantActive,
		Connection: &protocol.TenantConnectionConfig{URL: "libsql://remote.example"},
	})
	never := func(http.ResponseWriter, *http.Request) { t.Error("the handler was asked") }
	for _, test := range []struct {
		tenant  string
		status  int
		code    string
		handler http.HandlerFunc
	}{
		{"", 401, "unauthenticated", never},
		{"Nobody!", 400, "malformed_identity", never},
		{"nobody", 404, "unknown_tenant", never},
		{"suspended", 403, "tenant_suspended", never},
		{"new", 503, "tenant_provisioning", never},
		{"failed", 503, "tenant_failed", never},
		{"odd", 503, "tenant_failed", never},
		{"going", 410, "tenant_destroying", never},
		{"remote", 503, "unavailable", never},
		{"lost", 503, "unavailable", whose}, // its file is opened with the first connection
	} {
		got := h.get(test.tenant, test.handler)
		wantError(t, got, test.status, test.code)
		if strings.Contains(got.Body.String(), h.data) {
			t.Errorf("%s: got %s, which names a path", test.tenant, got.Body)
		}
	}
}

// Where the protocol's configuration keeps a suspended tenant's tokens, it can
// read and nothing else.
func TestSuspendedReads(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.OnSuspend = &protocol.TenantSuspendHook{ReadOnly: true} })
	h.add("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	for _, sql := range []string{"DELETE FROM who", "CREATE TABLE more (a)", "PRAGMA user_version = 7"} {
		got := h.get("acme", func(w http.ResponseWriter, r *http.Request) {
			tenant, err := tenantrouter.FromContext(r.Context())
			must(t, err)
			_, err = tenant.Exec(r.Context(), "PRAGMA query_only = 0")
			must(t, err)
			_, err = tenant.Exec(r.Context(), sql)
			tenantrouter.WriteError(w, err)
		})
		wantError(t, got, http.StatusForbidden, "read_only")
	}
}

// A tenant that is suspended while a request has its connection keeps that to
// the end, and gets no other.
func TestSuspendedMeanwhile(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	got := h.get("acme", func(w http.ResponseWriter, r *http.Request) {
		tenant, err := tenantrouter.FromContext(r.Context())
		must(t, err)
		lease, err := tenant.Conn(r.Context())
		must(t, err)
		defer lease.Close()
		_, err = lease.Exec(r.Context(), "BEGIN IMMEDIATE")
		must(t, err)
		h.change("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
		h.gateway.InvalidateCache("acme")
		wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
		_, err = lease.Exec(r.Context(), "INSERT INTO who VALUES ('late')")
		must(t, err)
		_, err = lease.Exec(r.Context(), "COMMIT")
		must(t, err)
		rows, err := tenant.Query(r.Context(), "SELECT count(*) FROM who") // a second connection
		must(t, err)
		if rows.Values[0][0] != int64(2) {
			t.Errorf("got %v rows, want 2", rows.Values[0][0])
		}
		fmt.Fprint(w, "done")
	})
	if got.Body.String() != "done" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	wantNoHandles(t, h)
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

// More requests than apiRateLimit a minute are told when to come again; what
// the limit lets in comes back with time, and a changed limit counts.
func TestRateLimit(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := newHouse(t, func(o *tenantrouter.Options) { o.Now = func() time.Time { return now } })
	limit := int64(3)
	h.add("acme", func(r *tenantrouter.Record) { r.Quotas = &protocol.TenantQuota{APIRateLimit: &limit} })
	h.add("globex", nil)
	for range 3 {
		if got := h.get("acme", whose); got.Code != http.StatusOK {
			t.Fatalf("got %d %s within the limit", got.Code, got.Body)
		}
	}
	got := h.get("acme", whose)
	wantError(t, got, http.StatusTooManyRequests, "over_quota")
	if after := got.Header().Get("Retry-After"); after != "20" {
		t.Errorf("got Retry-After %q, want 20", after)
	}
	if got := h.get("globex", whose); got.Code != http.StatusOK {
		t.Errorf("another tenant got %d", got.Code)
	}
	now = now.Add(20 * time.Second)
	if got := h.get("acme", whose); got.Code != http.StatusOK {
		t.Errorf("got %d after the time that Retry-After says", got.Code)
	}
	wantError(t, h.get("acme", whose), http.StatusTooManyRequests, "over_quota")
	more := int64(6000)
	h.change("acme", func(r *tenantrouter.Record) { r.Quotas = &protocol.TenantQuota{APIRateLimit: &more} })
	now = now.Add(2 * time.Second)
	if got := h.get("acme", whose); got.Code != http.StatusOK {
		t.Errorf("got %d with a higher limit", got.Code)
	}
	if got := h.gateway.RequestsThisMinute("acme"); got != 5 {
		t.Errorf("%d requests were let in, want 5", got)
	}
}

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

// A record that changes counts after RecordTTL without anyone telling: another
// plan reopens the database, a suspension or removal closes it.
func TestRecordsAreReadAgain(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := newHouse(t, func(o *tenantrouter.Options) { o.Now = func() time.Time { return now } })
	h.add("acme", nil)
	client := func() any {
		t.Helper()
		c, err := h.gateway.TenantClient(t.Context(), "acme")
		must(t, err)
		return c
	}
	first := client()
	h.change("acme", func(r *tenantrouter.Record) { r.Plan = protocol.PlanPro })
	if client() != first {
		t.Error("the record was read again at once")
	}
	now = now.Add(time.Second)
	if client() == first {
		t.Error("got the client of the plan before")
	}
	if _, err := first.(*tenantrouter.Client).Conn(t.Context()); !errors.Is(err, tenantrouter.ErrClosed) {
		t.Errorf("got %v from the client of before, want ErrClosed", err)
	}
	h.records.Remove("acme")
	now = now.Add(time.Second)
	wantError(t, h.get("acme", whose), http.StatusNotFound, "unknown_tenant")
	wantNoHandles(t, h)
}

// A database file that is another one under the same name is not written to
// through a handle on the one before.
func TestReplacedFileIsReopened(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.get("acme", whose)
	for _, path := range []string{"acme.db", "acme.db-wal", "acme.db-shm"} {
		if err := os.Remove(filepath.Join(h.data, "tenants", path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	wantError(t, h.get("acme", whose), http.StatusServiceUnavailable, "unavailable")
	h.add("acme", nil)
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

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

// Databases close when nobody has used them for long, and when they were open
// for long.
func TestIdleAndOldDatabasesClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(o *tenantrouter.Options) { o.IdleTime, o.TTL = time.Minute, 5*time.Minute })
		defer h.gateway.Close()
		h.add("acme", nil)
		h.get("acme", whose)
		time.Sleep(50 * time.Second)
		if len(handles(t, h.data)) == 0 {
			t.Error("it was closed before its time")
		}
		time.Sleep(40 * time.Second)
		wantNoHandles(t, h)

		client := func() any {
			c, err := h.gateway.TenantClient(t.Context(), "acme")
			must(t, err)
			return c
		}
		first := client()
		for range 7 {
			time.Sleep(40 * time.Second)
			if client() != first {
				t.Fatal("a database that is used was closed")
			}
		}
		time.Sleep(40 * time.Second)
		if client() == first {
			t.Error("a database stays open after its TTL")
		}
	})
}

// slowRecords give the first answer when they are let.
type slowRecords struct {
	tenantrouter.Records
	entered, release chan struct{}
	reads            atomic.Int64
}

func slowly(records tenantrouter.Records) *slowRecords {
	return &slowRecords{Records: records, entered: make(chan struct{}), release: make(chan struct{})}
}

func (s *slowRecords) Tenant(ctx context.Context, id protocol.TenantID) (tenantrouter.Record, error) {
	record, err := s.Records.Tenant(ctx, id) // what is true now
	if s.reads.Add(1) == 1 {
		close(s.entered)
		<-s.release
	}
	return record, err
}

// A record that was being read when the tenant was invalidated is not kept.
func TestInvalidationOvertakesAReading(t *testing.T) {
	var slow *slowRecords
	h := newHouse(t, func(o *tenantrouter.Options) { slow = slowly(o.Records); o.Records = slow })
	h.add("acme", nil)
	done := make(chan error, 1)
	go func() {
		_, err := h.gateway.Resolve(context.Background(), "acme")
		done <- err
	}()
	<-slow.entered
	h.change("acme", func(r *tenantrouter.Record) { r.Status = protocol.TenantSuspended })
	h.gateway.InvalidateCache("acme")
	wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
	close(slow.release)
	must(t, <-done)
	wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
}

// Those who ask at the same time share one reading; the first one's end does
// not end it for the others.
func TestReadingsAreShared(t *testing.T) {
	var slow *slowRecords
	h := newHouse(t, func(o *tenantrouter.Options) {
		slow = slowly(o.Records)
		o.Records, o.RecordTTL = slow, time.Hour
	})
	h.add("acme", nil)
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error, 5)
	resolve := func(ctx context.Context) {
		_, err := h.gateway.Resolve(ctx, "acme")
		done <- err
	}
	go resolve(first)
	<-slow.entered
	for range 4 {
		go resolve(t.Context())
	}
	cancel()
	close(slow.release)
	for range 5 {
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if got := slow.reads.Load(); got != 1 {
		t.Errorf("the record was read %d times", got)
	}
}

// A record of somebody else is no answer.
func TestRecordOfAnotherTenant(t *testing.T) {
	h := newHouse(t, func(o *tenantrouter.Options) { o.Records = confused{} })
	if got := h.get("acme", whose); got.Code != http.StatusInternalServerError {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

type confused struct{}

func (confused) Tenant(context.Context, protocol.TenantID) (tenantrouter.Record, error) {
	return tenantrouter.Record{ID: "globex", Status: protocol.TenantActive}, nil
}

func TestClosedGateway(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.get("acme", whose)
	must(t, h.gateway.Close())
	wantNoHandles(t, h)
	wantError(t, h.get("acme", whose), http.StatusServiceUnavailable, "unavailable")
}

func TestOptions(t *testing.T) {
	_, err := tenantrouter.Open(tenantrouter.Options{MaxConnections: -1, TTL: -1})
	for _, want := range []string{"records", "where databases are", "at least one connection", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	o := tenantrouter.Options{}.FromProtocol(protocol.TursoMultiTenantConfig{
		MaxCachedConnections: 7, ConnectionCacheTTL: 30,
		Lifecycle: &protocol.TenantLifecycle{OnTenantSuspend: protocol.TenantSuspendHook{ReadOnly: true}},
	})
	if o.MaxConnections != 7 || o.TTL != 30*time.Second || o.OnSuspend.RevokeTokens || !o.OnSuspend.ReadOnly {
		t.Errorf("got %+v", o)
	}
}

package reconcile_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// remoteFleet is n tenants with a namespace each.
type remoteFleet struct {
	*world
	server     *sqldtest.Server
	namespaces []string
	now        time.Time
}

func newRemoteFleet(t testing.TB, server *sqldtest.Server, content files, n int) *remoteFleet {
	t.Helper()
	f := &remoteFleet{server: server, now: time.Now()}
	for i := range n {
		namespace := server.Namespace(t)
		f.namespaces = append(f.namespaces, namespace)
		id := fmt.Sprintf("t%04d", i)
		content["tenants/"+id+"/tenant.yaml"] = fmt.Sprintf("id: %s\nname: T\norgId: o\napps: [{name: big}]\nconnectionConfig: {url: 'http://%s'}\n",
			id, sqldtest.Host(namespace))
	}
	f.world = newWorld(t, content)
	return f
}

// through opens a reconciler whose requests go to an address, and are counted
// where somebody wants to know.
func (f *remoteFleet) through(address string, counted ...*connections) (*reconcile.Reconciler, func()) {
	f.t.Helper()
	return f.over(address, func(transport http.RoundTripper) http.RoundTripper {
		for _, c := range counted {
			c.RoundTripper = transport
			transport = c
		}
		return transport
	}, func(*reconcile.Config) {})
}

// over opens one whose requests go to an address by another transport.
func (f *remoteFleet) over(
	address string, transport func(http.RoundTripper) http.RoundTripper, set func(*reconcile.Config),
) (*reconcile.Reconciler, func()) {
	f.t.Helper()
	client := hrana.NewClient(hrana.ClientOptions{})
	client.Transport = transport(client.Transport)
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: f.data, Servers: tenantrouter.Servers{
		Hosts: []tenantrouter.Host{{Match: "*.sqld.test", Address: address, Client: client}},
		Now:   func() time.Time { return f.now },
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.openWith(func(c *reconcile.Config) {
		c.Router = router
		set(c)
	})
}

// on opens the database of the tenant with a number.
func (f *remoteFleet) on(i int) database.Conn {
	f.t.Helper()
	conn, err := hrana.Open(f.t.Context(), hrana.Options{URL: f.server.URL, Host: sqldtest.Host(f.namespaces[i])})
	if err != nil {
		f.t.Fatal(err)
	}
	return conn
}

func (f *remoteFleet) ask(i int, sql string) any {
	f.t.Helper()
	rows, err := f.on(i).Query(f.t.Context(), sql)
	if err != nil {
		f.t.Fatal(err)
	}
	return rows.Values[0][0]
}

func (f *remoteFleet) sync(r *reconcile.Reconciler) reconcile.Report {
	f.t.Helper()
	report, err := r.Sync(f.t.Context(), reconcile.Selection{})
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

const oneObject = "name: thing\nlabel: Thing\nfields:\n  title: {type: text, index: true}\n"

func oneApp() files {
	return files{"apps/big/app.yaml": "name: big\nlabel: Big\nversion: 1.0.0\n", "apps/big/objects/thing.yaml": oneObject}
}

// TestFleetOnServer adds a column to every tenant of a fleet on a server, whose
// answers get lost or are 404 now and then: all end synced, none is taken for
// deleted, none has the deployment twice. REMOTE_TENANTS sets how many there
// are, and from 100 on one request in a hundred meets each fault.
func TestFleetOnServer(t *testing.T) {
	n, every := 12, int64(20)
	if text := os.Getenv("REMOTE_TENANTS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	if n >= 100 {
		every = 100
	}
	server := sqldtest.Start(t)
	f := newRemoteFleet(t, server, oneApp(), n)
	var count, lost, missing atomic.Int64
	proxy := server.Proxy(t, func(int, *http.Request, string) sqldtest.Fault {
		switch count.Add(1) % every {
		case 7:
			missing.Add(1)
			return sqldtest.Missing
		case 13:
			lost.Add(1)
			return sqldtest.Drop
		}
		return sqldtest.None
	})
	r, closeAll := f.through(proxy.URL)
	defer closeAll()
	f.synced(r)
	f.commit("add a column", files{"apps/big/objects/thing.yaml": oneObject + "  more: {type: text}\n"})
	f.synced(r)
	for i := range n {
		if err := server.Exists(t.Context(), f.namespaces[i]); err != nil {
			t.Fatal(err)
		}
		if got := f.ask(i, "SELECT count(*) FROM _reconciler_journal"); got != int64(2) {
			t.Errorf("tenant %d has %v deployments, want 2", i, got)
		}
		if got := f.ask(i, "SELECT count(*) FROM pragma_table_info('thing') WHERE name = 'more'"); got != int64(1) {
			t.Errorf("tenant %d has the column %v times", i, got)
		}
	}
	if lost.Load() == 0 || missing.Load() == 0 {
		t.Error("no fault was met")
	}
	t.Logf("%d tenants, %d requests, %d answers lost, %d spurious 404", n, count.Load(), lost.Load(), missing.Load())
	before := count.Load()
	f.sync(r)
	if count.Load() != before {
		t.Errorf("a pass with nothing to do sent %d requests", count.Load()-before)
	}
}

// synced passes until every tenant is in sync, three times at most.
func (f *remoteFleet) synced(r *reconcile.Reconciler) {
	f.t.Helper()
	var left []string
	for range 3 {
		left = nil
		for _, tenant := range f.sync(r).Tenants {
			switch {
			case tenant.Sync == state.Synced && tenant.Health == state.Healthy:
			case tenant.Result.Reason == "ServerAway" && tenant.Health == state.Degraded:
				left = append(left, tenant.Result.Message)
			default:
				f.t.Fatalf("tenant %s is %s, %s: %s %s", tenant.ID, tenant.Sync, tenant.Health, tenant.Result.Reason, tenant.Result.Message)
			}
		}
		if len(left) == 0 {
			return
		}
	}
	f.t.Fatalf("%d tenants are not in sync after three passes: %s", len(left), left[0])
}

// TestDriftOnServer finds drift when it is time for a look, and not by asking
// at each pass.
func TestDriftOnServer(t *testing.T) {
	server := sqldtest.Start(t)
	f := newRemoteFleet(t, server, oneApp(), 1)
	r, closeAll := f.through(server.URL)
	defer closeAll()
	f.synced(r)
	if _, err := f.on(0).Exec(t.Context(), "DROP INDEX idx_thing_title"); err != nil {
		t.Fatal(err)
	}
	if got := f.sync(r).Tenants[0]; got.Sync != state.Synced {
		t.Errorf("at once: %s", got.Sync)
	}
	f.now = f.now.Add(time.Hour)
	got := f.sync(r).Tenants[0]
	if got.Sync != state.OutOfSync || got.Result.Reason != "Drift" {
		t.Errorf("after an hour: %s %s %s", got.Sync, got.Result.Reason, got.Result.Message)
	}
	drifted, err := r.Drift(t.Context(), nil)
	if err != nil || len(drifted) != 1 || len(drifted[0].Differences) != 1 {
		t.Errorf("drift: %+v %v", drifted, err)
	}
}

// TestServerAway is a fleet whose server is gone: degraded, and well again when
// it is back.
func TestServerAway(t *testing.T) {
	server := sqldtest.Start(t)
	f := newRemoteFleet(t, server, oneApp(), 2)
	var gone atomic.Bool
	gone.Store(true)
	proxy := server.Proxy(t, func(int, *http.Request, string) sqldtest.Fault {
		if gone.Load() {
			return sqldtest.Refuse
		}
		return sqldtest.None
	})
	r, closeAll := f.through(proxy.URL)
	defer closeAll()
	for _, tenant := range f.sync(r).Tenants {
		if tenant.Health != state.Degraded || tenant.Result.Reason != "ServerAway" || strings.Contains(tenant.Result.Message, "/v3/") {
			t.Errorf("tenant %s is %s, %s: %s", tenant.ID, tenant.Health, tenant.Result.Reason, tenant.Result.Message)
		}
	}
	gone.Store(false)
	f.synced(r)
}

// A database that takes no writes is opened once more, which for a file whose log
// another process is just making is enough. The one that stays so is told of.
func TestReadOnlyForAMoment(t *testing.T) {
	server := sqldtest.Start(t)
	f := newRemoteFleet(t, server, oneApp(), 1)
	var refused, times atomic.Int64
	proxy := server.Proxy(t, func(_ int, _ *http.Request, body string) sqldtest.Fault {
		if strings.Contains(body, "BEGIN IMMEDIATE") && refused.Add(1) <= times.Load() {
			return sqldtest.ReadOnly
		}
		return sqldtest.None
	})
	r, closeAll := f.through(proxy.URL)
	defer closeAll()
	f.synced(r)
	f.commit("add a column", files{"apps/big/objects/thing.yaml": oneObject + "  more: {type: text}\n"})
	refused.Store(0)
	times.Store(1000)
	if got := f.sync(r).Tenants[0]; got.Health != state.Degraded || got.Result.Reason != "PermissionDenied" || refused.Load() != 2 {
		t.Errorf("got %s, %s after %d tries (%v); want that it was tried twice", got.Health, got.Result.Reason, refused.Load(), got.Result.Err)
	}
	refused.Store(0)
	times.Store(1)
	f.synced(r)
	if refused.Load() != 2 {
		t.Errorf("got %d tries, want one that was refused and one that was not", refused.Load())
	}
}

// TestSharedDatabaseOnServer tells two tenants that lead to one namespace.
func TestSharedDatabaseOnServer(t *testing.T) {
	server := sqldtest.Start(t)
	content := oneApp()
	namespace := server.Namespace(t)
	for id, url := range map[string]string{"a": "http://" + namespace + ".sqld.test", "b": "http://" + namespace + ".other.sqld.test"} {
		content["tenants/"+id+"/tenant.yaml"] = "id: " + id + "\nname: T\norgId: o\napps: [{name: big}]\nconnectionConfig: {url: '" + url + "'}\n"
	}
	f := newRemoteFleet(t, server, content, 0)
	r, closeAll := f.through(server.URL)
	defer closeAll()
	for _, tenant := range f.sync(r).Tenants {
		if tenant.Result.Reason != "DatabaseShared" {
			t.Errorf("tenant %s: %s %s", tenant.ID, tenant.Result.Reason, tenant.Result.Message)
		}
	}
}

package provision_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// fleet is what the tenants of a test belong to.
type fleet struct{ config config.Fleet }

func (f *fleet) Config(context.Context) (config.Fleet, error) { return f.config, nil }

func (f *fleet) Compose(_ context.Context, spec bundle.TenantSpec) (provision.Composed, error) {
	text := `{"id":"` + spec.ID + `","name":"x","apps":[{"name":"shop"}]}`
	loaded, err := bundle.Load(fstest.MapFS{
		"apps/shop/app.yaml":                  {Data: []byte("name: shop\nlabel: Shop\nversion: 1.0.0\n")},
		"apps/shop/objects/customer.yaml":     {Data: []byte("name: customer\nfields:\n  name: {type: text}\n")},
		"tenants/" + spec.ID + "/tenant.yaml": {Data: []byte(text)},
	}, bundle.Options{})
	if err != nil {
		return provision.Composed{}, err
	}
	return provision.Composed{Spec: spec, Quotas: f.config.QuotasOf(spec.Plan, spec.Quotas), Request: deploy.Request{
		Owner:   provision.OwnerOf(f.config, protocol.TenantID(spec.ID), spec),
		Desired: loaded.Tenants[0].Desired,
	}}, nil
}

func (f *fleet) Has(_ context.Context, id protocol.TenantID) (bool, error) { return id == "taken", nil }

// world is a service with a data directory, or with databases in memory.
type world struct {
	*provision.Service
	t     testing.TB
	data  string
	fleet *fleet
	now   time.Time
}

func onFiles(t testing.TB) *world {
	return open(t, t.TempDir(), nil)
}

func inMemory(t testing.TB) *world {
	return open(t, t.TempDir(), &provision.Memory{})
}

func open(t testing.TB, data string, provider provision.Provider) *world {
	t.Helper()
	return openWith(t, data, provider, nil)
}

// openWith opens a world whose provider needs its store; hosted may be nil.
func openWith(t testing.TB, data string, provider provision.Provider, hosted func(*world, *state.Store) provision.Provider) *world {
	t.Helper()
	w := &world{t: t, data: data, fleet: &fleet{config: config.Fleet{Fleet: "main", Environment: config.Prod, GraceHours: 72, Backup: config.Backup{To: "file:backups", Retention: "30d"}}}, now: time.Now()}
	if provider == nil && hosted == nil {
		router, err := tenantrouter.New(tenantrouter.Config{DataDir: data})
		must(t, err)
		provider = provision.Files{Router: router}
	}
	store, err := state.Open(t.Context(), filepath.Join(data, "state.db"), state.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	if hosted != nil {
		provider = hosted(w, store)
	}
	by, now := deploy.Doer{Actor: "ada", Via: "test"}, func() time.Time { return w.now }
	snapshots := deploy.Snapshots{Dir: filepath.Join(data, "snapshots")}
	w.Service = provision.New(provision.Config{
		Store: store, Provider: provider, Fleet: w.fleet, By: by, Now: now, Snapshots: snapshots,
		Deployer: deploy.New(deploy.Config{Store: store, By: by, Now: now}),
		Backups:  provision.Directories(data, ""), Scratch: filepath.Join(data, "scratch"),
	})
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes to a tenant's database as an application would.
func (w *world) write(tenant protocol.TenantID) error {
	at, err := w.Provider.Locate(tenant, nil)
	if err != nil {
		return err
	}
	conn, err := w.Provider.Open(w.t.Context(), at, false)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !database.Remote(conn) { // a server refuses by itself
		if _, err := apply.Honor(w.t.Context(), conn); err != nil {
			return err
		}
	}
	_, err = conn.Exec(w.t.Context(), "INSERT INTO customer (id, name) VALUES (lower(hex(randomblob(8))), 'Ada')")
	return err
}

// rows counts the customers of a tenant.
func (w *world) rows(tenant protocol.TenantID) int64 {
	w.t.Helper()
	var n int64
	w.look(tenant, func(conn database.Conn) {
		rows, err := conn.Query(w.t.Context(), "SELECT count(*) FROM customer")
		must(w.t, err)
		n = rows.Values[0][0].(int64)
	})
	return n
}

func (w *world) look(tenant protocol.TenantID, do func(database.Conn)) {
	w.t.Helper()
	at, err := w.Provider.Locate(tenant, nil)
	must(w.t, err)
	conn, err := w.Provider.Open(w.t.Context(), at, false)
	must(w.t, err)
	do(conn)
	must(w.t, conn.Close())
}

// provision signs an organisation up.
func (w *world) provision(org string) protocol.TenantID {
	w.t.Helper()
	r, err := w.ProvisionTenant(w.t.Context(), protocol.TenantProvisioningRequest{OrgID: org})
	must(w.t, err)
	if r.Status != protocol.TenantActive {
		w.t.Fatalf("provision %s: got %+v", org, r)
	}
	return r.TenantID
}

func (w *world) kinds(tenant protocol.TenantID) []string {
	w.t.Helper()
	events, err := w.Store.Events(w.t.Context(), state.EventQuery{Tenant: tenant})
	must(w.t, err)
	var kinds []string
	for i := range events {
		kinds = append(kinds, events[len(events)-1-i].Kind)
	}
	return kinds
}

package applifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tenantops/reconciler/applifecycle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// maxObjects is the quota of every tenant here.
const maxObjects = 6

func TestServiceKeepsItsContract(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, kind databasetest.Kind) {
		contracttest.AppLifecycle(t, func(t testing.TB) contracttest.AppLifecycleFixture {
			x := newTenants(t, kind)
			return contracttest.AppLifecycleFixture{
				Service: x.service, Tenant: "acme", MaxObjects: maxObjects,
				Publish: func(_ testing.TB, app protocol.AppManifest) { x.publish(app, "name") },
				Insert:  func(_ testing.TB, object, name string) { x.insert(object, name) },
				Names:   func(_ testing.TB, object string) []string { return x.names(object) },
			}
		})
	}, databasetest.File, databasetest.Memory, databasetest.Server)
}

// tenants are acme alone, and a catalog of apps.
type tenants struct {
	t       testing.TB
	place   *databasetest.Place
	store   *state.Store
	service *applifecycle.Service
	wrap    func(database.Conn) database.Conn

	mu        sync.Mutex
	published map[string]fstest.MapFS // by app, and by app/vVERSION
}

func newTenants(t testing.TB, kind databasetest.Kind) *tenants {
	t.Helper()
	return openTenants(t, databasetest.New(t, kind))
}

// openTenants opens the tenants of a place.
func openTenants(t testing.TB, place *databasetest.Place) *tenants {
	t.Helper()
	x := &tenants{t: t, place: place, published: map[string]fstest.MapFS{}}
	store, err := state.Open(t.Context(), filepath.Join(place.Dir, "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x.store = store
	t.Cleanup(func() { _ = store.Close() }) // a test may have closed it
	limits := protocol.TenantQuota{MaxObjects: new(int64(maxObjects))}
	x.service = applifecycle.New(applifecycle.Config{
		Deployer: deploy.New(deploy.Config{Store: store}), Tenants: x, Catalog: x, Fleet: "main", Environment: "prod",
		Policy:        deploy.Policy{Plan: deploy.PlanPolicy{SeedMode: "strict", Retire: true}},
		KernelVersion: "3.0.9",
		Quotas:        func(protocol.TenantID) tenantrouter.Quotas { return tenantrouter.Quotas{Limits: limits} },
	})
	return x
}

func (x *tenants) Open(ctx context.Context, tenant protocol.TenantID) (database.Conn, error) {
	if tenant != "acme" {
		return nil, fmt.Errorf("%w %q", protocol.ErrUnknownTenant, tenant)
	}
	conn, err := x.place.Open(ctx, "acme")
	if err != nil {
		return nil, err
	}
	if x.wrap != nil {
		conn = x.wrap(conn)
	}
	return conn, nil
}

// publish puts an app into the catalog: each of its objects with fields of text.
func (x *tenants) publish(app protocol.AppManifest, fields ...string) {
	x.t.Helper()
	dir := "apps/" + app.Name + "/"
	tree := fstest.MapFS{dir + "app.yaml": x.file(app)}
	for _, object := range app.Objects {
		all := map[string]any{}
		for _, f := range fields {
			all[f] = map[string]any{"type": "text"}
		}
		tree[dir+"objects/"+object+".yaml"] = x.file(map[string]any{"name": object, "fields": all})
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.published[app.Name], x.published[app.Name+"/v"+app.Version] = tree, tree
}

func (x *tenants) file(value any) *fstest.MapFile {
	x.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		x.t.Fatal(err)
	}
	return &fstest.MapFile{Data: text}
}

// Tree implements applifecycle.Catalog.
func (x *tenants) Tree(context.Context) (fs.FS, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := fstest.MapFS{"apps": &fstest.MapFile{Mode: fs.ModeDir | 0o700}}
	for name, tree := range x.published {
		for path, file := range tree {
			if !strings.Contains(name, "/") {
				all[path] = file
			}
		}
	}
	return all, nil
}

// Version implements applifecycle.Catalog.
func (x *tenants) Version(app, version string) (fs.FS, string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	tree, ok := x.published[app+"/v"+version]
	if !ok {
		return nil, "", fmt.Errorf("there is no %s %s: %w", app, version, fs.ErrNotExist)
	}
	return tree, version, nil
}

// on runs f on the database of acme, as its application would.
func (x *tenants) on(f func(database.Conn) error) {
	x.t.Helper()
	conn, err := x.Open(x.t.Context(), "acme")
	if err == nil {
		err = errors.Join(f(conn), conn.Close())
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *tenants) insert(object, name string) {
	x.t.Helper()
	x.on(func(conn database.Conn) error {
		_, err := conn.Exec(x.t.Context(), "INSERT INTO "+schema.Quote(object)+" (id, name) VALUES (?, ?)", object+name, name)
		return err
	})
}

// names returns the names of an object's rows, nil without a table.
func (x *tenants) names(object string) []string {
	x.t.Helper()
	return x.query("SELECT name FROM " + schema.Quote(object) + " ORDER BY name")
}

// query returns the first column of every row, nil where there is no such
// table.
func (x *tenants) query(sql string) (values []string) {
	x.t.Helper()
	x.on(func(conn database.Conn) error {
		rows, err := conn.Query(x.t.Context(), sql)
		if err != nil && strings.Contains(err.Error(), "no such table") {
			return nil
		}
		values = []string{}
		for _, row := range rows.Values {
			values = append(values, fmt.Sprint(row[0]))
		}
		return err
	})
	return values
}

func (x *tenants) want(what string, got []string, want ...string) {
	x.t.Helper()
	if !slices.Equal(got, want) {
		x.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// app is a manifest.
func app(name, version string, objects ...string) protocol.AppManifest {
	return protocol.AppManifest{Name: name, Label: name, Version: version, Objects: objects}
}

// install publishes and installs apps.
func (x *tenants) install(apps ...protocol.AppManifest) {
	x.t.Helper()
	for _, a := range apps {
		x.publish(a, "name")
		x.must(x.service.InstallApp(x.t.Context(), "acme", a, nil))
	}
}

func (x *tenants) must(result protocol.AppInstallResult, err error) protocol.AppInstallResult {
	x.t.Helper()
	if err != nil || !result.Success {
		x.t.Fatalf("got %+v, error %v", result, err)
	}
	return result
}

package contracttest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/protocol"
)

// AppLifecycleFixture is an AppLifecycleService and one tenant without apps.
type AppLifecycleFixture struct {
	Service protocol.AppLifecycleService
	Tenant  protocol.TenantID
	// MaxObjects is the tenant's quota of objects, at least 3.
	MaxObjects int
	// Publish makes the definitions of an app available to the service: each
	// object that the manifest names, with a field "name" of text.
	Publish func(t testing.TB, app protocol.AppManifest)
	// Insert adds a row with a name to the table of an object.
	Insert func(t testing.TB, object, name string)
	// Names returns the names in the table of an object, sorted. It is nil
	// when there is no table, and empty when there is no row.
	Names func(t testing.TB, object string) []string
}

// AppLifecycle exercises the contract of protocol.AppLifecycleService.
func AppLifecycle(t *testing.T, open func(testing.TB) AppLifecycleFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, AppLifecycleFixture)
	}{
		{"an app that fits is compatible", compatible},
		{"each kind of obstacle has its category", incompatible},
		{"all obstacles are named at once", allObstacles},
		{"checking changes nothing", checkingChangesNothing},
		{"an installed app has its tables and seed records", install},
		{"an app that does not fit is not installed", installIncompatible},
		{"an upgrade adds and keeps rows", upgrade},
		{"an upgrade that does not fit changes nothing", upgradeIncompatible},
		{"an app that is not installed is not upgraded", upgradeUnknown},
		{"uninstalling keeps the tables", uninstall},
		{"uninstalling drops the tables when told to", uninstallDropping},
		{"an app that others depend on stays", uninstallNeeded},
		{"an app that is not installed is not uninstalled", uninstallUnknown},
		{"a tenant that is not known is an error", appsOfNobody},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// app is a manifest of version 1.0.0.
func app(name string, objects ...string) protocol.AppManifest {
	return protocol.AppManifest{Name: name, Label: name, Version: "1.0.0", Objects: objects}
}

// install publishes and installs an app that fits.
func (f AppLifecycleFixture) install(t testing.TB, app protocol.AppManifest) protocol.AppInstallResult {
	t.Helper()
	f.Publish(t, app)
	result := must(f.Service.InstallApp(t.Context(), f.Tenant, app, nil))(t)
	if !result.Success || result.Error != "" {
		t.Fatalf("got %+v, want the app installed", result)
	}
	return result
}

func (f AppLifecycleFixture) check(t testing.TB, app protocol.AppManifest) protocol.AppCompatibilityCheck {
	t.Helper()
	f.Publish(t, app)
	return must(f.Service.CheckCompatibility(t.Context(), f.Tenant, app))(t)
}

func (f AppLifecycleFixture) wantTable(t testing.TB, object string, want bool) {
	t.Helper()
	if got := f.Names(t, object) != nil; got != want {
		t.Errorf("object %s has a table: %t, want %t", object, got, want)
	}
}

func compatible(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	fits := app("sales", objects(f.MaxObjects-1)...)
	fits.MinKernelVersion, fits.Dependencies = "0.0.1", []string{"crm"}
	if got := f.check(t, fits); !got.Compatible || len(got.Issues) > 0 {
		t.Errorf("got %+v, want a compatible app without issues", got)
	}
}

// objects are the names of n objects.
func objects(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("object_%d", i))
	}
	return names
}

func incompatible(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	tooNew, dependent := app("a", "one"), app("c", "one")
	tooNew.MinKernelVersion = "999.0.0"
	dependent.Dependencies = []string{"crm", "nobody"}
	large := app("d", objects(f.MaxObjects)...) // beside the account of crm
	for category, app := range map[protocol.AppCategory]protocol.AppManifest{
		protocol.CategoryKernelVersion:     tooNew,
		protocol.CategoryObjectConflict:    app("b", "account"),
		protocol.CategoryDependencyMissing: dependent,
		protocol.CategoryQuotaExceeded:     large,
	} {
		got := f.check(t, app)
		found := slices.ContainsFunc(got.Issues, func(i protocol.AppCompatibility) bool {
			return i.Category == category && i.Severity == protocol.AppError && i.Message != ""
		})
		if got.Compatible || !found || len(got.Issues) != 1 {
			t.Errorf("got %+v, want %s alone", got, category)
		}
	}
}

func allObstacles(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	bad := app("bad", append(objects(f.MaxObjects), "account")...)
	bad.MinKernelVersion, bad.Dependencies = "999.0.0", []string{"nobody"}
	got := f.check(t, bad)
	var categories []string
	for _, issue := range got.Issues {
		categories = append(categories, string(issue.Category))
	}
	slices.Sort(categories)
	wantList(t, "categories", slices.Compact(categories), "dependency_missing", "kernel_version", "object_conflict", "quota_exceeded")
	if got.Compatible {
		t.Error("the app is compatible all the same")
	}
}

func checkingChangesNothing(t *testing.T, f AppLifecycleFixture) {
	f.check(t, app("crm", "account"))
	f.wantTable(t, "account", false)
}

func install(t *testing.T, f AppLifecycleFixture) {
	crm := app("crm", "account", "contact")
	crm.HasSeedData = true
	crm.SeedData = []map[string]any{{"object": "account", "records": []any{map[string]any{"name": "seeded"}}}}
	f.Publish(t, crm)
	got := must(f.Service.InstallApp(t.Context(), f.Tenant, crm, map[string]any{"currency": "EUR"}))(t)
	if !got.Success || got.AppID != "crm" || got.Version != "1.0.0" || got.SeededRecords != 1 {
		t.Errorf("got %+v, want crm 1.0.0 with one seeded record", got)
	}
	wantList(t, "objects", slices.Sorted(slices.Values(got.InstalledObjects)), "account", "contact")
	if len(got.CreatedTables) != 2 {
		t.Errorf("got created tables %q, want two", got.CreatedTables)
	}
	wantList(t, "rows", f.Names(t, "account"), "seeded")
	f.wantTable(t, "contact", true)
}

func installIncompatible(t *testing.T, f AppLifecycleFixture) {
	dependent := app("sales", "deal")
	dependent.Dependencies = []string{"crm"}
	f.Publish(t, dependent)
	got := must(f.Service.InstallApp(t.Context(), f.Tenant, dependent, nil))(t)
	if got.Success || got.Error == "" || got.AppID != "sales" {
		t.Errorf("got %+v, want sales refused with an error", got)
	}
	f.wantTable(t, "deal", false)
	f.install(t, app("crm", "account"))
	f.install(t, dependent)
	f.wantTable(t, "deal", true)
}

func upgrade(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	f.Insert(t, "account", "mine")
	next := app("crm", "account", "contact")
	next.Version = "1.1.0"
	f.Publish(t, next)
	got := must(f.Service.UpgradeApp(t.Context(), f.Tenant, next))(t)
	if !got.Success || got.Version != "1.1.0" || len(got.CreatedTables) != 1 {
		t.Errorf("got %+v, want 1.1.0 with one table created", got)
	}
	wantList(t, "rows", f.Names(t, "account"), "mine")
	f.wantTable(t, "contact", true)
	if !must(f.Service.UninstallApp(t.Context(), f.Tenant, "crm", true))(t) {
		t.Error("the app was not uninstalled")
	}
	f.wantTable(t, "contact", false) // it is the newer manifest that is installed
}

func upgradeIncompatible(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	f.Insert(t, "account", "mine")
	next := app("crm", "account", "contact")
	next.Version, next.MinKernelVersion = "1.1.0", "999.0.0"
	f.Publish(t, next)
	got := must(f.Service.UpgradeApp(t.Context(), f.Tenant, next))(t)
	if got.Success || got.Error == "" || got.AppID != "crm" {
		t.Errorf("got %+v, want crm refused with an error", got)
	}
	wantList(t, "rows", f.Names(t, "account"), "mine")
	f.wantTable(t, "contact", false)
}

func upgradeUnknown(t *testing.T, f AppLifecycleFixture) {
	crm := app("crm", "account")
	f.Publish(t, crm)
	got := must(f.Service.UpgradeApp(t.Context(), f.Tenant, crm))(t)
	if got.Success || got.Error == "" {
		t.Errorf("got %+v, want an error", got)
	}
	f.wantTable(t, "account", false)
}

func uninstall(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	f.Insert(t, "account", "mine")
	if !must(f.Service.UninstallApp(t.Context(), f.Tenant, "crm", false))(t) {
		t.Error("the app was not uninstalled")
	}
	wantList(t, "rows", f.Names(t, "account"), "mine")
	if must(f.Service.UninstallApp(t.Context(), f.Tenant, "crm", false))(t) {
		t.Error("the app was uninstalled twice")
	}
}

func uninstallDropping(t *testing.T, f AppLifecycleFixture) {
	f.install(t, app("crm", "account"))
	f.install(t, app("todo", "task"))
	if !must(f.Service.UninstallApp(t.Context(), f.Tenant, "crm", true))(t) {
		t.Error("the app was not uninstalled")
	}
	f.wantTable(t, "account", false)
	f.wantTable(t, "task", true)
}

func uninstallNeeded(t *testing.T, f AppLifecycleFixture) {
	sales := app("sales", "deal")
	sales.Dependencies = []string{"crm"}
	f.install(t, app("crm", "account"))
	f.install(t, sales)
	done, err := f.Service.UninstallApp(t.Context(), f.Tenant, "crm", true)
	wantError(t, err, protocol.ErrAppNeeded)
	if done {
		t.Error("the app was uninstalled beside the error")
	}
	f.wantTable(t, "account", true)
	for _, name := range []string{"sales", "crm"} {
		if !must(f.Service.UninstallApp(t.Context(), f.Tenant, name, true))(t) {
			t.Errorf("%s was not uninstalled", name)
		}
	}
}

func uninstallUnknown(t *testing.T, f AppLifecycleFixture) {
	if must(f.Service.UninstallApp(t.Context(), f.Tenant, "nothing", true))(t) {
		t.Error("an app that was never there was uninstalled")
	}
}

func appsOfNobody(t *testing.T, f AppLifecycleFixture) {
	crm := app("crm", "account")
	f.Publish(t, crm)
	_, err := f.Service.CheckCompatibility(t.Context(), "nobody", crm)
	wantError(t, err, protocol.ErrUnknownTenant)
	_, err = f.Service.InstallApp(t.Context(), "nobody", crm, nil)
	wantError(t, err, protocol.ErrUnknownTenant)
	_, err = f.Service.UpgradeApp(t.Context(), "nobody", crm)
	wantError(t, err, protocol.ErrUnknownTenant)
	_, err = f.Service.UninstallApp(t.Context(), "nobody", "crm", false)
	wantError(t, err, protocol.ErrUnknownTenant)
}

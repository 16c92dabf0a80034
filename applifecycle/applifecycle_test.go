package applifecycle_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/protocol"
)

// installed is a tenant's apps as "crm 1.0.0", with a star for one that others
// need and nobody named.
func (x *tenants) installed() string {
	x.t.Helper()
	apps, err := x.service.Installed(x.t.Context(), "acme")
	if err != nil {
		x.t.Fatal(err)
	}
	var all []string
	for _, a := range apps {
		text := a.Name + " " + a.Version
		if a.Implied {
			text += "*"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (x *tenants) wantApps(want string) {
	x.t.Helper()
	if got := x.installed(); got != want {
		x.t.Errorf("got apps %q, want %q", got, want)
	}
}

func TestDependenciesAreInstalledFirst(t *testing.T) {
	x := newTenants(t, databasetest.File)
	crm, sales := app("crm", "1.0.0", "account"), app("sales", "1.0.0", "deal")
	sales.Dependencies = []string{"crm"}
	x.publish(crm, "name")
	x.publish(sales, "name")
	result := x.must(x.service.InstallApp(t.Context(), "acme", sales, nil))
	x.want("tables", result.CreatedTables, "account", "deal")
	x.want("objects", result.InstalledObjects, "deal")
	x.wantApps("crm 1.0.0*, sales 1.0.0")
	x.insert("account", "mine")
	if done, err := x.service.UninstallApp(t.Context(), "acme", "crm", false); done || !errors.Is(err, protocol.ErrAppNeeded) {
		t.Errorf("got %t, %v, want it refused: sales needs it", done, err)
	}
	if done, err := x.service.UninstallApp(t.Context(), "acme", "sales", true); !done || err != nil {
		t.Errorf("got %t, %v", done, err)
	}
	x.wantApps("")
	x.want("accounts, of an app that went along", x.names("account"), "mine")
	x.want("deals", x.names("deal"))
}

func TestAppThatOthersNeededIsNamed(t *testing.T) {
	x := newTenants(t, databasetest.File)
	crm, sales := app("crm", "1.0.0", "account"), app("sales", "1.0.0", "deal")
	sales.Dependencies = []string{"crm"}
	x.publish(crm, "name")
	x.install(sales, crm)
	x.wantApps("crm 1.0.0, sales 1.0.0")
	if done, err := x.service.UninstallApp(t.Context(), "acme", "sales", false); !done || err != nil {
		t.Errorf("got %t, %v", done, err)
	}
	x.wantApps("crm 1.0.0")
}

func TestInstallingAgainChangesNothing(t *testing.T) {
	x := newTenants(t, databasetest.File)
	crm := app("crm", "1.0.0", "account")
	x.install(crm)
	journal := x.query("SELECT deployment FROM _reconciler_journal")
	if again := x.must(x.service.InstallApp(t.Context(), "acme", crm, nil)); len(again.CreatedTables) > 0 {
		t.Errorf("got tables %q made again", again.CreatedTables)
	}
	x.want("deployments", x.query("SELECT deployment FROM _reconciler_journal"), journal...)
	newer := app("crm", "1.1.0", "account")
	x.publish(newer, "name")
	if got, err := x.service.InstallApp(t.Context(), "acme", newer, nil); err != nil || got.Success || !strings.Contains(got.Error, "upgrade") {
		t.Errorf("got %+v, %v, want to be told to upgrade", got, err)
	}
}

// A version that brings nothing new is a version all the same.
func TestUpgradeWithoutADifferenceIsRecorded(t *testing.T) {
	x := newTenants(t, databasetest.File)
	x.install(app("crm", "1.0.0", "account"))
	newer := app("crm", "1.1.0", "account")
	x.publish(newer, "name")
	x.must(x.service.UpgradeApp(t.Context(), "acme", newer))
	x.wantApps("crm 1.1.0")
}

func TestDowngradeIsRefusedUnlessToldTo(t *testing.T) {
	x := newTenants(t, databasetest.File)
	older, newer := app("crm", "1.9.0", "account"), app("crm", "1.10.0", "account", "contact")
	x.publish(older, "name")
	x.install(newer)
	x.insert("contact", "mine")
	got, err := x.service.UpgradeApp(t.Context(), "acme", older)
	if err != nil || got.Success || !strings.Contains(got.Error, "1.10.0") {
		t.Errorf("got %+v, %v, want it refused with the version that is there", got, err)
	}
	x.must(x.service.Downgrade(t.Context(), "acme", older))
	x.wantApps("crm 1.9.0")
	x.want("what the older version does not have", x.query("SELECT name FROM _retired_1_contact"), "mine")
	x.must(x.service.UpgradeApp(t.Context(), "acme", newer))
	x.want("contacts", x.names("contact"), "mine")
}

func TestUpgradeOfOneAppLeavesTheOthersAtTheirVersions(t *testing.T) {
	x := newTenants(t, databasetest.File)
	x.install(app("crm", "1.0.0", "account"), app("todo", "1.0.0", "task"))
	x.publish(app("todo", "2.0.0", "task", "note"), "name")
	newer := app("crm", "1.1.0", "account", "contact")
	x.publish(newer, "name")
	x.must(x.service.UpgradeApp(t.Context(), "acme", newer))
	x.wantApps("crm 1.1.0, todo 1.0.0")
	if x.names("note") != nil {
		t.Error("another app was upgraded along")
	}
}

func TestKeptTablesAreTakenAgain(t *testing.T) {
	x := newTenants(t, databasetest.File)
	crm := app("crm", "1.0.0", "account")
	x.install(crm)
	x.insert("account", "mine")
	if done, err := x.service.UninstallApp(t.Context(), "acme", "crm", false); !done || err != nil {
		t.Fatalf("got %t, %v", done, err)
	}
	x.publish(app("crm", "1.1.0", "account"), "name", "phone")
	result := x.must(x.service.InstallApp(t.Context(), "acme", app("crm", "1.1.0", "account"), nil))
	if len(result.CreatedTables) > 0 {
		t.Errorf("got tables %q made", result.CreatedTables)
	}
	x.want("accounts", x.query("SELECT name || ' ' || coalesce(phone, '-') FROM account"), "mine -")
}

func TestKeptTablesAreDroppedLater(t *testing.T) {
	x := newTenants(t, databasetest.File)
	x.install(app("crm", "1.0.0", "account"))
	x.insert("account", "mine")
	for _, drop := range []bool{false, true} {
		if done, err := x.service.UninstallApp(t.Context(), "acme", "crm", drop); !done || err != nil {
			t.Fatalf("got %t, %v", done, err)
		}
	}
	x.want("accounts", x.query("SELECT name FROM _retired_1_account"), "mine")
	if done, err := x.service.UninstallApp(t.Context(), "acme", "crm", true); done || err != nil {
		t.Errorf("got %t, %v, want nothing left to do", done, err)
	}
}

// Going back over an app's life keeps the rows of its tables.
func TestRollbackOfAnUninstalledApp(t *testing.T) {
	x := newTenants(t, databasetest.File)
	x.install(app("todo", "1.0.0", "task"), app("crm", "1.0.0", "account"))
	x.insert("account", "mine")
	if done, err := x.service.UninstallApp(t.Context(), "acme", "crm", false); !done || err != nil {
		t.Fatalf("got %t, %v", done, err)
	}
	back := func() {
		t.Helper()
		x.on(func(conn database.Conn) error {
			return deploy.New(deploy.Config{Store: x.store}).Rollback(t.Context(), conn, deploy.RollbackRequest{Tenant: "acme"}).Err
		})
		x.want("accounts", x.names("account"), "mine")
	}
	back()
	x.wantApps("crm 1.0.0, todo 1.0.0")
	back()
	x.wantApps("todo 1.0.0")
}

func TestSettingsAreKept(t *testing.T) {
	x := newTenants(t, databasetest.File)
	x.publish(app("crm", "1.0.0", "account"), "name")
	x.must(x.service.InstallApp(t.Context(), "acme", app("crm", "1.0.0", "account"), map[string]any{"currency": "EUR"}))
	x.install(app("todo", "1.0.0", "task"))
	apps, err := x.service.Installed(t.Context(), "acme")
	crm, _ := apps.Find("crm")
	if err != nil || crm.Config["currency"] != "EUR" {
		t.Errorf("got %+v, %v, want the currency", crm, err)
	}
}

func TestHostileManifestsAreRefused(t *testing.T) {
	x := newTenants(t, databasetest.File)
	for _, name := range []string{"", "../crm", "a/b", "CRM", "a b", "a\n", "crm;"} {
		got, err := x.service.InstallApp(t.Context(), "acme", app(name, "1.0.0"), nil)
		if err != nil || got.Success || got.Error == "" {
			t.Errorf("%q: got %+v, %v, want it refused", name, got, err)
		}
	}
	bad := app("crm", "1.0.0", "account")
	bad.Dependencies = []string{"../../etc", ""}
	x.publish(app("crm", "1.0.0", "account"), "name")
	got, err := x.service.CheckCompatibility(t.Context(), "acme", bad)
	if err != nil || len(got.Issues) != 2 {
		t.Errorf("got %+v, %v, want both dependencies missing", got, err)
	}
}

func TestAppWithoutDefinitionsIsRefused(t *testing.T) {
	x := newTenants(t, databasetest.File)
	got, err := x.service.InstallApp(t.Context(), "acme", app("nowhere", "1.0.0"), nil)
	if err != nil || got.Success || !strings.Contains(got.Error, "nowhere") {
		t.Errorf("got %+v, %v, want it refused", got, err)
	}
}

func TestTenantWithDefinitionsOfItsOwnIsChangedInGit(t *testing.T) {
	x := newTenants(t, databasetest.File)
	pipeline := deploy.NewPipeline(deploy.PipelineConfig{
		Deployer: deploy.New(deploy.Config{Store: x.store}), Tenants: x, Fleet: "main", Environment: "prod",
		Policy: deploy.Policy{Plan: deploy.PlanPolicy{SeedMode: "strict", Retire: true}},
	})
	plan, err := pipeline.PlanDeployment(t.Context(), "acme", protocol.DeployBundle{
		Manifest: protocol.DeployManifest{Version: "1"}, Objects: []map[string]any{{"name": "mine", "fields": map[string]any{"name": map[string]any{"type": "text"}}}},
	})
	if err == nil {
		_, err = pipeline.ExecuteDeployment(t.Context(), "acme", plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	x.publish(app("crm", "1.0.0", "account"), "name")
	got, err := x.service.InstallApp(t.Context(), "acme", app("crm", "1.0.0", "account"), nil)
	if err != nil || got.Success || !strings.Contains(got.Error, `object "mine"`) {
		t.Errorf("got %+v, %v, want it refused for what would be lost", got, err)
	}
	x.want("mine", x.names("mine"))
}

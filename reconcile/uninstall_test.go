package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

const (
	withoutApps  = "id: acme\nname: Acme\n"
	withoutShop  = "id: acme\nname: Acme\ndropTables: [shop]\n"
	withArchive  = "id: acme\nname: Acme\napps: [{name: archive}]\n"
	customers    = "SELECT id, name FROM customer ORDER BY id"
	customerMeta = "SELECT count(*) FROM sys_metadata WHERE name = 'customer'"
)

// deployedShop is a fleet whose tenant acme has app shop and a row of it.
func deployedShop(t *testing.T) *world {
	w := newWorld(t, shop("acme"))
	w.mustSync()
	w.onTenant("acme", "INSERT INTO customer (id, name, email) VALUES ('c1', 'Ada', 'ada@example.com')")
	return w
}

func (w *world) tenant(message, text string) {
	w.t.Helper()
	w.commit(message, files{"tenants/acme/tenant.yaml": text})
	w.mustSync()
}

func (w *world) want(sql, want string) {
	w.t.Helper()
	if got := w.rows("acme", sql); got != want {
		w.t.Errorf("%s: got %q, want %q", sql, got, want)
	}
}

// owned is what is ours in the database of acme.
func (w *world) owned() schema.Owned {
	w.t.Helper()
	var owned schema.Owned
	w.on("acme", func(x *subject) {
		seen, err := apply.Read(w.t.Context(), x.conn)
		if err == nil {
			owned, err = schema.ParseOwned(seen.Record.Owned)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	})
	return owned
}

func TestUninstalledAppKeepsItsTables(t *testing.T) {
	w := deployedShop(t)
	w.tenant("no shop", withoutApps)
	w.want(customers, "c1 Ada")
	w.want(customerMeta, "0")
	if kept, ok := w.owned().KeptTable("customer"); !ok || kept.App != "shop" || len(w.owned().Retired) > 0 {
		t.Errorf("got %+v, want customer kept", w.owned())
	}
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c2', 'Bea')") // nobody is in the way
	t.Run("for longer than the retention", func(t *testing.T) {
		w.syncAt(time.Now().Add(1000 * 24 * time.Hour))
		w.want(customers, "c1 Ada\nc2 Bea")
	})
	t.Run("until the app is there again, and newer", func(t *testing.T) {
		w.commit("a phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
		w.commit("shop again", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
		r, closeAll := w.open()
		report, err := r.Plan(t.Context(), reconcile.Selection{})
		closeAll()
		if err != nil {
			t.Fatal(err)
		}
		if warnings := report.Tenants[0].Result.Plan.Warnings; len(warnings) != 1 || warnings[0].Code != "table_taken_again" {
			t.Errorf("got warnings %+v, want that the table is taken again", warnings)
		}
		w.mustSync()
		w.want("SELECT id, phone FROM customer ORDER BY id", "c1 <nil>\nc2 <nil>")
		w.want(customerMeta, "1")
		if len(w.owned().Kept) > 0 {
			t.Errorf("got %+v, want nothing kept", w.owned().Kept)
		}
	})
}

func TestUninstalledAppWithoutRetentionKeepsItsTables(t *testing.T) {
	w := deployedShop(t)
	w.commit("no retention", files{"fleet.yaml": "retention: 0s\n"})
	w.tenant("no shop", withoutApps)
	w.want(customers, "c1 Ada")
}

func TestTablesOfAnAppAreDroppedWhenToldTo(t *testing.T) {
	for name, steps := range map[string][]string{
		"with the app":    {withoutShop},
		"some time later": {withoutApps, withoutShop},
	} {
		t.Run(name, func(t *testing.T) {
			w := deployedShop(t)
			for _, text := range steps {
				w.tenant("less", text)
			}
			w.want("SELECT id, name FROM _retired_1_customer", "c1 Ada")
			if owned := w.owned(); len(owned.Kept) > 0 || len(owned.Retired) != 1 {
				t.Errorf("got %+v, want customer retired", owned)
			}
			w.tenant("shop again", tenantYAML("acme"))
			w.want(customers, "c1 Ada")
		})
	}
}

func TestObjectOfAnAppThatStaysIsRetired(t *testing.T) {
	w := deployedShop(t)
	w.commit("no customers", files{
		"apps/shop/objects/customer.yaml": "", "apps/shop/objects/order.yaml": "name: shop_order\nfields: {title: {type: text}}\n",
	})
	w.mustSync()
	w.want("SELECT id, name FROM _retired_1_customer", "c1 Ada")
}

// Two tenants want the same of the same database, one because its app is gone
// and one because its app has nothing any more: the plans differ.
func TestKeptAndRetiredAreNotConfused(t *testing.T) {
	content := shop("acme", "globex")
	content["apps/shop/app.yaml"] = strings.Replace(content["apps/shop/app.yaml"], "1.0.0", "2.0.0", 1)
	w := newWorld(t, content)
	w.mustSync()
	w.commit("an empty shop", files{"apps/shop/objects/customer.yaml": "", "tenants/acme/tenant.yaml": withoutApps})
	w.mustSync()
	w.want("SELECT count(*) FROM sqlite_master WHERE name = 'customer'", "1")
	if got := w.rows("globex", "SELECT count(*) FROM sqlite_master WHERE name = 'customer'"); got != "0" {
		t.Errorf("globex: got %s tables, want its table gone", got)
	}
}

func TestAnotherAppTakesAKeptTable(t *testing.T) {
	w := deployedShop(t)
	w.tenant("no shop", withoutApps)
	w.commit("an archive", files{
		"apps/archive/app.yaml":            "name: archive\nlabel: Archive\nversion: 1.0.0\n",
		"apps/archive/objects/person.yaml": "name: person\nrenamedFrom: customer\nfields:\n  name: {type: text, required: true}\n  email: {type: email, unique: true}\n",
	})
	w.tenant("the archive", withArchive)
	w.want("SELECT id, name FROM person", "c1 Ada")
}

func TestRevertOfAnInstalledAppKeepsItsTables(t *testing.T) {
	content := shop("acme")
	content["tenants/acme/tenant.yaml"] = withoutApps
	w := newWorld(t, content)
	w.mustSync()
	w.tenant("the shop", tenantYAML("acme"))
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c1', 'Ada')")
	w.git("revert", "--no-edit", "HEAD")
	w.mustSync()
	w.want(customers, "c1 Ada")
	w.want(customerMeta, "0")
}

func TestAppWhoseTablesAreToBeDroppedIsNotInUse(t *testing.T) {
	content := shop("acme")
	content["tenants/acme/tenant.yaml"] += "dropTables: [shop]\n"
	w := newWorld(t, content)
	acme := tenantOf(t, w.sync(), "acme")
	if acme.Health != state.Blocked || acme.Faults[0].Code != "app_dropped" {
		t.Errorf("got %s: %+v, want app_dropped", acme.Health, acme.Faults)
	}
}

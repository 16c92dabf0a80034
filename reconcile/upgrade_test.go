package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// upgraded is a fleet whose databases an earlier program has left, UPGRADE_TENANTS
// of them or 20, and the repository that it had.
func upgraded(t *testing.T) (*world, []string) {
	t.Helper()
	n := 20
	if text := os.Getenv("UPGRADE_TENANTS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		must(t, err)
	}
	content := files{
		"fleet.yaml":                      "policy: {narrowing: allow}\n",
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": "name: customer\nlabel: Customer\nfields:\n  name: {type: text, required: true}\n  email: {type: email, unique: true}\n",
		"apps/shop/seed/customers.yaml":   "object: customer\nexternalId: email\nrecords:\n  - {name: Ada, email: ada@example.com}\n",
		"apps/shop/views/customers.yaml":  "name: customers\nlist: {type: grid, data: {provider: object, object: customer}, columns: [name]}\n",
	}
	dump, err := os.ReadFile(filepath.Join("testdata", "upgrade", "format1.sql"))
	must(t, err)
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("t%04d", i))
		content["tenants/"+ids[i]+"/tenant.yaml"] = tenantYAML(ids[i])
	}
	w := newWorld(t, content)
	must(t, os.MkdirAll(filepath.Join(w.data, "tenants"), 0o700))
	for _, id := range ids {
		statements, err := database.Split(strings.ReplaceAll(string(dump), "'acme'", "'"+id+"'"))
		must(t, err)
		conn, err := libsql.Open(t.Context(), w.tenantFile(id), libsql.Options{Create: true})
		must(t, err)
		for _, sql := range statements {
			_, err := conn.Exec(t.Context(), sql)
			must(t, err)
		}
		must(t, conn.Close())
	}
	return w, ids
}

// A new program finds nothing to plan in the databases of an earlier one, though
// state knows nothing of them, and writes to none.
func TestUpgrade(t *testing.T) {
	w, ids := upgraded(t)
	before := w.databaseBytes()
	for pass := range 2 {
		report := w.sync()
		if report.Status != state.Succeeded || len(report.Tenants) != len(ids) {
			t.Fatalf("pass %d ended %s over %d tenants", pass, report.Status, len(report.Tenants))
		}
		for _, tenant := range report.Tenants {
			if tenant.Sync != state.Synced || tenant.Result.Action != deploy.None || tenant.Result.Plan != nil {
				t.Errorf("pass %d: %s: got %s %s %v", pass, tenant.ID, tenant.Sync, tenant.Result.Action, tenant.Result.Err)
			}
		}
	}
	for name, bytes := range w.databaseBytes() {
		if string(bytes) != string(before[name]) {
			t.Errorf("%s was written to", name)
		}
	}
	if plans := w.plans(); plans != 0 {
		t.Errorf("%d plans were made", plans)
	}
	// It goes on from there: what the earlier one retired comes back.
	w.commit("city", files{"apps/shop/objects/customer.yaml": "name: customer\nlabel: Customer\nfields:\n" +
		"  name: {type: text, required: true}\n  email: {type: email, unique: true}\n  city: {type: text, index: true}\n"})
	w.sync()
	if got := w.rows(ids[0], "SELECT name FROM pragma_table_info('customer') WHERE name LIKE '%city'"); got != "city" {
		t.Errorf("the column that was retired is %q", got)
	}
}

// An earlier program meets the databases of a newer one: it leaves each as it
// is, and says what to do.
func TestDowngrade(t *testing.T) {
	w, ids := upgraded(t)
	for _, id := range ids {
		w.onTenant(id, fmt.Sprintf("UPDATE _reconciler_meta SET value = '%d' WHERE key = 'format'", apply.Format+1))
	}
	before := w.databaseBytes()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	for _, tenant := range w.sync().Tenants {
		if tenant.Health != state.Blocked || tenant.Result.Reason != "NewerJournal" || !strings.Contains(tenant.Result.Message, "upgrade this reconciler") {
			t.Errorf("%s: got %s %s %s", tenant.ID, tenant.Health, tenant.Result.Reason, tenant.Result.Message)
		}
	}
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Repo, c.ReadOnly = nil, true })
	defer closeAll()
	found, err := r.Drift(t.Context(), nil)
	must(t, err)
	for _, d := range found {
		if d.Err == nil {
			t.Errorf("%s: it was looked at for drift", d.ID)
		}
	}
	for name, bytes := range w.databaseBytes() {
		if string(bytes) != string(before[name]) {
			t.Errorf("%s was written to", name)
		}
	}
}

package reconcile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// tenants returns what state records of tenants.
func (w *world) tenants() map[protocol.TenantID]state.Tenant {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	list, err := store.Tenants(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	byID := map[protocol.TenantID]state.Tenant{}
	for _, t := range list {
		byID[t.ID] = t
	}
	return byID
}

func TestTenantsAreRecorded(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.commit("plans", files{
		"fleet.yaml": "plans: {pro: {maxObjects: 9, maxUsers: 5}}\n",
		"tenants/globex/tenant.yaml": tenantYAML("globex") + "quotas: {maxUsers: 7}\nprovisioningStatus: suspended\n" +
			"connectionConfig: {url: \"file:globex.db\", authToken: \"$env:RECONCILER_SECRET_G\"}\n",
	})
	first := w.git("rev-parse", "HEAD")
	w.sync()
	got := w.tenants()
	acme, globex := got["acme"], got["globex"]
	if acme.Status != protocol.TenantActive || acme.Origin != state.FromGit || acme.Revision != first || acme.Bundle == "" {
		t.Errorf("acme: got %+v", acme)
	}
	if acme.Spec.Plan != protocol.PlanPro || *acme.Quotas.MaxObjects != 9 || *globex.Quotas.MaxUsers != 7 || *globex.Quotas.MaxObjects != 9 {
		t.Errorf("plan and quotas: got %+v and %+v", acme, globex)
	}
	if globex.Status != protocol.TenantSuspended || globex.Spec.ConnectionConfig.AuthToken != "$env:RECONCILER_SECRET_G" {
		t.Errorf("globex: got %+v", globex)
	}

	second := w.commit("acme pays less", files{"tenants/acme/tenant.yaml": strings.Replace(tenantYAML("acme"), "pro", "free", 1)})
	w.sync()
	got = w.tenants()
	if got["acme"].Revision != second || got["acme"].Spec.Plan != protocol.PlanFree || got["acme"].Quotas.MaxObjects != nil {
		t.Errorf("acme: got %+v", got["acme"])
	}
	if got["globex"].Revision != first {
		t.Error("a tenant of which nothing has changed was written")
	}
	if got["acme"].StatusSince != acme.StatusSince {
		t.Error("the status has another time, and is the same")
	}
}

// A tenant whose file is broken keeps the record of its last good revision.
func TestBrokenTenantKeepsItsRecord(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	first := w.git("rev-parse", "HEAD")
	w.sync()
	w.commit("typo", files{"tenants/acme/tenant.yaml": "id: acme\nnam: oops\n"})
	w.sync()
	if got := w.tenants()["acme"]; got.Revision != first || got.Spec.Name != "acme Ltd" || got.Status != protocol.TenantActive {
		t.Errorf("got %+v", got)
	}
}

// Passes over a revision that is recorded write no tenant, in a process of
// their own and one after the other.
func TestSettledTenantsAreNotWritten(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	conn, err := libsql.Open(t.Context(), filepath.Join(w.data, "state.db"), libsql.Options{})
	must(t, err)
	for _, when := range []string{"INSERT", "UPDATE"} {
		_, err = conn.Exec(t.Context(), "CREATE TRIGGER on_"+when+" BEFORE "+when+
			" ON tenants BEGIN SELECT RAISE(ABORT, 'a tenant was written'); END")
		must(t, err)
	}
	must(t, conn.Close())
	r, closeAll := w.open()
	defer closeAll()
	for range 2 {
		if _, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil {
			t.Fatal(err)
		}
	}
}

package reconcile_test

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/state/statetest"
)

// The plan of a tenant that a commit concerns is made before its turn has come,
// unless it may have to wait, and is the one that is deployed.
func TestForesee(t *testing.T) {
	for name, c := range map[string]struct {
		fleet    string
		foreseen bool
	}{
		"a fleet in one wave": {"policy: {narrowing: allow}\n", true},
		"waves":               {"rollout: {waves: [{name: first, match: {ring: one}}, {name: rest}]}\n", false},
		"windows":             {"windows: [{cron: '* * * * *', duration: 1h}]\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			content := shop("acme")
			content["fleet.yaml"] = c.fleet
			w := newWorld(t, content)
			plans := w.plans
			asked, deployed := false, true
			r, closeAll := w.openWith(func(config *reconcile.Config) {
				// What git says of the tenant itself is recorded before it is deployed to.
				config.OnChange = func(protocol.TenantID) {
					if deployed {
						return
					}
					asked = true
					for deadline := time.Now().Add(time.Minute); c.foreseen && plans() != 2; runtime.Gosched() {
						if time.Now().After(deadline) {
							t.Error("no plan was made before the tenant's turn")
							return
						}
					}
					if got := plans(); !c.foreseen && got != 1 {
						t.Errorf("got %d plans before it is known whether the tenant has to wait", got)
					}
				}
				config.OnTenant = func(reconcile.Tenant) { deployed = true }
			})
			defer closeAll()
			sync := func() reconcile.Report {
				t.Helper()
				report, err := r.Sync(t.Context(), reconcile.Selection{})
				must(t, err)
				return report
			}
			sync()
			sync()
			deployed = false
			w.commit("more", files{
				"tenants/acme/tenant.yaml":        tenantYAML("acme") + "labels: {tier: gold}\n",
				"tenants/acme/objects/extra.yaml": "name: extra\nfields:\n  name: {type: text}\n",
			})
			report := sync()
			if !asked || plans() != 2 || report.Status != state.Succeeded || !tenantOf(t, report, "acme").Result.Changed {
				t.Errorf("got %s, %d plans, asked %v", report.Status, plans(), asked)
			}
		})
	}
}

// plans is how many plan classes state knows.
func (w *world) plans() int { return statetest.PlanClasses(w.t, filepath.Join(w.data, "state.db")) }

// The database of a tenant that somebody has suspended or removed, which git does
// not say yet, is not planned for.
func TestForeseeKnowsWhatIsPending(t *testing.T) {
	for name, ask := range map[string]func(protocol.ProvisioningService) error{
		"suspended": func(s protocol.ProvisioningService) error { return s.SuspendTenant(t.Context(), "acme") },
		"removed":   func(s protocol.ProvisioningService) error { return s.DestroyTenant(t.Context(), "acme") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, shop("acme"))
			r, closeAll := w.open()
			defer closeAll()
			for _, before := range []func(){
				func() {},
				func() { must(t, ask(r.Life())) },
				func() { w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone}) },
			} {
				before()
				_, err := r.Sync(t.Context(), reconcile.Selection{})
				must(t, err)
			}
			if got := w.plans(); got != 1 {
				t.Errorf("got %d plans", got)
			}
		})
	}
}

// A pass that does not come to the tenant does not wait for its database, which
// something else may have open for long.
func TestForeseeKeepsNoPass(t *testing.T) {
	content := shop("acme")
	content["fleet.yaml"] = "drift: ignore\n" // what is held is not opened
	w := newWorld(t, content)
	recorded := func() {} // when the plan is being foreseen
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.OnChange = func(protocol.TenantID) { recorded() }
	})
	defer closeAll()
	sync := func() reconcile.Report {
		t.Helper()
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		must(t, err)
		return report
	}
	sync()
	recorded = func() {
		must(t, r.Store.SetHold(t.Context(), state.Hold{Owner: "ops", Tenant: "acme"}))
		must(t, r.Notice(t.Context()))
	}
	w.commit("more", files{
		"tenants/acme/tenant.yaml":        tenantYAML("acme") + "labels: {tier: gold}\n",
		"tenants/acme/objects/extra.yaml": "name: extra\nfields:\n  name: {type: text}\n",
	})
	other, err := libsql.Open(t.Context(), w.tenantFile("acme"), libsql.Options{})
	must(t, err)
	defer other.Close()
	began := time.Now()
	if got := tenantOf(t, sync(), "acme").Result.Action; got != reconcile.Held {
		t.Errorf("got %s", got)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the pass took %v", took)
	}
}

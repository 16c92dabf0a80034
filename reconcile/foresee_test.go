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
			plans := func() int64 {
				t.Helper()
				conn, err := libsql.Open(t.Context(), filepath.Join(w.data, "state.db"), libsql.Options{Shared: true, ReadOnly: true})
				must(t, err)
				defer conn.Close()
				rows, err := conn.Query(t.Context(), "SELECT count(*) FROM plan_classes")
				must(t, err)
				return rows.Values[0][0].(int64)
			}
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

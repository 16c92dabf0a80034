package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/reconcile"
)

// An estimate follows the rows of the one tenant, and the plan is the same.
func TestEstimate(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	w.onTenant("acme", "INSERT INTO customer (rowid, id, name, email) VALUES (2000000, 'c1', 'Ada', 'ada@example.com')")
	for object, least := range map[string]time.Duration{
		strings.Replace(customer, "email, unique", "number, unique", 1): 4 * time.Second, // copied
		customer + "indexes: [{fields: [name]}]\n":                      time.Second,
		customerWithPhone: 0,
	} {
		w.commit("change", files{"apps/shop/objects/customer.yaml": object, "fleet.yaml": "policy: {rewrite: allow}\n"})
		r, closeAll := w.open()
		report, err := r.Plan(t.Context(), reconcile.Selection{})
		must(t, err)
		closeAll()
		acme, globex := tenantOf(t, report, "acme"), tenantOf(t, report, "globex")
		if acme.Result.Plan == nil || globex.Result.Plan == nil || acme.Result.Plan.Digest != globex.Result.Plan.Digest {
			t.Fatalf("the plans differ: %+v, %+v", acme.Result.Assessment, globex.Result.Assessment)
		}
		if acme.Estimate < least || acme.Estimate > least*3+time.Second || globex.Estimate <= 0 || globex.Estimate > 10*time.Millisecond {
			t.Errorf("acme takes %v, globex %v; want about %v and almost nothing\n%s", acme.Estimate, globex.Estimate, least, object)
		}
	}
}

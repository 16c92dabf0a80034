package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// A tenant whose table is large goes on pass after pass, after those who do not
// take so long; its status says how far it is, the next wave waits for it, and
// at the end it is what git wants.
func TestBackfillOfADaemon(t *testing.T) {
	content := shop("acme", "globex", "initech")
	content["fleet.yaml"] = `policy: {narrowing: allow}
maxLock: {file: 100ms}
rollout: {waves: [{name: first, match: {tier: canary}}, {name: all}]}
`
	for _, id := range []string{"acme", "globex"} {
		content["tenants/"+id+"/tenant.yaml"] += "labels: {tier: canary}\n"
	}
	content["apps/shop/objects/customer.yaml"] = customer + "  size: {type: text}\n"
	w := newWorld(t, content)
	w.sync()
	w.onTenant("acme", `INSERT INTO customer (id, name, size) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
 SELECT 'c' || i, 'name', i FROM n`)
	head := w.commit("a number", files{"apps/shop/objects/customer.yaml": customer + "  size: {type: number}\n"})

	r, closeAll := w.open()
	defer closeAll()
	planned, err := r.Plan(t.Context(), reconcile.Selection{})
	must(t, err)
	if acme := tenantOf(t, planned, "acme").Result; !acme.Staged || tenantOf(t, planned, "globex").Result.Staged || acme.Action != deploy.Update {
		t.Errorf("planned: got %+v", acme.Assessment)
	}
	r.Poll, r.Slice = time.Hour, 1
	passes := make(chan reconcile.Report, 100)
	r.OnPass = func(report reconcile.Report, err error) {
		if err != nil {
			t.Error(err)
		}
		passes <- report
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	slices := 0
	for report := range passes {
		acme, globex, initech := tenantOf(t, report, "acme"), tenantOf(t, report, "globex"), tenantOf(t, report, "initech")
		if report.Revision.Hash != head || globex.Sync != state.Synced {
			t.Errorf("globex waits: %+v", globex)
		}
		if acme.Sync == state.Synced {
			if initech.Sync == state.Synced {
				break
			}
			continue
		}
		slices++
		if acme.Health != state.Progressing || acme.Result.Reason != reason.Backfilling || !strings.Contains(acme.Result.Message, "of 50000 rows") {
			t.Fatalf("acme: got %+v", acme.Result.Assessment)
		}
		if initech.Result.Reason != "WaitingForWave" {
			t.Errorf("initech: got %+v", initech.Result.Assessment)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if slices < 2 {
		t.Errorf("it took %d passes", slices)
	}
	if got := w.rows("acme", "SELECT count(*), sum(size), min(typeof(size)) FROM customer"); got != "50000 1.250025e+09 real" {
		t.Errorf("got %s", got)
	}
}

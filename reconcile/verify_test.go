package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func appThatVerifies(query string) string {
	return "name: shop\nlabel: Shop\nversion: 1.0.0\nverify:\n  - " + query + "\n"
}

// failing is a shop, with a row, whose next commit fails its verification.
func failing(t *testing.T, fleet string) (w *world, before string) {
	t.Helper()
	content := shop("acme")
	content["fleet.yaml"] = fleet
	w = newWorld(t, content)
	w.mustSync()
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c1', 'Ada')")
	before = w.git("rev-parse", "HEAD")
	w.commit("phones", files{
		"apps/shop/objects/customer.yaml": customerWithPhone,
		"apps/shop/app.yaml":              appThatVerifies("SELECT id FROM customer WHERE phone IS NULL"),
	})
	return w, before
}

// What is seen of a tenant after its deployment was taken back is what it is:
// at the commit before, waiting for somebody, held.
func TestVerifyThatRollsBack(t *testing.T) {
	w, before := failing(t, "onFailedVerify: rollback\n")
	was := w.observed("acme")
	report := w.sync()
	done := tenantOf(t, report, "acme")
	if report.Status != state.Partial || done.Sync != state.OutOfSync || done.Health != state.Degraded || !done.Result.RolledBack {
		t.Fatalf("got %s: %+v", report.Status, done)
	}
	row := w.observed("acme")
	if row.AppliedRevision != before || row.BundleDigest != was.BundleDigest || row.SchemaDigest != was.SchemaDigest ||
		row.DesiredDigest == was.BundleDigest || row.Deployment != done.Result.DeploymentID || row.Reason != reason.VerifyFailed {
		t.Errorf("observed %+v", row)
	}
	for range 2 {
		report = w.sync()
		if got := actions(report)["acme"]; got != reconcile.Held || report.Status != state.Succeeded {
			t.Errorf("the next pass: got %s, %s", got, report.Status)
		}
	}
	w.onTenant("acme", "UPDATE customer SET _retired_1_phone = '555'")
	w.commit("a correction", files{"apps/shop/objects/customer.yaml": customer + "  phone: {type: text}\n"})
	if got := tenantOf(t, w.sync(), "acme"); got.Sync != state.Synced || got.Health != state.Healthy {
		t.Errorf("the correction: got %+v", got.Result.Assessment)
	}
	if got := w.rows("acme", "SELECT phone FROM customer"); got != "555" {
		t.Errorf("got phone %q", got)
	}
	w.inState(func(ctx context.Context, s *state.Store) error {
		holds, err := s.Holds(ctx)
		if len(holds) > 0 {
			t.Errorf("still held: %+v", holds)
		}
		return err
	})
}

// A tenant that is not well is looked at again though nothing has moved, and a
// query that has is asked without a deployment.
func TestVerifyIsAskedAgain(t *testing.T) {
	w, _ := failing(t, "onFailedVerify: report\n")
	for range 2 {
		if got := tenantOf(t, w.sync(), "acme"); got.Sync != state.Synced || got.Health != state.Degraded {
			t.Fatalf("got %s, %s: %s", got.Sync, got.Health, got.Result.Message)
		}
	}
	w.commit("another query", files{"apps/shop/app.yaml": appThatVerifies("SELECT id FROM customer WHERE name = ''")})
	got := tenantOf(t, w.sync(), "acme")
	if got.Health != state.Healthy || got.Result.Changed {
		t.Errorf("got %s, changed %v: %s", got.Health, got.Result.Changed, got.Result.Message)
	}
	w.mustSync() // the file has moved: its record has been written
	r, closeAll := w.open()
	_, verified, err := r.Verify(t.Context(), reconcile.Selection{})
	closeAll()
	if err != nil || len(verified) != 1 || verified[0].Err != nil || len(verified[0].Queries) != 1 || len(verified[0].Failed) > 0 {
		t.Errorf("got %+v, error %v", verified, err)
	}
	deployed := 0
	for _, kind := range kinds(w.events("acme")) {
		if kind == state.EventDeployed {
			deployed++
		}
	}
	if deployed != 1 { // and one that failed, and was verified later
		t.Errorf("got events %q", kinds(w.events("acme")))
	}
}

// A daemon takes a deployment back once, and leaves the tenant alone then.
func TestRunTakesADeploymentBackOnce(t *testing.T) {
	w, _ := failing(t, "onFailedVerify: rollback\n")
	r, closeAll := w.open()
	defer closeAll()
	passes := make(chan reconcile.Report, 10)
	r.Poll = time.Hour
	r.OnPass = func(report reconcile.Report, _ error) { passes <- report }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	if done := tenantOf(t, <-passes, "acme"); !done.Result.RolledBack {
		t.Errorf("got %+v", done.Result.Assessment)
	}
	if err := r.Notice(ctx); err != nil {
		t.Fatal(err)
	}
	if got := actions(<-passes)["acme"]; got != reconcile.Held {
		t.Errorf("the next pass: got %s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := w.rows("acme", "SELECT count(*) FROM _reconciler_journal"); got != "3" {
		t.Errorf("got %s deployments, want the first, the one that failed and its rollback", got)
	}
}

package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/state"
)

// rollBack takes a tenant's newest deployment back, as the command does.
func (w *world) rollBack(id string) deploy.Result {
	w.t.Helper()
	ctx := w.t.Context()
	store, err := state.Open(ctx, w.data+"/state.db", state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := libsql.Open(ctx, w.tenantFile(id), libsql.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	result := deploy.New(deploy.Config{Store: store}).Rollback(ctx, conn, deploy.RollbackRequest{Tenant: "acme"})
	if err := errors.Join(result.Err, conn.Close(), store.Close()); err != nil {
		w.t.Fatal(err)
	}
	return result
}

// rolledBack is a shop without a retention, whose phones were taken back by a
// rollback and then in git.
func rolledBack(t *testing.T, fleet string) *world {
	t.Helper()
	content := shop("acme")
	content["fleet.yaml"] = fleet
	w := newWorld(t, content)
	w.mustSync()
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.mustSync()
	w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')")
	result := w.rollBack("acme")
	if !result.PurgeAt.IsZero() {
		t.Errorf("a rollback is due to be purged at %v, before anybody knows when", result.PurgeAt)
	}
	if got := w.rows("acme", "SELECT _retired_1_phone FROM customer"); got != "555" {
		t.Fatalf("got phone %q", got)
	}
	w.git("revert", "--no-edit", "HEAD")
	return w
}

const retiredPhones = "SELECT count(*) FROM pragma_table_info('customer') WHERE name = '_retired_1_phone'"

// Without a retention what a rollback retired goes once git agrees, after a
// copy.
func TestPurgeAfterARollback(t *testing.T) {
	w := rolledBack(t, "retention: 0s\n")
	for range 3 { // the revert, what was retired, and nothing
		if report := w.snapshotSync(time.Now()); report.Status != state.Succeeded {
			t.Fatalf("got %+v", report.Tenants[0].Result.Assessment)
		}
	}
	if got := w.rows("acme", retiredPhones); got != "0" {
		t.Errorf("the phones are still there")
	}
	if got := w.rows("acme", "SELECT name FROM customer"); got != "Ada" {
		t.Errorf("got rows %q", got)
	}
	if found := w.listSnapshots("acme"); len(found) != 1 {
		t.Errorf("got %d snapshots, want the one before the purge", len(found))
	}
	if row := w.observed("acme"); !row.PurgeAt.IsZero() || row.Sync != state.Synced {
		t.Errorf("observed %+v", row)
	}
}

// Where values go only with an approval, so do those.
func TestPurgeAfterARollbackAsks(t *testing.T) {
	w := rolledBack(t, "retention: 0s\npolicy: {destructive: approve}\n")
	w.mustSync()
	w.mustSync()
	row := w.observed("acme")
	if row.Reason != "PurgeHeld" || row.Sync != state.Synced || row.Health != state.Healthy || !strings.Contains(row.Next, "reconciler approve ") {
		t.Fatalf("observed %+v", row)
	}
	if got := w.rows("acme", retiredPhones); got != "1" {
		t.Fatalf("got %s, want the phones", got)
	}
	digest := tenantOf(t, w.sync(), "acme")
	_, rest, _ := strings.Cut(digest.Result.Next, "approve ")
	prefix := strings.Trim(rest, `"`)
	store, err := state.Open(t.Context(), w.data+"/state.db", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := store.PlanDigest(t.Context(), prefix)
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	w.approve(whole, "bo")
	w.mustSync()
	if got := w.rows("acme", retiredPhones); got != "0" {
		t.Errorf("approved: the phones are still there")
	}
}

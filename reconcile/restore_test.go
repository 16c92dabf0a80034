package reconcile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// restore puts acme's database back from a snapshot.
func (w *world) restore(s deploy.Snapshot, now time.Time) deploy.Restoration {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	d := deploy.New(deploy.Config{Store: store, Snapshots: w.snapshots(), Now: func() time.Time { return now }, By: deploy.Doer{Actor: "ada", Via: "cli"}})
	done, err := d.Restore(w.t.Context(), deploy.RestoreRequest{Snapshot: s, Path: w.tenantFile("acme"), Author: "ada"})
	if err != nil {
		w.t.Fatal(err)
	}
	events, err := store.Events(w.t.Context(), state.EventQuery{Tenant: "acme", Limit: 1})
	if err != nil || len(events) != 1 || events[0].Kind != state.EventRestored || events[0].Actor != "ada" || !strings.Contains(events[0].Detail, s.ID) {
		w.t.Errorf("got the events %+v and error %v, want one of the restore", events, err)
	}
	return done
}

// What was purged and put back has its whole retention again: the next pass
// does not drop it at once.
func TestRestoreOfAPurge(t *testing.T) {
	shopContent := shop("acme")
	shopContent["fleet.yaml"] = "retention: 24h\n"
	shopContent["apps/shop/objects/customer.yaml"] = customerWithPhone
	w, start := newWorld(t, shopContent), time.Now()
	w.snapshotSync(start)
	w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')")
	w.commit("no phone", files{"apps/shop/objects/customer.yaml": customer})
	w.snapshotSync(start)
	purged := start.Add(25 * time.Hour)
	w.snapshotSync(purged)
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c2', 'Bo')")
	before := content(t, w.tenantFile("acme"))
	taken := w.listSnapshots("acme")
	if len(taken) != 1 {
		t.Fatalf("got the snapshots %v, want that of the purge", taken)
	}

	done := w.restore(taken[0], purged)
	if len(done.Lost) != 1 || done.Lost[0].Deployment != taken[0].ID {
		t.Errorf("got the lost deployments %v, want the purge", done.Lost)
	}
	const phones = "SELECT id, _retired_1_phone FROM customer"
	if got := w.rows("acme", phones); got != "c1 555" {
		t.Errorf("got the rows %q, want what the purge dropped", got)
	}
	for _, after := range []time.Duration{0, 23 * time.Hour} {
		if got := tenantOf(t, w.snapshotSync(purged.Add(after)), "acme"); got.Result.Changed || got.Sync != state.Synced {
			t.Errorf("after %v: got changed %t, %s: %s", after, got.Result.Changed, got.Sync, got.Result.Message)
		}
	}
	if got := w.rows("acme", phones); got != "c1 555" {
		t.Errorf("got the rows %q after a pass", got)
	}
	if got := tenantOf(t, w.snapshotSync(purged.Add(25*time.Hour)), "acme"); !got.Result.Changed {
		t.Error("it is not purged when its retention is over again")
	}

	// The database before the restore was kept, with every row.
	undo, err := w.snapshots().Find("acme", done.Undo)
	if err != nil {
		t.Fatal(err)
	}
	w.restore(undo, purged.Add(26*time.Hour))
	after := content(t, w.tenantFile("acme"))
	if rows := w.rows("acme", "SELECT id FROM customer ORDER BY id"); rows != "c1\nc2" {
		t.Errorf("got the rows %q once the restore is taken back", rows)
	}
	if tables := func(s string) string { return strings.Split(s, "-- _reconciler_journal")[0] }; tables(before) != tables(after) {
		t.Errorf("got\n%s\nwant\n%s", tables(after), tables(before))
	}
}

// A database that is overwritten stays the file that it was.
func TestRestoreKeepsTheFile(t *testing.T) {
	shopContent := shop("acme")
	shopContent["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, shopContent)
	w.snapshotSync(time.Now())
	w.retype(0)
	link := filepath.Join(w.data, "link")
	if err := os.Link(w.tenantFile("acme"), link); err != nil {
		t.Fatal(err)
	}
	w.restore(w.listSnapshots("acme")[0], time.Now())
	if got, want := content(t, link), content(t, w.tenantFile("acme")); got != want {
		t.Errorf("the link leads to\n%s\nand not to\n%s", got, want)
	}
	left, err := filepath.Glob(filepath.Join(w.data, "*", "*.part*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %v and error %v, want nothing left behind", left, err)
	}
	r, closeAll := w.open()
	defer closeAll()
	report, err := r.Plan(t.Context(), reconcile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if got := tenantOf(t, report, "acme"); got.Result.Action != deploy.Update || got.Result.Drift {
		t.Errorf("got %s, drift %t: want the newer bundle to be planned, and no drift", got.Result.Action, got.Result.Drift)
	}
}

// The log that a database left which is gone is not read into the one that takes
// its place, nor removed: it may have rows that the snapshot lacks.
func TestRestoreBesideALog(t *testing.T) {
	shopContent := shop("acme")
	shopContent["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, shopContent)
	w.snapshotSync(time.Now())
	w.retype(0)
	log := w.tenantFile("acme") + "-wal"
	if err := errors.Join(os.Remove(w.tenantFile("acme")), os.WriteFile(log, []byte("rows"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d := deploy.New(deploy.Config{Snapshots: w.snapshots()})
	_, err := d.AssessRestore(t.Context(), deploy.RestoreRequest{Snapshot: w.listSnapshots("acme")[0], Path: w.tenantFile("acme")})
	if err == nil || !strings.Contains(err.Error(), log) {
		t.Errorf("got error %v, want one that names the log", err)
	}
	if err := os.Rename(log, log+".away"); err != nil {
		t.Fatal(err)
	}
	w.restore(w.listSnapshots("acme")[0], time.Now())
}

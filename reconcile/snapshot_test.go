package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// snapshotSync runs one pass with snapshots, at a time.
func (w *world) snapshotSync(now time.Time) reconcile.Report {
	w.t.Helper()
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.Snapshots, c.Now = w.snapshots(), func() time.Time { return now }
	})
	defer closeAll()
	report, err := r.Sync(w.t.Context(), reconcile.Selection{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

func (w *world) snapshots() deploy.Snapshots {
	return deploy.Snapshots{Dir: filepath.Join(w.data, "snapshots")}
}

func (w *world) listSnapshots(id string) []deploy.Snapshot {
	w.t.Helper()
	found, err := w.snapshots().List("")
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(found, func(s deploy.Snapshot) bool { return string(s.Tenant) != id })
}

func withoutFile(content files, name string) files {
	content[name] = ""
	return content
}

// A copy is made before rows are put at stake, and for nothing else.
func TestSnapshotIsTakenWhereRowsAreAtStake(t *testing.T) {
	const object = "apps/shop/objects/customer.yaml"
	field := func(definition string) files {
		return files{object: customer + "  phone: " + definition + "\n"}
	}
	cases := map[string]struct {
		change files
		after  time.Duration // until the pass that counts
		want   int
	}{
		"a type changes":                 {field("{type: number}"), 0, 1},
		"a field becomes required":       {field("{type: phone, required: true}"), 0, 1},
		"a field becomes unique":         {field("{type: phone, unique: true}"), 0, 1},
		"what was retired is purged":     {files{object: customer}, 2 * time.Hour, 1},
		"a retired table is purged":      {files{"apps/shop/objects/note.yaml": ""}, 2 * time.Hour, 1},
		"a field goes":                   {files{object: customer}, 0, 0},
		"an object goes":                 {files{"apps/shop/objects/note.yaml": ""}, 0, 0},
		"a field is renamed":             {files{object: customer + "  tel: {type: phone, renamedFrom: phone}\n"}, 0, 0},
		"an object is renamed":           {withoutFile(files{"apps/shop/objects/memo.yaml": "name: memo\nrenamedFrom: note\nfields: {body: {type: text}}\n"}, "apps/shop/objects/note.yaml"), 0, 0},
		"a field is added":               {files{object: customerWithPhone + "  fax: {type: phone}\n"}, 0, 0},
		"a required field is added":      {files{object: customerWithPhone + "  fax: {type: phone, required: true, defaultValue: '0'}\n"}, 0, 0},
		"a field with a clock is added":  {files{object: customerWithPhone + "  since: {type: datetime, required: true, defaultValue: NOW()}\n"}, 0, 0},
		"a field is no longer required":  {files{object: strings.Replace(customerWithPhone, "required: true", "required: false", 1)}, 0, 0},
		"an object is added":             {files{"apps/shop/objects/order.yaml": "name: order\nfields: {body: {type: text}}\n"}, 0, 0},
		"only a label of metadata moves": {files{object: strings.Replace(customerWithPhone, "label: Customer", "label: Client", 1)}, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := shop("acme")
			content["fleet.yaml"] = "policy: {narrowing: allow}\nretention: 1h\n"
			content[object] = customerWithPhone
			content["apps/shop/objects/note.yaml"] = "name: note\nfields: {body: {type: text}}\n"
			w, now := newWorld(t, content), time.Now()
			w.snapshotSync(now)
			w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')",
				"INSERT INTO note (id, body) VALUES ('n1', 'keep')")
			if got := w.listSnapshots("acme"); len(got) > 0 {
				t.Errorf("a new database got the snapshots %v", got)
			}
			w.commit("change", c.change)
			if c.after > 0 {
				w.snapshotSync(now)
			}
			before := rowsOf(t, w.tenantFile("acme"), "SELECT * FROM customer")
			done := tenantOf(t, w.snapshotSync(now.Add(c.after)), "acme")
			if !done.Result.Changed {
				t.Fatalf("nothing was deployed: %s", done.Result.Message)
			}
			got := w.listSnapshots("acme")
			if len(got) != c.want {
				t.Fatalf("got %d snapshots, want %d", len(got), c.want)
			}
			if c.want == 0 {
				return
			}
			if got[0].ID != done.Result.DeploymentID {
				t.Errorf("got the snapshot %s, want one for deployment %s", got[0].ID, done.Result.DeploymentID)
			}
			if rows := rowsOf(t, got[0].Path, "SELECT * FROM customer"); rows != before {
				t.Errorf("got the rows %q, want %q", rows, before)
			}
		})
	}
}

// retype gives a field another type with each n, which a snapshot is taken for.
func (w *world) retype(n int) reconcile.Report {
	w.t.Helper()
	kind := []string{"number", "phone"}[n%2]
	w.commit(fmt.Sprint("type ", n), files{"apps/shop/objects/customer.yaml": customer + "  phone: {type: " + kind + "}\n"})
	return w.snapshotSync(time.Now())
}

func TestSnapshotsArePruned(t *testing.T) {
	content := shop("acme", "beta")
	content["fleet.yaml"] = "policy: {narrowing: allow}\nsnapshots: {keep: 2}\n"
	content["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, content)
	w.snapshotSync(time.Now())
	w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')")
	foreign := filepath.Join(w.snapshots().Dir, "acme", "by-hand.db")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o700); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(filepath.Dir(foreign), "0198.db.part")
	for _, path := range []string{foreign, stale} {
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for n := range 4 {
		ids = append(ids, tenantOf(t, w.retype(n), "acme").Result.DeploymentID)
	}
	kept := w.listSnapshots("acme")
	if len(kept) != 2 || kept[0].ID != ids[2] || kept[1].ID != ids[3] {
		t.Errorf("got %v, want those of the last two deployments of %v", kept, ids)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("somebody else's file: %v", err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("an unfinished copy is still there")
	}

	// The budget of all tenants: room for two copies, of which each tenant has
	// taken its newest last.
	size := kept[1].Size
	w.commit("budget", files{"fleet.yaml": fmt.Sprintf("policy: {narrowing: allow}\nsnapshots: {keep: 5, maxBytes: %d}\n", 2*size+size/2)})
	report := w.retype(4)
	for _, id := range []string{"acme", "beta"} {
		kept := w.listSnapshots(id)
		if len(kept) != 1 || kept[0].ID != tenantOf(t, report, id).Result.DeploymentID {
			t.Errorf("%s: got %v, want the newest alone", id, kept)
		}
	}
}

func TestSnapshotThatMayNotBeTaken(t *testing.T) {
	start := func(t *testing.T, fleet string) *world {
		content := shop("acme")
		content["fleet.yaml"] = "policy: {narrowing: allow}\n" + fleet
		content["apps/shop/objects/customer.yaml"] = customerWithPhone
		w := newWorld(t, content)
		w.snapshotSync(time.Now())
		w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')")
		return w
	}
	stopped := func(t *testing.T, w *world, reason string, health state.Health) {
		t.Helper()
		before := content(t, w.tenantFile("acme"))
		got := tenantOf(t, w.retype(0), "acme")
		if got.Result.Changed || got.Result.Reason != reason || got.Health != health || got.Result.Next == "" {
			t.Errorf("got %s, %s: %s (%s)", got.Health, got.Result.Reason, got.Result.Message, got.Result.Next)
		}
		if content(t, w.tenantFile("acme")) != before {
			t.Error("the database has changed")
		}
	}
	t.Run("because it is too large", func(t *testing.T) {
		stopped(t, start(t, "snapshots: {maxBytes: 5000}\n"), "SnapshotTooLarge", state.Blocked)
	})
	t.Run("because its directory cannot be made", func(t *testing.T) {
		w := start(t, "")
		if err := os.WriteFile(w.snapshots().Dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		stopped(t, w, "SnapshotFailed", state.Degraded)
		if err := os.Remove(w.snapshots().Dir); err != nil {
			t.Fatal(err)
		}
		if got := tenantOf(t, w.snapshotSync(time.Now()), "acme"); !got.Result.Changed {
			t.Errorf("got %s once there is room: %s", got.Result.Reason, got.Result.Message)
		}
	})
	t.Run("because none are wanted", func(t *testing.T) {
		w := start(t, "snapshots: {keep: 0}\n")
		if got := tenantOf(t, w.retype(0), "acme"); !got.Result.Changed {
			t.Errorf("got %s: %s", got.Result.Reason, got.Result.Message)
		}
		if kept := w.listSnapshots("acme"); len(kept) > 0 {
			t.Errorf("got the snapshots %v", kept)
		}
	})
}

package reconcile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// Each history is deployed commit by commit, with rows in every table of every
// version, and then taken back with git revert, commit by commit. At the end
// the rows of the first version are all there, with every value.
func TestCorpusBackwards(t *testing.T) {
	for app, versions := range histories(t) {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, files{
				"fleet.yaml":               "policy: {narrowing: allow}\nnotNull: engine\nseed: skip\n",
				"tenants/acme/tenant.yaml": "id: acme\nname: Acme\n",
			})
			var first []value
			var commits []string
			for i, file := range versions {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				commits = append(commits, w.commit(filepath.Base(file), files{"tenants/acme/bundle.json": string(text)}))
				w.mustSync()
				cells := w.insertRows("acme", filepath.Base(file))
				if i == 0 {
					first = cells
				}
			}
			for i := len(commits) - 1; i > 0; i-- {
				w.git("revert", "--no-edit", commits[i])
				w.mustSync()
			}
			w.on("acme", func(x *subject) {
				x.equals(compile(t, versions[0]))
				for _, cell := range first {
					x.has(cell)
				}
				t.Logf("%d versions and back: %d cells of the first are there", len(versions), len(first))
			})
		})
	}
}

// on gives f a tenant's database.
func (w *world) on(id string, f func(*subject)) {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), w.tenantFile(id), libsql.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	x := &subject{t: w.t, conn: conn, inserted: w.inserted}
	f(x)
	w.inserted = x.inserted
	if err := conn.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) insertRows(id, version string) (cells []value) {
	w.t.Helper()
	w.on(id, func(x *subject) { cells = x.insertRows(version) })
	return cells
}

// What is retired goes for good when its retention is over, in a deployment of
// its own, and not before. A pass in between looks at nothing.
func TestPurge(t *testing.T) {
	content := shop("acme")
	content["fleet.yaml"] = "retention: 24h\n"
	content["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, content)
	w.mustSync()
	w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '555')")
	w.commit("no phone", files{"apps/shop/objects/customer.yaml": customer})
	w.mustSync()
	const left = "SELECT count(*) FROM pragma_table_info('customer') WHERE name = '_retired_1_phone'"
	for _, step := range []struct {
		after   time.Duration
		changed bool
		left    string
	}{{23 * time.Hour, false, "1"}, {25 * time.Hour, true, "0"}, {26 * time.Hour, false, "0"}} {
		done := tenantOf(t, w.syncAt(time.Now().Add(step.after)), "acme")
		if done.Result.Changed != step.changed || done.Sync != state.Synced {
			t.Errorf("after %v: got changed %t, %s", step.after, done.Result.Changed, done.Sync)
		}
		if got := rowsOf(t, w.tenantFile("acme"), left); got != step.left {
			t.Errorf("after %v: got %s retired columns, want %s", step.after, got, step.left)
		}
	}
	if got := rowsOf(t, w.tenantFile("acme"), "SELECT name FROM customer"); got != "Ada" {
		t.Errorf("got rows %q", got)
	}
}

// syncAt runs one pass at another time.
func (w *world) syncAt(now time.Time) reconcile.Report {
	w.t.Helper()
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Now = func() time.Time { return now } })
	defer closeAll()
	report, err := r.Sync(w.t.Context(), reconcile.Selection{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// History says which commit a deployment took back.
func TestRevertIsNamed(t *testing.T) {
	content := shop("acme")
	w := newWorld(t, content)
	w.mustSync()
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c1', 'Ada')")
	reverted := w.commit("phones", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.mustSync()
	w.onTenant("acme", "UPDATE customer SET phone = '555'")
	w.git("revert", "--no-edit", "HEAD")
	w.mustSync()
	if got := rowsOf(t, filepath.Join(w.data, "state.db"), "SELECT reverts FROM deployments ORDER BY started_at DESC LIMIT 1"); got != reverted {
		t.Errorf("got reverts %q, want %s", got, reverted)
	}
	w.git("revert", "--no-edit", "HEAD")
	w.mustSync()
	if got := rowsOf(t, w.tenantFile("acme"), "SELECT phone FROM customer"); got != "555" {
		t.Errorf("got phone %q, want what was there before the revert", got)
	}
}

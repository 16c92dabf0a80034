package preview_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

func rehearse(n int) func(*preview.Request) {
	return func(q *preview.Request) { q.Rehearse.Copies = n }
}

const checked = "name: shop\nlabel: Shop\nversion: 1.0.0\nverify:\n  - {name: names, sql: \"SELECT id FROM customer WHERE name = 'nobody'\"}\n"

func TestRehearsalRunsThePlanOnCopies(t *testing.T) {
	w := newWorld(t, shop("acme", "beta", "gamma").with(files{"apps/shop/app.yaml": checked}))
	w.sync()
	w.onTenant("beta", "INSERT INTO customer (id, name, phone) VALUES ('1', 'a', '5'), ('2', 'b', NULL)")
	before := w.value("beta", "SELECT group_concat(sql) FROM sqlite_master")
	r := w.previewed(files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "{type: text}\n", "{type: number}\n", 1)}, rehearse(2))
	if len(r.Plans) != 1 || len(r.Plans[0].Rehearsals) != 2 {
		t.Fatalf("got plans %+v, want one on two copies", r.Plans)
	}
	rows := int64(0)
	for _, h := range r.Plans[0].Rehearsals {
		rows += h.Rows
		if h.Failure != "" || h.Skipped != "" || h.Applied == 0 || h.Back == 0 || h.Queries != 1 || h.Bytes == 0 {
			t.Errorf("got %+v, want a plan that was run, verified and taken back", h)
		}
	}
	if rows != 2 {
		t.Errorf("got %d rows, want the two of beta, which the plan takes longest in", rows)
	}
	if after := w.value("beta", "SELECT group_concat(sql) FROM sqlite_master"); after != before {
		t.Errorf("the tenant's own database was changed:\n%s", after)
	}
	w.nothingLeft()
}

func TestRehearsalFindsWhatFails(t *testing.T) {
	w := newWorld(t, shop("acme").with(files{"apps/shop/app.yaml": checked}))
	w.sync()
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('1', 'nobody')")
	r := w.previewed(files{"apps/shop/objects/customer.yaml": vat}, rehearse(1))
	h := r.Plans[0].Rehearsals[0]
	if !strings.Contains(string(h.Failure), "gave 1 row") || r.Verdict != preview.Failed {
		t.Errorf("got %+v and %s, want that the query gives a row", h, r.Verdict)
	}
	w.nothingLeft()
	r = w.previewed(files{"apps/shop/objects/customer.yaml": vat}, rehearse(1), func(q *preview.Request) { q.Rehearse.MaxBytes = 1 })
	if h := r.Plans[0].Rehearsals[0]; !strings.Contains(string(h.Skipped), "copies may have 1") || r.Verdict != preview.Success {
		t.Errorf("got %+v, want that a database that is too large is left alone", h)
	}
}

func (w *world) nothingLeft() {
	w.t.Helper()
	left, err := filepath.Glob(filepath.Join(w.data, "previews", "*"))
	if err != nil || len(left) > 0 {
		w.t.Errorf("left are %v, error %v", left, err)
	}
}

// A plan that is tried on no copy says why.
func TestPlansThatAreNotRehearsed(t *testing.T) {
	w := newWorld(t, shop("acme").with(files{"fleet.yaml": "plans: {free: {maxObjects: 1}}\n"}))
	w.sync()
	w.pull(files{
		"apps/shop/objects/order.yaml": "name: order\nfields:\n  number: {type: text}\n",
		"tenants/acme/tenant.yaml":     tenant("acme", "plan: free\n"),
		"tenants/new/tenant.yaml":      tenant("new", "plan: pro\n"),
	})
	r := w.preview(func(q *preview.Request) { q.Rehearse.Copies = 1 })
	want := map[tenantID]string{"acme": "something stands in the way", "new": "there is no database yet"}
	for _, g := range r.Plans {
		if len(g.Rehearsals) != 1 || !strings.Contains(string(g.Rehearsals[0].Skipped), want[g.Rehearsals[0].Tenant]) {
			t.Errorf("%v: got %+v", g.Tenants, g.Rehearsals)
		}
	}
	if len(r.Plans) != 2 || !strings.Contains(r.Markdown(preview.MarkdownOptions{}), "not rehearsed on a copy of `new`") {
		t.Errorf("got %s", r.Summary())
	}
}

// A rehearsal that is killed leaves its copies to the next one; one that is under
// way keeps them.
func TestKilledRehearsalIsCleanedUp(t *testing.T) {
	if data := os.Getenv("PREVIEW_HOLD"); data != "" {
		if err := preview.HoldScratch(data); err != nil {
			t.Fatal(err)
		}
		return // never: the parent kills it
	}
	data := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledRehearsalIsCleanedUp$")
	child.Env = append(os.Environ(), "PREVIEW_HOLD="+data)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := out.Read(line); err != nil || string(line) != "ready\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	sweep := func() (left int) {
		if err := preview.Sweep(data); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(data, "previews", "*", "*.db"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if got := sweep(); got != 1 {
		t.Errorf("%d copies are left of a rehearsal that is under way, want its one", got)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if got := sweep(); got != 0 {
		t.Errorf("%d copies are left of a rehearsal that was killed", got)
	}
}

package preview_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/preview"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

type tenantID = protocol.TenantID

func ids(names ...string) []tenantID {
	list := []tenantID{}
	for _, n := range names {
		list = append(list, tenantID(n))
	}
	return list
}

func TestPreviewIsOfTheMergeResult(t *testing.T) {
	w := newWorld(t, shop("acme", "beta"))
	w.sync()
	w.pull(files{"apps/shop/objects/customer.yaml": vat})
	w.commit("meanwhile", files{
		"apps/shop/objects/order.yaml": "name: order\nfields:\n  number: {type: text}\n", "tenants/gamma/tenant.yaml": tenant("gamma", ""),
	})
	r := w.preview()
	if r.Tenants.Total != 3 || r.Tenants.Affected != 3 || len(r.Tenants.Created) != 0 {
		t.Errorf("got %+v, want three tenants, of which base has all", r.Tenants)
	}
	if len(r.Plans) != 2 || !slices.Equal(r.Plans[0].Tenants, ids("acme", "beta")) || !slices.Equal(r.Plans[1].Tenants, ids("gamma")) {
		t.Fatalf("got plans %+v", r.Plans)
	}
	if got := statements(r.Plans[0]); !strings.Contains(got, "`vat`") || !strings.Contains(got, "`order`") {
		t.Errorf("got %s, want what both sides changed", got)
	}
}

func TestPreviewLeavesOutWhatDoesNotChange(t *testing.T) {
	w := newWorld(t, shop("acme").with(files{"tenants/beta/tenant.yaml": "id: beta\nname: Beta\n"}))
	w.sync()
	r := w.previewed(files{"apps/shop/objects/customer.yaml": vat})
	if r.Tenants.Affected != 1 || len(r.Plans) != 1 || !slices.Equal(r.Plans[0].Tenants, ids("acme")) || r.Verdict != preview.Success || !r.Bound {
		t.Errorf("got %+v, want one tenant with a plan", r)
	}
	if r := w.previewed(files{"README.md": "hello\n", "apps/shop/objects/customer.yaml": customer}); r.Tenants.Affected != 0 || r.Summary() != "no tenant is affected" {
		t.Errorf("got %q for a change of a page, want that it affects nobody", r.Summary())
	}
}

func TestPreviewOfLivesOfTenants(t *testing.T) {
	w := newWorld(t, shop("acme", "beta", "gamma", "delta"))
	w.sync()
	r := w.previewed(files{
		"tenants/acme": "", "tenants/beta": "", "tenants/new/tenant.yaml": tenant("new", ""),
		"tenants/gamma/tenant.yaml": tenant("gamma", "provisioningStatus: suspended\n"),
	})
	got := r.Tenants
	if !slices.Equal(got.Created, ids("new")) || !slices.Equal(got.Suspended, ids("gamma")) || !slices.Equal(got.Removed, ids("acme", "beta")) {
		t.Errorf("got %+v", got)
	}
	if r.Guard == nil || r.Guard.Reason != "DeletionGuard" || r.Verdict != preview.Blocked {
		t.Errorf("got guard %+v and %s, want that two removals wait", r.Guard, r.Verdict)
	}
	if r := w.previewed(files{"tenants": ""}); r.Guard == nil || r.Guard.Reason != "NoTenants" || len(r.Tenants.Removed) != 4 {
		t.Errorf("got %+v, want that a tree without tenants removes none", r.Guard)
	}
}

func TestPreviewCountsRowsAndNamesNone(t *testing.T) {
	w := newWorld(t, shop("acme", "beta"))
	w.sync()
	w.onTenant("acme", "INSERT INTO customer (id, name, phone) VALUES ('secret-id-1', 'a', '5'), ('secret-id-2', 'b', '5')")
	r := w.previewed(files{
		"fleet.yaml":                      "policy: {narrowing: allow}\n",
		"apps/shop/objects/customer.yaml": strings.Replace(customer, "phone: {type: text}", "phone: {type: text, unique: true}", 1),
	})
	// fleet.yaml of the pull request allows it; that of base asks for an approval.
	if len(r.Plans) != 1 || !r.Plans[0].NeedsApproval && r.Plans[0].Blocked == nil {
		t.Fatalf("got plans %+v, want one that base does not let through", r.Plans)
	}
	checks := r.Plans[0].PreChecks
	if len(checks) != 1 || checks[0].Asked != 2 || !slices.Equal(checks[0].Found, []preview.RowCount{{Tenant: "acme", Rows: 2}}) {
		t.Errorf("got pre-checks %+v, want two rows in acme", checks)
	}
	if text := r.Markdown(preview.MarkdownOptions{}); strings.Contains(text, "secret-id") {
		t.Errorf("the ids of rows are in the comment:\n%s", text)
	}
}

// The preview stores its plans where it may, and what it said is not applied to
// a database that is no longer what it was.
func TestDriftedTenantIsRefusedAndPreviewedAgain(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.pull(files{"apps/shop/objects/customer.yaml": vat})
	first := w.preview(func(q *preview.Request) { q.Reconcile.ReadOnly = false })
	w.onTenant("acme", "ALTER TABLE customer ADD COLUMN fax text")
	previewed := w.stored(string(first.Plans[0].Digest))
	conn, err := libsql.Open(t.Context(), filepath.Join(w.data, "tenants", "acme.db"), libsql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = apply.Run(t.Context(), conn, previewed, apply.Deployment{
		ID: "d", Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"}, At: clock(),
	})
	closed := conn.Close()
	if !errors.Is(err, apply.ErrStale) || closed != nil {
		t.Fatalf("the plan of before was run: got %v, %v, want one that matches ErrStale", err, closed)
	}
	again := w.preview()
	if again.Plans[0].Digest == first.Plans[0].Digest || len(again.Plans[0].Warnings) == 0 {
		t.Errorf("got %+v, want another plan that warns of the column", again.Plans[0])
	}
	w.merge()
	w.sync()
	if got := w.plansOf("acme")["acme"].PlanDigest; got != string(again.Plans[0].Digest) {
		t.Errorf("plan %s was applied, want %s as previewed again", got, again.Plans[0].Digest)
	}
}

// stored is a plan as state has it.
func (w *world) stored(digest string) (found *plan.Plan) {
	w.t.Helper()
	w.state(func(store *state.Store) {
		row, err := store.Plan(w.t.Context(), digest)
		if err != nil {
			w.t.Fatal(err)
		}
		if found, err = plan.Decode(row.Body); err != nil {
			w.t.Fatal(err)
		}
	})
	return found
}

func TestPreviewWithoutDatabases(t *testing.T) {
	w := newWorld(t, shop("acme", "beta"))
	w.pull(files{"apps/shop/objects/customer.yaml": vat, "tenants/new/tenant.yaml": tenant("new", "")})
	r := w.preview(withoutData)
	if r.Bound || r.Unbound == "" || len(r.Plans) != 2 {
		t.Fatalf("got %+v", r)
	}
	g := r.Plans[0]
	if g.Digest != "" || !slices.Equal(g.Tenants, ids("acme", "beta")) || g.Class != diff.Additive || !strings.Contains(statements(g), "ADD COLUMN `vat`") {
		t.Errorf("got %+v, want one column and no digest", g)
	}
	if text := r.Markdown(preview.MarkdownOptions{}); !strings.Contains(text, "Not bound to live databases") {
		t.Errorf("the comment does not say that it is not bound:\n%s", text)
	}
}

func statements(g preview.Group) string {
	var all []string
	for _, s := range g.Statements {
		all = append(all, s.SQL)
	}
	return strings.Join(all, "; ")
}

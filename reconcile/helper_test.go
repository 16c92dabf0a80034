package reconcile_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// files are the content of a tree by path; an empty text removes the path.
type files map[string]string

// world is a repository, a data directory and a reconciler for them.
type world struct {
	t        testing.TB
	repo     string
	data     string
	inserted int // rows, see insertRows
}

func newWorld(t testing.TB, content files) *world {
	t.Helper()
	w := &world{t: t, repo: gittest.Init(t), data: t.TempDir()}
	w.commit("first", content)
	return w
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	return gittest.Run(w.t, w.repo, args...)
}

func (w *world) commit(message string, content files) string {
	w.t.Helper()
	return gittest.Commit(w.t, w.repo, message, content)
}

// open returns a reconciler for the world and what closes it.
func (w *world) open() (*reconcile.Reconciler, func()) {
	w.t.Helper()
	return w.openWith(func(*reconcile.Config) {})
}

func (w *world) openWith(set func(*reconcile.Config)) (*reconcile.Reconciler, func()) {
	w.t.Helper()
	r, closeAll, err := openWorld(w.t, w.repo, w.data, set)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, closeAll
}

func openWorld(t testing.TB, repo, data string, set func(*reconcile.Config)) (*reconcile.Reconciler, func(), error) {
	ctx := t.Context()
	opened, err := gitrepo.Open(ctx, gitrepo.Config{URL: repo})
	if err != nil {
		return nil, nil, err
	}
	store, err := state.Open(ctx, filepath.Join(data, "state.db"), state.Options{})
	if err != nil {
		return nil, nil, err
	}
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: data})
	if err != nil {
		return nil, nil, err
	}
	closeAll := func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
	c := reconcile.Config{Repo: opened, Store: store, Router: router}
	set(&c)
	return reconcile.New(c), closeAll, nil
}

// sync runs one pass in a fresh reconciler, as a new process would.
func (w *world) sync() reconcile.Report {
	w.t.Helper()
	r, closeAll := w.open()
	defer closeAll()
	report, err := r.Sync(w.t.Context(), reconcile.Selection{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

func (w *world) tenantFile(id string) string { return filepath.Join(w.data, "tenants", id+".db") }

// onTenant runs statements on a tenant's database as its application would.
func (w *world) onTenant(id string, statements ...string) {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), w.tenantFile(id), libsql.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	for _, sql := range statements {
		if _, err := conn.Exec(w.t.Context(), sql); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// rows returns the answer to a query on a tenant's database as text.
func (w *world) rows(id, sql string) string {
	w.t.Helper()
	return rowsOf(w.t, w.tenantFile(id), sql)
}

func rowsOf(t testing.TB, path, sql string) string {
	t.Helper()
	conn, err := libsql.Open(t.Context(), path, libsql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines := make([]string, len(rows.Values))
	for i, row := range rows.Values {
		lines[i] = strings.Trim(fmt.Sprint(row), "[]")
	}
	return strings.Join(lines, "\n")
}

// content is a tenant's database as text: its schema and every row, without
// ids and times of deployments and of rows.
func content(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(rowsOf(t, path, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))
	for name := range strings.SplitSeq(rowsOf(t, path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"), "\n") {
		columns := rowsOf(t, path, "SELECT group_concat('`' || name || '`') FROM pragma_table_info("+schema.QuoteText(name)+
			") WHERE name NOT IN ('created_at', 'updated_at', 'deployment', 'at', 'written')")
		fmt.Fprintf(&b, "\n-- %s\n%s", name, rowsOf(t, path, "SELECT "+columns+" FROM "+schema.Quote(name)+" ORDER BY 1, 2"))
	}
	return b.String()
}

func tenantOf(t testing.TB, r reconcile.Report, id string) reconcile.Tenant {
	t.Helper()
	for _, tenant := range r.Tenants {
		if tenant.ID == protocol.TenantID(id) {
			return tenant
		}
	}
	t.Fatalf("tenant %q is not in the report", id)
	return reconcile.Tenant{}
}

// shop is a fleet with one app and the tenants named.
func shop(tenants ...string) files {
	content := files{
		"fleet.yaml":                      "policy: {narrowing: allow, destructive: allow}\n",
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": customer,
	}
	for _, id := range tenants {
		content["tenants/"+id+"/tenant.yaml"] = tenantYAML(id)
	}
	return content
}

func tenantYAML(id string) string {
	return fmt.Sprintf("id: %s\nname: %s Ltd\nplan: pro\napps: [{name: shop}]\n", id, id)
}

const customer = `name: customer
label: Customer
fields:
  name: {type: text, required: true}
  email: {type: email, unique: true}
`

const customerWithPhone = customer + "  phone: {type: phone}\n"

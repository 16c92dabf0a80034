package preview_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/preview"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// files are the content of a tree by path; an empty text removes the path.
type files map[string]string

// world is a repository with a branch main, and a data directory.
type world struct {
	t          testing.TB
	repo, data string
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

// pull makes a branch that changes files of main, and leaves main checked out.
func (w *world) pull(content files) (head string) {
	w.t.Helper()
	w.git("checkout", "--quiet", "-B", "pull")
	defer w.git("checkout", "--quiet", "main")
	return w.commit("change", content)
}

// merge merges the branch pull as a forge does.
func (w *world) merge() { w.git("merge", "--quiet", "--no-ff", "--message", "merge", "pull") }

// open opens the way to the fleet, as a command that looks has it, for as long as
// use takes: this process may have each database open once.
func (w *world) open(use func(reconcile.Config)) {
	w.t.Helper()
	repo, err := gitrepo.Open(w.t.Context(), gitrepo.Config{URL: w.repo})
	if err != nil {
		w.t.Fatal(err)
	}
	defer repo.Close()
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: w.data})
	if err != nil {
		w.t.Fatal(err)
	}
	w.state(func(store *state.Store) {
		use(reconcile.Config{Repo: repo, Router: router, Store: store, ReadOnly: true})
	})
}

func (w *world) state(use func(*state.Store)) {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	use(store)
}

// sync brings the fleet to main.
func (w *world) sync() (report reconcile.Report) {
	w.t.Helper()
	w.open(func(c reconcile.Config) {
		c.ReadOnly = false
		var err error
		if report, err = reconcile.New(c).Sync(w.t.Context(), reconcile.Selection{}); err != nil {
			w.t.Fatal(err)
		}
	})
	return report
}

// preview is what merging pull into main would do.
func (w *world) preview(set ...func(*preview.Request)) (report *preview.Report) {
	w.t.Helper()
	w.open(func(c reconcile.Config) {
		q := preview.Request{Base: "main", Head: "pull", Reconcile: c}
		for _, s := range set {
			s(&q)
		}
		var err error
		if report, err = preview.Run(w.t.Context(), q); err != nil {
			w.t.Fatal(err)
		}
	})
	return report
}

// previewed are files of a pull request, previewed.
func (w *world) previewed(content files, set ...func(*preview.Request)) *preview.Report {
	w.t.Helper()
	w.pull(content)
	return w.preview(set...)
}

// onTenant runs statements on a tenant's database as its application would.
func (w *world) onTenant(id string, statements ...string) {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), filepath.Join(w.data, "tenants", id+".db"), libsql.Options{})
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

// withoutData previews as CI does that has no access to databases.
func withoutData(q *preview.Request) { q.Reconcile.Store = nil }

const (
	customer = "name: customer\nfields:\n  name: {type: text, required: true}\n  phone: {type: text}\n"
	vat      = customer + "  vat: {type: text}\n"
)

// shop is an app and tenants that use it.
func shop(tenants ...string) files {
	all := files{
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": customer,
	}
	for _, id := range tenants {
		all["tenants/"+id+"/tenant.yaml"] = tenant(id, "")
	}
	return all
}

func tenant(id, more string) string {
	return "id: " + id + "\nname: " + id + "\napps: [{name: shop}]\n" + more
}

func (f files) with(more files) files {
	for name, text := range more {
		f[name] = text
	}
	return f
}

// plansOf are the digests of the newest deployments.
func (w *world) plansOf(ids ...string) map[string]state.Deployment {
	w.t.Helper()
	found := map[string]state.Deployment{}
	w.state(func(store *state.Store) {
		for _, id := range ids {
			list, err := store.Deployments(w.t.Context(), tenantID(id), 1)
			if err != nil || len(list) != 1 {
				w.t.Fatalf("%s: got %d deployments, error %v", id, len(list), err)
			}
			found[id] = list[0]
		}
	})
	return found
}

var clock = func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// value is the first value that a query gives, as text.
func (w *world) value(id, sql string) string {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), filepath.Join(w.data, "tenants", id+".db"), libsql.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(w.t.Context(), sql)
	if err != nil || len(rows.Values) == 0 {
		w.t.Fatalf("%s: %d rows, error %v", sql, len(rows.Values), err)
	}
	if text, ok := rows.Values[0][0].([]byte); ok {
		return string(text)
	}
	return fmt.Sprint(rows.Values[0][0])
}

package reconcile_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// limited opens the state of a world in a file to which so many pages can be
// added; less than none for any number.
func (w *world) limited() (*state.Store, func(room int)) {
	w.t.Helper()
	path := filepath.Join(w.data, "state.db")
	conn, err := libsql.Open(w.t.Context(), path, libsql.Options{Create: true, WAL: true})
	if err != nil {
		w.t.Fatal(err)
	}
	store, err := state.OpenConn(w.t.Context(), conn, path, state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return store, func(room int) {
		rows, err := conn.Query(w.t.Context(), "PRAGMA page_count")
		if err != nil {
			w.t.Fatal(err)
		}
		pages := rows.Values[0][0].(int64) + int64(room)
		if room < 0 {
			pages = 1 << 30
		}
		if _, err := conn.Query(w.t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// fill takes all the room that there is for large rows.
func (w *world) fill(store *state.Store) {
	w.t.Helper()
	for i := 0; ; i++ {
		err := store.SaveBundle(w.t.Context(), fmt.Sprint("filler ", i), make([]byte, 3000))
		if errors.Is(err, database.ErrFull) {
			return
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
}

// When state is full deployments pause: with any room for it, from none to
// enough, at most the tenant whose deployment was under way is ahead of state.
// Once there is room every tenant is deployed, and each deployment is in its
// journal and in state once.
func TestStateIsFull(t *testing.T) {
	ids := []string{"a", "b", "c", "d"}
	paused := 0
	for room := 0; room < 100; room++ {
		w := newWorld(t, shop(ids...))
		w.sync()
		var store *state.Store
		var limit func(room int)
		r, closeAll := w.openWith(func(c *reconcile.Config) {
			if err := c.Store.Close(); err != nil {
				t.Fatal(err)
			}
			store, limit = w.limited()
			c.Store, c.MaxConcurrent = store, 1
		})
		limit(0)
		w.fill(store)
		w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
		limit(room)

		report, err := r.Sync(t.Context(), reconcile.Selection{})
		ahead := 0
		for _, id := range ids {
			if journal := w.rows(id, "SELECT count(*) FROM _reconciler_journal"); journal != recorded(t, store, id) {
				ahead++
			}
		}
		if ahead > 1 {
			t.Errorf("with room for %d pages %d tenants were deployed that state does not know of", room, ahead)
		}
		full := err != nil || report.Status != state.Succeeded
		if full {
			paused++
			if err != nil && !errors.Is(err, database.ErrFull) {
				t.Errorf("with room for %d pages: %v", room, err)
			}
		}
		limit(-1)
		if report, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil || report.Status != state.Succeeded {
			t.Errorf("after room for %d pages: got %s, %v", room, report.Status, err)
		}
		for _, id := range ids {
			if journal, known := w.rows(id, "SELECT count(*) FROM _reconciler_journal"), recorded(t, store, id); journal != "2" || known != "2" {
				t.Errorf("after room for %d pages: tenant %s has %s deployments, and %s in state", room, id, journal, known)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		closeAll()
		if !full {
			break
		}
	}
	if paused < 2 {
		t.Errorf("state was full %d times: this test shows nothing", paused)
	}
}

// recorded is how many deployments of a tenant state has as ready.
func recorded(t *testing.T, store *state.Store, id string) string {
	t.Helper()
	list, err := store.Deployments(t.Context(), protocol.TenantID(id), 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range list {
		if d.Status == protocol.DeployReady {
			n++
		}
	}
	return fmt.Sprint(n)
}

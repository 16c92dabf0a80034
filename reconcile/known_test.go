package reconcile_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// asAnotherProcess opens the state of a world whose reconciler has it open.
func (w *world) asAnotherProcess() *state.Store {
	w.t.Helper()
	path := filepath.Join(w.data, "state.db")
	conn, err := libsql.Open(w.t.Context(), path, libsql.Options{Shared: true})
	must(w.t, err)
	s, err := state.OpenConn(w.t.Context(), conn, path, state.Options{})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, s.Close()) })
	return s
}

// A reconciler that runs remembers the fleet and what it has seen of it. What
// another process writes to state counts all the same, and so does what
// somebody does to a database.
func TestNothingRememberedIsStale(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	r, closeAll := w.open()
	defer closeAll()
	ctx, other := t.Context(), w.asAnotherProcess()
	sync := func() reconcile.Tenant {
		t.Helper()
		report, err := r.Sync(ctx, reconcile.Selection{})
		must(t, err)
		return tenantOf(t, report, "acme")
	}
	drift := func() (reconcile.Drifted, error) {
		found, err := r.Drift(ctx, []protocol.TenantID{"acme"})
		if err != nil {
			return reconcile.Drifted{}, err
		}
		return found[0], nil
	}
	settle := func() state.Observed {
		t.Helper()
		sync()
		sync()
		if d, err := drift(); err != nil || !d.Unchanged {
			t.Fatalf("a settled fleet: got %+v, %v", d, err)
		}
		row, _, err := other.ObservedOf(ctx, "acme")
		must(t, err)
		return row
	}
	opened := func(what string) {
		t.Helper()
		if d, err := drift(); err != nil || d.Unchanged || d.Err != nil || len(d.Differences) > 0 {
			t.Errorf("%s: got %+v, %v, want a look at the database", what, d, err)
		}
	}

	row := settle()
	row.InputDigest, row.Follows = "", false // as a rollback leaves it
	must(t, other.SaveObserved(ctx, row))
	opened("a row written elsewhere")

	row = settle()
	list, err := other.Deployments(ctx, "acme", 0)
	must(t, err)
	row.Sync, row.InputDigest = state.Unknown, ""
	must(t, other.Replace(ctx, "acme", list, row)) // as "state rebuild" does
	opened("state rebuilt")

	settle()
	known, err := other.Tenant(ctx, "acme")
	must(t, err)
	moved := known
	moved.Spec.ConnectionConfig = &protocol.TenantConnectionConfig{URL: "file:nowhere/acme.db"}
	must(t, other.SaveTenants(ctx, moved))
	if d, err := drift(); err != nil || d.Err == nil {
		t.Errorf("another database: got %+v, %v", d, err)
	}
	must(t, other.SaveTenants(ctx, known))

	settle()
	hold := state.Hold{Tenant: "acme", Owner: "ada", Reason: "wait", SetAt: time.Now()}
	must(t, other.SetHold(ctx, hold))
	if got := sync(); got.Result.Action != reconcile.Held {
		t.Errorf("held elsewhere: got %+v", got.Result)
	}
	_, err = other.EndHold(ctx, hold, state.Event{Kind: state.EventReleased})
	must(t, err)

	settle()
	must(t, other.ForgetTenant(ctx, "acme"))
	if _, err := drift(); !errors.Is(err, reconcile.ErrUnseenTenant) {
		t.Errorf("forgotten elsewhere: got %v", err)
	}

	settle()
	w.onTenant("acme", "DROP INDEX uniq_customer_email")
	if d, err := drift(); err != nil || len(d.Differences) != 1 {
		t.Errorf("an index dropped: got %+v, %v", d, err)
	}
	if got := sync(); !got.Result.Drift {
		t.Errorf("in a pass: got %+v", got.Result)
	}
}

// A tag that an app's version asks for is part of what a revision says: the
// revision is read again when the tag arrives.
func TestTagThatArrivesIsNoMemory(t *testing.T) {
	content := shop("acme")
	content["tenants/acme/tenant.yaml"] = "id: acme\nname: Acme\napps: [{name: shop, version: 0.9.0}]\n"
	w := newWorld(t, content)
	r, closeAll := w.open()
	defer closeAll()
	sync := func() reconcile.Tenant {
		t.Helper()
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		must(t, err)
		return tenantOf(t, report, "acme")
	}
	if got := sync(); got.Health != state.Blocked {
		t.Fatalf("without the tag: got %+v", got)
	}
	head := w.git("rev-parse", "HEAD")
	w.commit("an old version", files{"apps/shop/app.yaml": "name: shop\nlabel: Shop\nversion: 0.9.0\n"})
	w.git("tag", "shop/v0.9.0")
	w.git("reset", "--quiet", "--hard", head)
	if got := sync(); got.Sync != state.Synced {
		t.Errorf("with the tag: got %+v", got)
	}
}

package reconcile_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// events are those of a tenant, newest first, with what is the same in all of
// a test left out.
func (w *world) events(tenant string) []state.Event {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	list, err := store.Events(w.t.Context(), state.EventQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	var own []state.Event
	for _, e := range list {
		if string(e.Tenant) == tenant {
			own = append(own, e)
		}
	}
	return own
}

func kinds(events []state.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.Kind
	}
	return list
}

// Each deployment is an event, whatever its end, and a pass that does nothing
// is none.
func TestDeploymentsAreEvents(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.sync()
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c1', 'Ada'), ('c2', 'Ada')")
	head := w.commit("unique names", files{"apps/shop/objects/customer.yaml": "name: customer\nlabel: Customer\nfields:\n" +
		"  name: {type: text, required: true, unique: true}\n  email: {type: email, unique: true}\n"})
	report := w.sync()
	got := w.events("acme")
	if diff := cmp.Diff([]string{state.EventBlocked, state.EventProvisioned, state.EventDeployed}, kinds(got)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	result := tenantOf(t, report, "acme").Result
	if e := got[0]; e.Reason != "PreCheckFailed" || e.Detail != result.Message || e.Revision != head ||
		e.Deployment != result.DeploymentID || e.Plan != result.Plan.Digest || e.Author != "Ada <ada@example.com>" {
		t.Errorf("got %+v", e)
	}
}

// A deployment of which a crash took the row in state is an event when the
// journal tells of it.
func TestDeploymentFoundInTheJournalIsAnEvent(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	store, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, closeAll := w.open()
	defer closeAll()
	defer store.Close()
	forgetful := reconcile.New(reconcile.Config{Repo: r.Repo, Router: r.Router, Store: store})
	if _, err := forgetful.Sync(t.Context(), reconcile.Selection{}); err != nil {
		t.Fatal(err)
	}
	list, err := store.Events(t.Context(), state.EventQuery{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[1].Kind != state.EventDeployed || list[1].Actor != "" || list[1].Detail != "found in the tenant's journal" {
		t.Errorf("got %+v", list)
	}
}

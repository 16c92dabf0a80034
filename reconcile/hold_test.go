package reconcile_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// inState does something with the world's state, which is closed otherwise.
func (w *world) inState(do func(ctx context.Context, s *state.Store) error) {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := do(w.t.Context(), store); err != nil {
		w.t.Error(err)
	}
	if err := store.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) hold(h state.Hold) {
	w.t.Helper()
	h.Owner = "ops"
	w.inState(func(ctx context.Context, s *state.Store) error { return s.SetHold(ctx, h) })
}

// release ends every hold, as the command does.
func (w *world) release() {
	w.t.Helper()
	w.inState(func(ctx context.Context, s *state.Store) error {
		holds, err := s.Holds(ctx)
		for _, h := range holds {
			_, err = s.EndHold(ctx, h, state.Event{Kind: state.EventReleased, Actor: "ops"})
		}
		return err
	})
}

func (w *world) observed(id string) (row state.Observed) {
	w.t.Helper()
	w.inState(func(ctx context.Context, s *state.Store) (err error) {
		row, _, err = s.ObservedOf(ctx, protocol.TenantID(id))
		return err
	})
	return row
}

// actions are what a pass did, by tenant.
func actions(r reconcile.Report) map[string]deploy.Action {
	all := map[string]deploy.Action{}
	for _, t := range r.Tenants {
		all[string(t.ID)] = t.Result.Action
	}
	return all
}

// withLabel is a shop in which acme is a canary.
func withLabel() files {
	content := shop("acme", "globex")
	content["tenants/acme/tenant.yaml"] += "labels: {tier: canary}\n"
	return content
}

func TestHoldKeepsTenants(t *testing.T) {
	for name, c := range map[string]struct {
		hold state.Hold
		want map[string]deploy.Action
		next string
	}{
		"a tenant":         {state.Hold{Tenant: "acme"}, map[string]deploy.Action{"acme": "held", "globex": "update"}, `"reconciler release acme"`},
		"those of a label": {state.Hold{Labels: "tier=canary"}, map[string]deploy.Action{"acme": "held", "globex": "update"}, `"reconciler release --match tier=canary"`},
		"the fleet":        {state.Hold{}, map[string]deploy.Action{"acme": "held", "globex": "held"}, `"reconciler release --all"`},
		"with an end":      {state.Hold{Tenant: "acme", Until: time.Now().Add(time.Hour)}, map[string]deploy.Action{"acme": "held", "globex": "update"}, `"reconciler release acme"`},
		"that has expired": {state.Hold{Until: time.Now().Add(-time.Second)}, map[string]deploy.Action{"acme": "update", "globex": "update"}, ""},
		"another bundle":   {state.Hold{Tenant: "acme", Bundle: "b1"}, map[string]deploy.Action{"acme": "update", "globex": "update"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withLabel())
			w.sync()
			head := w.git("rev-parse", "HEAD")
			c.hold.Reason = "incident 42"
			w.hold(c.hold)
			w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
			report := w.sync()
			if diff := cmp.Diff(c.want, actions(report)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if report.Status != state.Succeeded {
				t.Errorf("got status %s: held tenants are fine", report.Status)
			}
			if c.next == "" {
				return
			}
			row := w.observed("acme")
			if row.Sync != state.OutOfSync || row.Health != state.Healthy || row.Reason != "Held" || row.AppliedRevision != head ||
				!strings.Contains(row.Message, "ops holds") || !strings.Contains(row.Message, "incident 42") || !strings.Contains(row.Next, c.next) {
				t.Errorf("observed %+v", row)
			}
			w.release()
			if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed {
				t.Errorf("after the release: %+v", result)
			}
			if row := w.observed("acme"); row.Sync != state.Synced || row.Reason != "" {
				t.Errorf("after the release: observed %+v", row)
			}
		})
	}
}

// A hold is no write and no look: the file of a held tenant may be away.
func TestHeldTenantIsNotOpened(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.hold(state.Hold{Tenant: "acme"})
	if err := os.Rename(w.tenantFile("acme"), w.tenantFile("aside")); err != nil {
		t.Fatal(err)
	}
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	if report := w.sync(); report.Status != state.Succeeded || actions(report)["acme"] != reconcile.Held {
		t.Errorf("got %s, %s", report.Status, actions(report)["acme"])
	}
	if diff := cmp.Diff([]string{state.EventHeld, state.EventProvisioned, state.EventDeployed}, kinds(w.events("acme"))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A tenant that had nothing to do before, in and after the hold is not
// deployed for that.
func TestHoldOfATenantThatIsSynced(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.hold(state.Hold{Tenant: "acme"})
	report := w.sync()
	if got := tenantOf(t, report, "acme"); got.Result.Action != reconcile.Held || got.Sync != state.Synced {
		t.Errorf("held: got %s, %s", got.Result.Action, got.Sync)
	}
	w.release()
	for range 2 {
		if got := tenantOf(t, w.sync(), "acme"); got.Result.Action != deploy.None || got.Sync != state.Synced {
			t.Errorf("released: got %s, %s", got.Result.Action, got.Sync)
		}
	}
	if row := w.observed("acme"); row.Reason != "" {
		t.Errorf("released: observed %+v", row)
	}
}

// A hold on one bundle, as a rollback sets it, is lifted when git asks for
// another and the tenant has that.
func TestHoldOfOneBundle(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	r, closeAll := w.open()
	planned, err := r.Plan(t.Context(), reconcile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	closeAll()
	bad := tenantOf(t, planned, "acme").Result.Plan.Bundle
	w.hold(state.Hold{Tenant: "acme", Bundle: bad})
	for range 2 {
		if got := actions(w.sync()); got["acme"] != reconcile.Held {
			t.Fatalf("the bad bundle: got %s", got["acme"])
		}
	}

	w.commit("phones are text", files{"apps/shop/objects/customer.yaml": customer + "  phone: {type: text}\n"})
	if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed {
		t.Fatalf("another bundle: %+v", result)
	}
	events := w.events("acme")
	if diff := cmp.Diff([]string{state.EventReleased, state.EventDeployed, state.EventHeld, state.EventProvisioned, state.EventDeployed}, kinds(events)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	w.git("revert", "--no-edit", "HEAD")
	if got := actions(w.sync()); got["acme"] != deploy.Update {
		t.Errorf("the first bundle again, after the hold was lifted: got %s", got["acme"])
	}
}

// Going back to what is applied lifts the hold as well.
func TestHoldOfOneBundleEndsWithARevert(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	r, closeAll := w.open()
	planned, err := r.Plan(t.Context(), reconcile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	closeAll()
	w.hold(state.Hold{Tenant: "acme", Bundle: tenantOf(t, planned, "acme").Result.Plan.Bundle})
	w.sync()
	w.git("revert", "--no-edit", "HEAD")
	if got := tenantOf(t, w.sync(), "acme"); got.Result.Action != deploy.None || got.Sync != state.Synced {
		t.Errorf("got %s, %s", got.Result.Action, got.Sync)
	}
	w.inState(func(ctx context.Context, s *state.Store) error {
		holds, err := s.Holds(ctx)
		if len(holds) > 0 {
			t.Errorf("still there: %v", holds)
		}
		return err
	})
}

func TestExpiredHoldIsAnEvent(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.hold(state.Hold{Tenant: "acme", Until: time.Now().Add(-time.Second), Reason: "lunch"})
	w.sync()
	w.sync()
	events := w.events("acme")
	if diff := cmp.Diff([]string{state.EventHoldExpired, state.EventHeld, state.EventProvisioned, state.EventDeployed}, kinds(events)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	if e := events[0]; e.Actor != "reconciler" || e.Reason != "lunch" {
		t.Errorf("got %+v", e)
	}
}

// A daemon acts on a release at once, and on the end of a hold when it comes.
func TestRunActsOnHolds(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.hold(state.Hold{Tenant: "acme", Until: time.Now().Add(1500 * time.Millisecond)})
	r, closeAll := w.open()
	defer closeAll()
	passes := make(chan reconcile.Report, 10)
	r.Poll = time.Hour
	r.OnPass = func(report reconcile.Report, err error) {
		if err != nil {
			t.Error(err)
		}
		passes <- report
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	until := func(want deploy.Action) {
		t.Helper()
		for limit := time.After(2 * time.Minute); ; {
			select {
			case report := <-passes:
				if actions(report)["acme"] == want {
					return
				}
			case <-limit:
				t.Fatalf("no pass did %s", want)
			}
		}
	}
	until(reconcile.Held)
	until(deploy.Create) // it has expired

	h := state.Hold{Tenant: "acme", Owner: "ops", SetAt: time.Now()}
	for _, step := range []struct {
		do   func() error
		want deploy.Action
	}{
		{func() error { return r.Store.SetHold(ctx, h) }, reconcile.Held},
		{func() error {
			_, err := r.Store.EndHold(ctx, h, state.Event{Kind: state.EventReleased})
			return err
		}, deploy.None},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if err := r.Notice(ctx); err != nil {
			t.Fatal(err)
		}
		until(step.want)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A hold that is set while a pass goes on is in the way of the tenants that
// the pass has not come to.
func TestHoldInThePassUnderWay(t *testing.T) {
	content := shop("acme", "beta", "globex")
	content["fleet.yaml"] = "rollout: {maxConcurrent: 1}\n"
	w := newWorld(t, content)
	r, closeAll := w.open()
	defer closeAll()
	first := true
	r.OnTenant = func(reconcile.Tenant) {
		if !first {
			return
		}
		first = false
		if err := r.Store.SetHold(t.Context(), state.Hold{Owner: "ops", Reason: "stop"}); err != nil {
			t.Error(err)
		}
		if err := r.Notice(t.Context()); err != nil {
			t.Error(err)
		}
	}
	report, err := r.Sync(t.Context(), reconcile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]deploy.Action{"acme": deploy.Create, "beta": reconcile.Held, "globex": reconcile.Held}
	if diff := cmp.Diff(want, actions(report)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

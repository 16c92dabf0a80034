package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// interrupt runs a pass in a process that is told to end as it begins to deploy
// to the tenant after the nth.
func (w *world) interrupt(now time.Time, nth int) reconcile.Report {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	defer end()
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.OnTenant = func(reconcile.Tenant) { nth-- }
		c.Now = func() time.Time {
			if nth == 0 {
				end()
			}
			return now
		}
	})
	defer closeAll()
	report, err := r.Sync(ctx, reconcile.Selection{})
	if !errors.Is(err, context.Canceled) {
		w.t.Fatalf("the pass was not interrupted: %v", err)
	}
	return report
}

// A tenant whose deployment is interrupted has not failed: its wave goes on in
// the next process as though nobody had tried it.
func TestInterruptedTenantHasNotFailed(t *testing.T) {
	w, c := waves(t, "rollout: {maxConcurrent: 1, waves: [{name: all, failureBudget: {tenants: 0}}]}\n"), newClock()
	w.sync() // a database is known from the pass after the one that made it
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	report := w.interrupt(c.now, 1)
	if got := tenantOf(t, report, "t01"); got.Result.Reason != "Interrupted" || got.Problem() || !got.Interrupted() {
		t.Errorf("t01 is %s, %s: %+v", got.Sync, got.Health, got.Result.Assessment)
	}
	if row := w.observed("t01"); row.Sync != state.Unknown || row.Health != state.Progressing || row.Reason != "Interrupted" {
		t.Errorf("state has %+v", row)
	}

	if got := changed(w.syncAt(c.now)); got != "t01 "+restOfTwenty {
		t.Errorf("the next process deployed to %s", got)
	}
	if r := w.rollout(); r.Status != state.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
	w.onStore(func(ctx context.Context, s *state.Store) error {
		events, err := s.Events(ctx, state.EventQuery{})
		for _, e := range events {
			if e.Kind == state.EventRolloutHalted {
				t.Errorf("it halted: %+v", e)
			}
		}
		return err
	})
}

// One that failed before has done so still: an interruption lets no wave go on
// that has halted for it.
func TestInterruptedTenantFailsStill(t *testing.T) {
	w, c := waves(t, "rollout: {maxConcurrent: 1, waves: [{name: all, failureBudget: {tenants: 0}}]}\n"), newClock()
	w.onTenant("t00", "INSERT INTO customer (id, name) VALUES ('c1', 'nobody')")
	w.commit("phone", files{
		"apps/shop/objects/customer.yaml": customerWithPhone,
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\nverify: [\"SELECT id FROM customer WHERE name = 'nobody'\"]\n",
	})
	if got := changed(w.syncAt(c.now)); got != "t00" {
		t.Fatalf("the first one fails its verification, and halts: got %s", got)
	}
	before := w.observed("t00")
	report := w.interrupt(c.now, 19) // it comes last
	if got := tenantOf(t, report, "t00"); got.Result.Reason != "Interrupted" {
		t.Errorf("t00: got %+v", got.Result.Assessment)
	}
	if row := w.observed("t00"); row != before {
		t.Errorf("state has %+v", row)
	}
	if got := changed(w.syncAt(c.now)); got != "" {
		t.Errorf("the next process deployed to %s", got)
	}
	if r := w.rollout(); r.Status != state.Failed || r.Reason != "BudgetExceeded" {
		t.Errorf("rollout: %+v", r)
	}
}

// cutOff answers no request while somebody has taken them all back.
type cutOff struct {
	http.RoundTripper
	now bool
}

func (c *cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.now {
		return nil, context.Canceled
	}
	return c.RoundTripper.RoundTrip(r)
}

// A daemon that goes on tries the tenant again soon, though git has nothing new,
// and not all the time.
func TestInterruptedTenantIsTriedAgain(t *testing.T) {
	f := newRemoteFleet(t, sqldtest.Start(t), oneApp(), 1)
	line, c := &cutOff{now: true}, newClock()
	r, closeAll := f.over(f.server.URL, func(under http.RoundTripper) http.RoundTripper {
		line.RoundTripper = under
		return line
	}, func(config *reconcile.Config) {
		config.Now, config.Poll, config.Look = func() time.Time { return c.now }, 10*time.Minute, time.Hour
	})
	defer closeAll()
	var last reconcile.Report
	r.OnTenant = func(one reconcile.Tenant) { last.Tenants = []reconcile.Tenant{one} }
	poll := func() bool {
		t.Helper()
		passed, err := r.PollOnce(t.Context())
		must(t, err)
		return passed
	}
	if !poll() {
		t.Fatal("no pass began")
	}
	if got := tenantOf(t, last, "t0000"); got.Result.Reason != "Interrupted" || !got.Interrupted() {
		t.Fatalf("got %s, %s: %+v", got.Sync, got.Health, got.Result.Assessment)
	}
	for range 5 { // at once where a wave is due, then no more
		poll()
	}
	if poll() {
		t.Error("a pass begins though it is not due")
	}
	line.now, c.now = false, c.now.Add(7*time.Second)
	if !poll() {
		t.Error("no pass begins though it is due")
	}
	if got := tenantOf(t, last, "t0000"); got.Sync != state.Synced {
		t.Errorf("got %s, %s: %+v", got.Sync, got.Health, got.Result.Assessment)
	}
}

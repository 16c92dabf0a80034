package notify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/notify"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// told is what a watch tells of, as "kind: message".
type told struct{ events []notify.Event }

func (l *told) tell(e notify.Event) { l.events = append(l.events, e) }

// want checks what was told since the last want.
func (l *told) want(t *testing.T, after string, want ...string) {
	t.Helper()
	got := []string{}
	for _, e := range l.events {
		got = append(got, string(e.Kind)+": "+e.Message)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", after, diff)
	}
	l.events = nil
}

func failing(id, reason string) reconcile.Tenant {
	t := reconcile.Tenant{ID: protocol.TenantID(id), Sync: state.OutOfSync, Health: state.Blocked}
	t.Result.Reason, t.Result.Message = reason, "row 7 of customer"
	return t
}

func report(tenants ...reconcile.Tenant) reconcile.Report {
	return reconcile.Report{Tenants: tenants}
}

// Each change is told of once, and what lasts is not told of again.
func TestWatch(t *testing.T) {
	var log told
	w := notify.NewWatch(log.tell, notify.Known{Observed: map[protocol.TenantID]state.Observed{
		"old": {Tenant: "old", Health: state.Missing, Reason: "Missing"},
	}})
	w.Pass(report(failing("old", "Missing")), nil)
	log.want(t, "what failed before the start")
	w.Pass(report(failing("acme", "PreCheckFailed"), failing("old", "Missing")), nil)
	log.want(t, "one more", "tenants_failing: tenant acme: PreCheckFailed")
	w.Pass(report(failing("acme", "PreCheckFailed"), failing("b", "Busy"), failing("c", "Busy")), nil)
	log.want(t, "two more", "tenants_failing: 2 tenants fail or are blocked (Busy: 2)")
	w.Pass(report(failing("b", "Busy"), failing("c", "Busy")), nil)
	log.want(t, "the same")
	w.Pass(reconcile.Report{}, errors.New("no such branch"))
	w.Pass(reconcile.Report{}, errors.New("no such branch"))
	log.want(t, "a pass that fails twice", "pass_failed: a pass failed, and nothing is deployed: no such branch")
	w.Pass(report(failing("b", "Busy")), nil)
	log.want(t, "a pass that works", "pass_recovered: passes work again")
	w.Pass(report(), nil)
	log.want(t, "all well", "tenants_recovered: no tenant fails any more")

	drifted := reconcile.Tenant{ID: "acme", Sync: state.OutOfSync, Health: state.Healthy}
	drifted.Result.Reason = "Drift"
	w.Pass(report(drifted), nil)
	w.Pass(report(drifted), nil)
	log.want(t, "drift", "drift_found: tenant acme: Drift")
	waits := report(failing("x", "DeletionGuard"))
	waits.Waiting = &reconcile.Removal{Waiting: fleet.Waiting{Reason: "DeletionGuard", Message: "commit a removes 3 tenants", Next: "confirm"}}
	w.Pass(waits, nil)
	w.Pass(waits, nil)
	log.want(t, "a deletion", "deletion_waiting: commit a removes 3 tenants")
	all := reconcile.Report{Waiting: &reconcile.Removal{Waiting: fleet.Waiting{Reason: "NoTenants", Message: "commit b has no tenant", Next: "confirm"}}}
	w.Pass(all, errors.New("no tenants"))
	w.Pass(all, errors.New("no tenants"))
	log.want(t, "a commit without tenants", "deletion_waiting: commit b has no tenant")
	w.Pass(report(), nil)
	log.want(t, "a commit with all of them")
}

// A restart tells of a failure that lasts not again, and of its end.
func TestWatchAfterRestart(t *testing.T) {
	var log told
	w := notify.NewWatch(log.tell, notify.Known{Pass: state.Pass{Status: state.Failed, Error: "no such branch"}})
	w.Pass(reconcile.Report{}, errors.New("no such branch"))
	log.want(t, "the same failure")
	w.Pass(reconcile.Report{}, errors.New("no such file"))
	log.want(t, "another one", "pass_failed: a pass failed, and nothing is deployed: no such file")
	w.Pass(report(), nil)
	log.want(t, "a pass that works", "pass_recovered: passes work again")

	w = notify.NewWatch(log.tell, notify.Known{
		Pass: state.Pass{Status: state.Failed, Error: "no tenants", WaitingReason: "NoTenants", WaitingMessage: "commit b has no tenant"},
		Observed: map[protocol.TenantID]state.Observed{
			"acme": {Tenant: "acme", Health: state.Blocked, Reason: "NoTenants"},
		},
	})
	w.Pass(reconcile.Report{Waiting: &reconcile.Removal{Waiting: fleet.Waiting{Reason: "NoTenants", Message: "commit b has no tenant"}}}, errors.New("no tenants"))
	w.Pass(report(), nil)
	log.want(t, "a deletion that waited")

	w = notify.NewWatch(log.tell, notify.Known{Pass: state.Pass{Status: state.Failed, Error: "read state: context canceled"}})
	w.Pass(report(), nil)
	log.want(t, "a pass that was told to end")
}

func TestWatchSource(t *testing.T) {
	var log told
	w := notify.NewWatch(log.tell, notify.Known{})
	now := time.Now()
	for range 3 {
		w.Source(state.Source{FetchedAt: now, AwaySince: now, Error: "no route"})
	}
	log.want(t, "away", "source_away: the repository does not answer: no route")
	w.Source(state.Source{FetchedAt: now})
	w.Source(state.Source{FetchedAt: now})
	log.want(t, "back", "source_back: the repository answers again")
}

func TestWatchRollout(t *testing.T) {
	var log told
	w := notify.NewWatch(log.tell, notify.Known{})
	r := state.Rollout{ID: 3, Revision: strings.Repeat("a", 40), Message: "2 of 10 failed"}
	for _, status := range []state.Operation{state.Running, state.Running, state.Failed, state.Failed, state.Running} {
		r.Status = status
		w.Rollout(r)
	}
	r.Status, r.EndedAt = state.Partial, time.Now()
	w.Rollout(r)
	w.Rollout(r)
	log.want(t, "a rollout",
		"rollout_started: rollout 3 of aaaaaaaaaaaa has started",
		"rollout_halted: rollout 3 of aaaaaaaaaaaa has halted: 2 of 10 failed",
		"rollout_finished: rollout 3 of aaaaaaaaaaaa ended: Partial")
}

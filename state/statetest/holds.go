package statetest

import (
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var holds = []exercise{
	{"every field of a hold is kept", holdFields},
	{"a hold that is set again is the same hold", holdTwice},
	{"holds of a tenant, of labels, of the fleet and of bundles stand side by side", holdTargets},
	{"a hold ends once, and only as it was read", holdEnds},
	{"holds are events", holdEvents},
}

// hold is of a tenant, since one of labels too is of nothing.
func hold(tenant protocol.TenantID, n int) state.Hold {
	h := filled[state.Hold](n)
	h.Tenant, h.Labels = tenant, ""
	return h
}

func holdFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	one, labels := hold("acme", 1), filled[state.Hold](2)
	labels.Tenant = ""
	f.must(s.SetHold(ctx, one))
	f.must(s.SetHold(ctx, labels))
	got, err := f.reopened(s).Holds(ctx)
	f.must(err)
	f.equal(got, []state.Hold{labels, one})

	both := filled[state.Hold](3)
	if err := s.SetHold(ctx, both); err == nil {
		f.Error("a hold of a tenant and of labels was set")
	}
}

func holdTwice(f *fixture) {
	ctx, s := f.Context(), f.store()
	h := hold("acme", 1)
	f.must(s.SetHold(ctx, h))
	h.Owner, h.Reason, h.Until = "bo", "longer", time.Time{}
	f.must(s.SetHold(ctx, h))
	got, err := s.Holds(ctx)
	f.must(err)
	f.equal(got, []state.Hold{h})
}

func holdTargets(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := []state.Hold{ // in the order of Holds
		{Owner: "ada"},
		{Labels: "tier=canary", Owner: "ada"},
		{Tenant: "acme", Owner: "ada"},
		{Tenant: "acme", Bundle: "b1", Owner: "ada"},
		{Tenant: "globex", Owner: "ada"},
	}
	for i := range want {
		f.must(s.SetHold(ctx, want[i]))
		want[i].SetAt = now
	}
	got, err := s.Holds(ctx)
	f.must(err)
	f.equal(got, want)
}

func holdEnds(f *fixture) {
	ctx, s := f.Context(), f.store()
	h := hold("acme", 1)
	f.must(s.SetHold(ctx, h))
	stale := h
	stale.SetAt = h.SetAt.Add(-time.Second)
	for _, step := range []struct {
		hold state.Hold
		want bool
	}{{stale, false}, {h, true}, {h, false}} {
		ended, err := s.EndHold(ctx, step.hold, state.Event{Kind: state.EventReleased})
		f.must(err)
		f.equal(ended, step.want)
	}
	got, err := s.Holds(ctx)
	f.must(err)
	f.equal(got, []state.Hold{})
}

func holdEvents(f *fixture) {
	ctx, s := f.Context(), f.store()
	h := state.Hold{Tenant: "acme", Bundle: "0123456789abcdef", Owner: "ada", Via: "cli", Reason: "incident", SetAt: now, Until: now.Add(time.Hour)}
	f.must(s.SetHold(ctx, h))
	_, err := s.EndHold(ctx, h, state.Event{Kind: state.EventReleased, Actor: "bo", Via: "cli", Reason: "over"})
	f.must(err)
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	const detail = `tenant "acme", bundle 0123456789ab, until 2026-03-04T06:06:07Z`
	f.equal(got, []state.Event{
		{At: now, Kind: state.EventReleased, Tenant: "acme", Actor: "bo", Via: "cli", Reason: "over", Detail: detail},
		{At: now, Kind: state.EventHeld, Tenant: "acme", Actor: "ada", Via: "cli", Reason: "incident", Detail: detail},
	})
}

package statetest

import (
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var events = []exercise{
	{"events are read newest first", eventsNewestFirst},
	{"an event without a time happened now", eventNow},
	{"events are found by who did them", eventsByActor},
	{"events are found by when they happened", eventsSince},
	{"a deployment is recorded together with its events", eventWithDeployment},
}

func eventsNewestFirst(f *fixture) {
	ctx, s := f.Context(), f.store()
	var all []state.Event
	for n := range 4 {
		e := filled[state.Event](n)
		e.At = now // the order is that of adding, not of time
		e.Tenant = protocol.TenantID([]string{"acme", "globex", "", "acme"}[n])
		f.must(s.AddEvent(ctx, e))
		all = append([]state.Event{e}, all...)
	}
	s = f.reopened(s)
	for _, want := range []struct {
		query  state.EventQuery
		events []state.Event
	}{
		{state.EventQuery{}, all},
		{state.EventQuery{Limit: 2}, all[:2]},
		{state.EventQuery{Tenant: "acme"}, []state.Event{all[0], all[3]}},
		{state.EventQuery{Tenant: "acme", Limit: 1}, all[:1]},
		{state.EventQuery{Tenant: "initech"}, nil},
	} {
		got, err := s.Events(ctx, want.query)
		f.must(err)
		f.equal(got, want.events)
	}
}

func eventNow(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.AddEvent(ctx, state.Event{Kind: state.EventHeld}))
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(got, []state.Event{{Kind: state.EventHeld, At: now}})
}

func eventsByActor(f *fixture) {
	ctx, s := f.Context(), f.store()
	for _, e := range []state.Event{
		{Kind: "1", Actor: "ada"},
		{Kind: "2", Actor: "reconciler", Author: "Ada <ada@example.com>"},
		{Kind: "3", Actor: "adam", Author: "Adam <adam@example.com>"},
		{Kind: "4", Actor: "100%"},
		{Kind: "5", Actor: "Bo <bo@example.com>"},
	} {
		f.must(s.AddEvent(ctx, e))
	}
	for actor, want := range map[string]string{
		"ada": "21", "ADA": "21", "ada@example.com": "2", "Ada <ada@example.com>": "2", "adam": "3",
		"ad": "", "example.com": "", "100%": "4", "%": "", "reconciler": "2", "bo": "5", "bo@example.com": "5",
	} {
		got, err := s.Events(ctx, state.EventQuery{Actor: actor})
		f.must(err)
		f.equal(kinds(got), want)
	}
}

func eventsSince(f *fixture) {
	ctx, s := f.Context(), f.store()
	for i, kind := range []string{"1", "2", "3"} {
		f.must(s.AddEvent(ctx, state.Event{Kind: kind, At: now.Add(time.Duration(i) * time.Millisecond)}))
	}
	elsewhere := now.Add(time.Millisecond).In(time.FixedZone("", 3600))
	got, err := s.Events(ctx, state.EventQuery{Since: elsewhere})
	f.must(err)
	f.equal(kinds(got), "32")
}

func eventWithDeployment(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.Event](1)
	f.must(s.SaveDeployment(ctx, deployment("acme", 1), want))
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(got, []state.Event{want})

	nameless := state.Event{} // an event has a kind
	if err := s.SaveDeployment(ctx, deployment("acme", 2), nameless); err == nil {
		f.Error("an event without a kind was recorded")
	}
	list, err := s.Deployments(ctx, "acme", 0)
	f.must(err)
	f.equal(list, []state.Deployment{deployment("acme", 1)})
}

// kinds are the kinds of events in their order.
func kinds(events []state.Event) string {
	text := ""
	for _, e := range events {
		text += e.Kind
	}
	return text
}

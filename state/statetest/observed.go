package statetest

import (
	"fmt"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var observed = []exercise{
	{"every field of an observed row is kept", observedFields},
	{"a tenant has one observed row", observedTwice},
	{"observed rows are saved together or not at all", observedTogether},
	{"words that the design does not know are refused", observedWords},
	{"tenants that follow the fleet move on with it", observedFleet},
	{"text comes back as it was, save for control characters", observedText},
}

func observedFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := map[protocol.TenantID]state.Observed{}
	for n := range 50 {
		tenant := protocol.TenantID(fmt.Sprintf("tenant-%d", n))
		want[tenant] = observation(tenant, n)
		f.must(s.SaveObserved(ctx, want[tenant]))
	}
	s = f.reopened(s)
	all, err := s.Observed(ctx)
	f.must(err)
	f.equal(all, want)
	one, found, err := s.ObservedOf(ctx, "tenant-7")
	f.must(err)
	f.equal(found, true)
	f.equal(one, want["tenant-7"])
}

func observedTwice(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := observation("acme", 2)
	f.must(s.SaveObserved(ctx, observation("acme", 1), want))
	all, err := s.Observed(ctx)
	f.must(err)
	f.equal(all, map[protocol.TenantID]state.Observed{"acme": want})
}

func observedTogether(f *fixture) {
	ctx, s := f.Context(), f.store()
	if err := s.SaveObserved(ctx, observation("acme", 1), observation("", 2)); err == nil {
		f.Error("a row without a tenant was saved")
	}
	all, err := s.Observed(ctx)
	f.must(err)
	f.equal(len(all), 0)
	f.must(s.SaveObserved(ctx, observation("acme", 1))) // nothing is left open
}

func observedWords(f *fixture) {
	ctx, s := f.Context(), f.store()
	o := observation("acme", 1)
	for _, sync := range []state.Sync{state.Synced, state.OutOfSync, state.Unknown} {
		o.Sync = sync
		f.must(s.SaveObserved(ctx, o))
	}
	for _, health := range []state.Health{
		state.Healthy, state.Progressing, state.Degraded, state.Blocked, state.Suspended, state.Missing,
	} {
		o.Health = health
		f.must(s.SaveObserved(ctx, o))
	}
	for _, wrong := range []state.Observed{
		{Tenant: "acme", Health: state.Healthy},
		{Tenant: "acme", Sync: state.Synced, Health: "healthy"},
	} {
		if err := s.SaveObserved(ctx, wrong); err == nil {
			f.Errorf("%q and %q were saved", wrong.Sync, wrong.Health)
		}
	}
}

func observedText(f *fixture) {
	ctx, s := f.Context(), f.store()
	for sent, want := range map[string]string{
		"2024-01-02":           "2024-01-02", // drivers like to see a time
		"2024-01-02T03:04:05Z": "2024-01-02T03:04:05Z",
		"007":                  "007",
		"it's \"quoted\"":      "it's \"quoted\"",
		"tab\tand\nnewline":    "tab\tand\nnewline",
		"größe 数 🙂":            "größe 数 🙂",
		"nul\x00, \x1f, \x1e":  "nul ,  ,  ",
		"not utf-8: \xff":      "not utf-8: \uFFFD",
	} {
		o := observation("acme", 1)
		o.Message, o.Next, o.Revision = sent, sent, sent
		f.must(s.SaveObserved(ctx, o, observation("globex", 2)))
		o.Message, o.Next, o.Revision = want, want, want
		one, _, err := s.ObservedOf(ctx, "acme")
		f.must(err)
		f.equal(one, o)
		all, err := s.Observed(ctx)
		f.must(err)
		f.equal(all["acme"], o)
		f.equal(all["globex"], observation("globex", 2))
	}
}

// Of three tenants two follow; one of them stays behind at the second commit.
func observedFleet(f *fixture) {
	ctx, s := f.Context(), f.store()
	at := func(tenant protocol.TenantID, revision string, follows bool) state.Observed {
		o := observation(tenant, 1)
		o.Revision, o.AppliedRevision, o.Follows = revision, revision, follows
		return o
	}
	f.must(s.SaveFleet(ctx, "one", at("acme", "one", true), at("globex", "one", true), at("initech", "zero", false)))
	check := func(want ...state.Observed) {
		f.Helper()
		all, err := s.Observed(ctx)
		f.must(err)
		f.equal(len(all), len(want))
		for _, o := range want {
			f.equal(all[o.Tenant], o)
			one, _, err := s.ObservedOf(ctx, o.Tenant)
			f.must(err)
			f.equal(one, o)
		}
	}
	check(at("acme", "one", true), at("globex", "one", true), at("initech", "zero", false))
	f.must(s.SaveFleet(ctx, "two", at("globex", "one", false)))
	check(at("acme", "two", true), at("globex", "one", false), at("initech", "zero", false))
	f.must(s.SaveObserved(ctx, at("initech", "two", true))) // as it is, whatever it says
	f.must(s.SaveFleet(ctx, "three"))
	s = f.reopened(s)
	check(at("acme", "three", true), at("globex", "one", false), at("initech", "two", false))
}

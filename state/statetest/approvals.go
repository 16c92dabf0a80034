package statetest

import (
	"errors"
	"time"

	"github.com/tenantops/reconciler/state"
)

var approvals = []exercise{
	{"every field of an approval is kept", approvalFields},
	{"several people approve one plan, each once", approvalsByPerson},
	{"an approval is an event", approvalEvent},
	{"a plan is found by the beginning of its digest", planByPrefix},
}

func approvalFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.Approval](1)
	f.must(s.Approve(ctx, want))
	got, err := f.reopened(s).Approvals(ctx, want.Plan)
	f.must(err)
	f.equal(got, []state.Approval{want})
}

func approvalsByPerson(f *fixture) {
	ctx, s := f.Context(), f.store()
	for i, a := range []state.Approval{
		{Plan: "p1", Actor: "ada"}, {Plan: "p1", Actor: "bo"}, {Plan: "p2", Actor: "ada"}, {Plan: "p1", Actor: "ada", Reason: "again"},
	} {
		a.At = now.Add(time.Duration(i) * time.Second)
		f.must(s.Approve(ctx, a))
	}
	at := func(n int) time.Time { return now.Add(time.Duration(n) * time.Second) }
	ada, bo := state.Approval{Plan: "p1", Actor: "ada", Reason: "again", At: at(3)}, state.Approval{Plan: "p1", Actor: "bo", At: at(1)}
	other := state.Approval{Plan: "p2", Actor: "ada", At: at(2)}
	for plan, want := range map[string][]state.Approval{"p1": {ada, bo}, "p2": {other}, "p3": nil, "": {ada, other, bo}} {
		got, err := s.Approvals(ctx, plan)
		f.must(err)
		f.equal(got, want)
	}
	if err := s.Approve(ctx, state.Approval{Plan: "p1"}); err == nil {
		f.Error("nobody has approved a plan")
	}
}

func approvalEvent(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.Approve(ctx, state.Approval{Plan: "p1", Actor: "ada", Via: "cli", Reason: "seen"}))
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(got, []state.Event{{At: now, Kind: state.EventApproved, Actor: "ada", Via: "cli", Plan: "p1", Reason: "seen"}})
}

func planByPrefix(f *fixture) {
	ctx, s := f.Context(), f.store()
	for _, digest := range []string{"0123aa", "0123ab", "0123abcd", "f"} {
		f.must(s.SavePlan(ctx, state.Plan{Digest: digest, Body: []byte("{}")}))
	}
	for prefix, want := range map[string]string{"0123aa": "0123aa", "0123ab": "0123ab", "0123abc": "0123abcd", "f": "f"} {
		got, err := s.PlanDigest(ctx, prefix)
		f.must(err)
		f.equal(got, want)
	}
	for prefix, want := range map[string]error{"0123": state.ErrAmbiguous, "e": state.ErrNotFound, "ff": state.ErrNotFound, "": state.ErrNotFound} {
		if _, err := s.PlanDigest(ctx, prefix); !errors.Is(err, want) {
			f.Errorf("%q: got %v, want %v", prefix, err, want)
		}
	}
}

package statetest

import (
	"errors"

	"github.com/tenantops/reconciler/state"
)

var rollouts = []exercise{
	{"every field of a rollout is kept", rolloutFields},
	{"rollouts are numbered and listed newest first", rolloutOrder},
	{"a rollout supersedes the one before, or does not begin", rolloutSupersedes},
	{"a rollout that somebody else changed is not overwritten", rolloutConflict},
	{"the events of a rollout are recorded with it", rolloutEvents},
	{"a rollout knows its deployments", rolloutDeployments},
	{"a confirmation is of one commit", confirmation},
}

func rolloutFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.Rollout](1)
	places := []state.RolloutTenant{{Tenant: "globex", Wave: 0, Target: "0123456789ab"}, {Tenant: "acme", Wave: 1, Target: "ba9876543210"}}
	f.must(s.StartRollout(ctx, &want, places, nil))
	s = f.reopened(s)
	got, ok, err := s.LastRollout(ctx)
	f.must(err)
	if !ok || got.ID != 1 || got.Version != 1 {
		f.Fatalf("got %v, %+v", ok, got)
	}
	f.equal(got, want)
	tenants, err := s.RolloutTenants(ctx, 1)
	f.must(err)
	f.equal(tenants, places)

	got.Status, got.Waves = state.Failed, nil
	f.must(s.SaveRollout(ctx, &got))
	again, err := s.Rollout(ctx, 1)
	f.must(err)
	f.equal(again, got)
}

func rolloutOrder(f *fixture) {
	ctx, s := f.Context(), f.store()
	if _, ok, err := s.LastRollout(ctx); ok || err != nil {
		f.Fatalf("an empty store has a rollout, or an error: %v", err)
	}
	var want []state.Rollout
	for range 3 {
		r := state.Rollout{Status: state.Running}
		f.must(s.StartRollout(ctx, &r, nil, nil))
		want = append([]state.Rollout{r}, want...)
	}
	got, err := s.Rollouts(ctx, 2)
	f.must(err)
	f.equal(got, want[:2])
	if _, err := s.Rollout(ctx, 4); !errors.Is(err, state.ErrNotFound) {
		f.Errorf("got %v, want ErrNotFound", err)
	}
	tenants, err := s.RolloutTenants(ctx, 1)
	f.must(err)
	f.equal(tenants, []state.RolloutTenant(nil))
}

func rolloutSupersedes(f *fixture) {
	ctx, s := f.Context(), f.store()
	first := state.Rollout{Status: state.Running}
	f.must(s.StartRollout(ctx, &first, nil, nil))
	stale := first
	first.Paused = "ada"
	f.must(s.SaveRollout(ctx, &first))

	second := state.Rollout{Status: state.Running}
	if err := s.StartRollout(ctx, &second, nil, &stale); !errors.Is(err, state.ErrConflict) {
		f.Errorf("got %v, want ErrConflict", err)
	}
	first.EndedAt = now
	f.must(s.StartRollout(ctx, &second, nil, &first))
	got, err := s.Rollouts(ctx, 0)
	f.must(err)
	f.equal(got, []state.Rollout{second, first})
}

func rolloutConflict(f *fixture) {
	ctx, s := f.Context(), f.store()
	r := state.Rollout{Status: state.Running}
	f.must(s.StartRollout(ctx, &r, nil, nil))
	stale := r
	f.must(s.SaveRollout(ctx, &r, state.Event{Kind: state.EventRolloutPaused, Actor: "ada"}))
	if err := s.SaveRollout(ctx, &stale, state.Event{Kind: state.EventRolloutEnded}); !errors.Is(err, state.ErrConflict) {
		f.Errorf("got %v, want ErrConflict", err)
	}
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	if len(got) != 1 {
		f.Errorf("got %d events, want that of the change that was made", len(got))
	}
}

func rolloutEvents(f *fixture) {
	ctx, s := f.Context(), f.store()
	r := state.Rollout{Status: state.Running}
	f.must(s.StartRollout(ctx, &r, nil, nil, state.Event{Kind: state.EventRolloutStarted, Actor: "ada"}))
	f.must(s.SaveRollout(ctx, &r, state.Event{Kind: state.EventRolloutHalted, Actor: "bo", Detail: "why"}))
	got, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(got, []state.Event{
		{At: now, Actor: "bo", Kind: state.EventRolloutHalted, Detail: "why"},
		{At: now, Actor: "ada", Kind: state.EventRolloutStarted, Detail: "rollout 1"},
	})
}

func rolloutDeployments(f *fixture) {
	ctx, s := f.Context(), f.store()
	var want []state.Deployment
	for n, rollout := range []int{0, 7, 8, 7} {
		d := deployment("acme", n)
		d.Rollout = rollout
		f.must(s.SaveDeployment(ctx, d))
		if rollout == 7 {
			want = append(want, d)
		}
	}
	got, err := s.RolloutDeployments(ctx, 7)
	f.must(err)
	f.equal(got, want)
	got, err = s.RolloutDeployments(ctx, 0)
	f.must(err)
	f.equal(got, []state.Deployment(nil))
}

func confirmation(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.Confirmation](1)
	f.must(s.Confirm(ctx, want))
	s = f.reopened(s)
	got, ok, err := s.Confirmed(ctx, want.Revision)
	f.must(err)
	if !ok {
		f.Error("the confirmation is lost")
	}
	f.equal(got, want)
	if _, ok, err = s.Confirmed(ctx, "another"); ok || err != nil {
		f.Errorf("got a confirmation of another commit, or %v", err)
	}
	events, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	if len(events) != 1 || events[0].Kind != state.EventConfirmed || events[0].Revision != want.Revision {
		f.Errorf("events: got %+v", events)
	}
}

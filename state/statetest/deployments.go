package statetest

import (
	"errors"
	"slices"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var deployments = []exercise{
	{"every field of a deployment is kept", deploymentFields},
	{"a deployment that is saved again is the same deployment", deploymentTwice},
	{"deployments are read newest first", deploymentsNewestFirst},
	{"a deployment is found by the beginning of its id", deploymentByPrefix},
	{"unfinished deployments are those neither ready nor failed", unfinished},
	{"times are kept in UTC to the millisecond", deploymentTimes},
}

func deploymentFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := deployment("acme", 1)
	f.must(s.SaveDeployment(ctx, want))
	got, err := f.reopened(s).Deployment(ctx, want.ID)
	f.must(err)
	f.equal(got, want)
}

func deploymentTwice(f *fixture) {
	ctx, s := f.Context(), f.store()
	d := deployment("acme", 1)
	d.Status, d.Transitions, d.CompletedAt = protocol.DeployMigrating, d.Transitions[:1], time.Time{}
	f.must(s.SaveDeployment(ctx, d))
	want := deployment("acme", 1)
	f.must(s.SaveDeployment(ctx, want))
	f.must(s.SaveDeployment(ctx, want))
	got, err := s.Deployments(ctx, "acme", 0)
	f.must(err)
	f.equal(got, []state.Deployment{want})
}

func deploymentsNewestFirst(f *fixture) {
	ctx, s := f.Context(), f.store()
	var want []state.Deployment
	for _, n := range []int{3, 1, 4, 2} {
		want = append(want, deployment("acme", n))
		f.must(s.SaveDeployment(ctx, want[len(want)-1]))
	}
	f.must(s.SaveDeployment(ctx, deployment("globex", 5)))
	slices.SortFunc(want, func(a, b state.Deployment) int { return b.StartedAt.Compare(a.StartedAt) })
	for n, want := range map[int][]state.Deployment{0: want, 1: want[:1], 3: want[:3], 9: want} {
		got, err := s.Deployments(ctx, "acme", n)
		f.must(err)
		f.equal(got, want)
	}
}

func deploymentByPrefix(f *fixture) {
	ctx, s := f.Context(), f.store()
	one, two := deployment("acme", 1), deployment("acme", 2)
	longer := deployment("acme", 3)
	longer.ID = two.ID + "0"
	for _, d := range []state.Deployment{one, two, longer} {
		f.must(s.SaveDeployment(ctx, d))
	}
	for _, c := range []struct {
		id   string
		want state.Deployment
		err  error
	}{
		{one.ID, one, nil},
		{"0193a2b4-0001", one, nil},
		{"0193A2B4-0001", one, nil},
		{two.ID, two, nil}, // though another begins so
		{longer.ID, longer, nil},
		{"0193a2b4-000", state.Deployment{}, state.ErrAmbiguous},
		{"0193a2b4-0003", state.Deployment{}, state.ErrNotFound},
		{"%", state.Deployment{}, state.ErrNotFound},
		{"", state.Deployment{}, state.ErrNotFound},
	} {
		got, err := s.Deployment(ctx, c.id)
		if !errors.Is(err, c.err) {
			f.Errorf("%q: got error %v, want %v", c.id, err, c.err)
		}
		f.equal(got, c.want)
	}
}

func unfinished(f *fixture) {
	ctx, s := f.Context(), f.store()
	var want []state.Deployment
	for n, status := range []protocol.DeployStatus{
		protocol.DeployValidating, protocol.DeployDiffing, protocol.DeployMigrating,
		protocol.DeployRegistering, protocol.DeployRollingBack,
		protocol.DeployReady, protocol.DeployFailed,
	} {
		d := deployment("acme", n)
		d.Status = status
		f.must(s.SaveDeployment(ctx, d))
		if n < 5 {
			want = append(want, d)
		}
	}
	got, err := s.Unfinished(ctx)
	f.must(err)
	f.equal(got, want)
}

func deploymentTimes(f *fixture) {
	ctx, s := f.Context(), f.store()
	d := deployment("acme", 1)
	d.StartedAt = now.Add(999 * time.Microsecond).In(time.FixedZone("CET", 3600))
	d.CompletedAt = time.Time{}
	d.Transitions[0].At = d.StartedAt
	f.must(s.SaveDeployment(ctx, d))
	got, err := s.Deployment(ctx, d.ID)
	f.must(err)
	d.StartedAt, d.Transitions[0].At = now, now
	f.equal(got, d)
	f.equal(got.StartedAt.Location(), time.UTC)
}

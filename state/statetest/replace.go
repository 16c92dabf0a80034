package statetest

import (
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var replacements = []exercise{
	{"an empty store is rebuilt from journals", replaceEmpty},
	{"replacing keeps what a journal does not know", replaceKeeps},
	{"replacing takes the deployments that the journal lost", replaceRemoves},
	{"replacing touches one tenant", replaceOneTenant},
	{"a wrong replacement changes nothing", replaceWrong},
}

func replaceEmpty(f *fixture) {
	ctx, s := f.Context(), f.store()
	o := observation("acme", 1)
	for range 2 { // a rebuild that was interrupted is run again
		f.must(s.Replace(ctx, "acme", []state.Deployment{deployment("acme", 1), deployment("acme", 2)}, o))
	}
	f.history(s, "acme", deployment("acme", 2), deployment("acme", 1))
	got, _, err := s.ObservedOf(ctx, "acme")
	f.must(err)
	f.equal(got, o)
}

func replaceKeeps(f *fixture) {
	ctx, s := f.Context(), f.store()
	failed, ready, crashed := deployment("acme", 1), deployment("acme", 2), deployment("acme", 3)
	failed.Status, crashed.Status = protocol.DeployFailed, protocol.DeployMigrating
	for _, d := range []state.Deployment{failed, ready, crashed} {
		f.must(s.SaveDeployment(ctx, d))
	}
	poor, committed := ready, crashed // as a journal has them
	poor.Author, poor.Transitions, poor.Duration = "", nil, 0
	committed.Status, committed.Author = protocol.DeployReady, ""
	f.must(s.Replace(ctx, "acme", []state.Deployment{poor, committed}, observation("acme", 1)))
	f.history(s, "acme", committed, ready, failed)
}

func replaceRemoves(f *fixture) {
	ctx, s := f.Context(), f.store()
	for n := range 3 {
		f.must(s.SaveDeployment(ctx, deployment("acme", n)))
	}
	f.must(s.Replace(ctx, "acme", []state.Deployment{deployment("acme", 1)}, observation("acme", 1)))
	f.history(s, "acme", deployment("acme", 1))
	f.must(s.Replace(ctx, "acme", nil, observation("acme", 2)))
	f.history(s, "acme")
}

func replaceOneTenant(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveDeployment(ctx, deployment("acme", 1)))
	f.must(s.SaveObserved(ctx, observation("acme", 1)))
	copied := deployment("globex", 1) // globex was made from a copy of acme
	f.must(s.Replace(ctx, "globex", []state.Deployment{copied, deployment("globex", 2)}, observation("globex", 2)))
	f.history(s, "acme", deployment("acme", 1))
	f.history(s, "globex", deployment("globex", 2))
	all, err := s.Observed(ctx)
	f.must(err)
	f.equal(all, map[protocol.TenantID]state.Observed{
		"acme": observation("acme", 1), "globex": observation("globex", 2),
	})
}

func replaceWrong(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveDeployment(ctx, deployment("acme", 1)))
	nameless := deployment("acme", 2)
	nameless.ID = ""
	for _, wrong := range []struct {
		committed []state.Deployment
		observed  state.Observed
	}{
		{nil, observation("globex", 1)},
		{[]state.Deployment{deployment("globex", 2)}, observation("acme", 1)},
		{[]state.Deployment{nameless}, observation("acme", 1)},
	} {
		if err := s.Replace(ctx, "acme", wrong.committed, wrong.observed); err == nil {
			f.Errorf("replaced with %v", wrong)
		}
	}
	f.history(s, "acme", deployment("acme", 1))
	_, found, err := s.ObservedOf(ctx, "acme")
	f.must(err)
	f.equal(found, false)
}

// history checks what the store has of a tenant, newest first.
func (f *fixture) history(s Store, tenant protocol.TenantID, want ...state.Deployment) {
	f.Helper()
	got, err := s.Deployments(f.Context(), tenant, 0)
	f.must(err)
	f.equal(got, want)
}

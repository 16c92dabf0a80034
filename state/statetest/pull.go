package statetest

import "github.com/tenantops/reconciler/state"

var pulls = []exercise{
	{"every field of a pull request is kept", pullFields},
	{"pull requests are those of a project", pullsOfProject},
}

func pullFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := filled[state.Pull](1)
	f.must(s.SavePull(ctx, want))
	got, err := f.reopened(s).Pulls(ctx, want.Project)
	f.must(err)
	f.equal(got, []state.Pull{want})
}

func pullsOfProject(f *fixture) {
	ctx, s := f.Context(), f.store()
	for _, p := range []state.Pull{
		{Project: "a/b", Number: 2}, {Project: "a/b", Number: 1, Head: "old"}, {Project: "a/c", Number: 1}, {Project: "a/b", Number: 1, Head: "new"},
	} {
		f.must(s.SavePull(ctx, p))
	}
	f.must(s.ForgetPull(ctx, "a/c", 1))
	f.must(s.ForgetPull(ctx, "a/b", 3))
	for project, want := range map[string][]state.Pull{
		"a/b": {{Project: "a/b", Number: 1, Head: "new"}, {Project: "a/b", Number: 2}}, "a/c": nil,
	} {
		got, err := s.Pulls(ctx, project)
		f.must(err)
		f.equal(got, want)
	}
}

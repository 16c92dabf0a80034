package gitrepo_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/gitrepo"
)

func TestRefs(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	url := serve(t, dir, nil)
	pull := commit(t, dir, "pull request", nil)
	git(t, dir, "update-ref", "refs/pull/7/head", pull)
	git(t, dir, "update-ref", "refs/pull/8/head", base)
	git(t, dir, "update-ref", "refs/pull/8/merge", base)
	git(t, dir, "pack-refs", "--all")
	for name, r := range map[string]*gitrepo.Repo{"remote": remote(t, url), "local": open(t, gitrepo.Config{URL: dir})} {
		got, err := r.Refs(t.Context(), "refs/pull/*/head")
		if diff := cmp.Diff(got, map[string]string{"7": pull, "8": base}); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	if _, err := remote(t, "http://127.0.0.1:1/x.git").Refs(t.Context(), "refs/pull/*/head"); !errors.Is(err, gitrepo.ErrUnreachable) {
		t.Errorf("down: got %v", err)
	}
	if got, err := remote(t, serve(t, newRepo(t), nil)).Refs(t.Context(), "refs/pull/*/head"); len(got) > 0 || err != nil {
		t.Errorf("empty: got %v, %v", got, err)
	}
}

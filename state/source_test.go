package state_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/state"
)

// What is known of the repository is kept beside the passes over the fleet.
func TestSource(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	if got, err := s.Source(t.Context()); err != nil || got != (state.Source{}) {
		t.Errorf("before the first look: got %+v, %v", got, err)
	}
	want := state.Source{Revision: "aaaa", FetchedAt: began, AwaySince: began.Add(time.Minute), Error: "no route to host"}
	must(t, s.SaveSource(t.Context(), want))
	got, err := s.Source(t.Context())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if age := got.Age(began.Add(time.Hour)); age != time.Hour {
		t.Errorf("got age %v", age)
	}
	if pass, found, err := s.LastPass(t.Context()); found || err != nil {
		t.Errorf("a look at the repository is taken for a pass: %+v, %v", pass, err)
	}
}

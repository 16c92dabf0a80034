// Package contracttest holds one suite of tests for each service contract of
// package protocol. A suite knows the interface and the few hooks of its
// fixture, so that every implementation passes the same one:
//
//	func TestPipeline(t *testing.T) {
//		contracttest.DeployPipeline(t, func(t testing.TB) contracttest.DeployPipelineFixture { ... })
//	}
//
// Each case opens a fixture of its own, which cleans up after itself.
package contracttest

import (
	"errors"
	"slices"
	"testing"
)

// must returns the value of a call that must not fail.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// wantError fails unless err matches want.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %q", err, want)
	}
}

// wantList fails unless got has the elements of want, in order.
func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %s %q, want %q", what, got, want)
	}
}

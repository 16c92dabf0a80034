package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// tenants is the size of the fleet in the benchmarks.
func tenants(b *testing.B) int {
	b.Helper()
	text, ok := os.LookupEnv("BENCH_TENANTS")
	if !ok {
		return 1000
	}
	n, err := strconv.Atoi(text)
	must(b, err)
	return n
}

func BenchmarkSaveObserved(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	n := 0
	for b.Loop() {
		n++
		must(b, s.SaveObserved(b.Context(), observation(tenant(n%tenants(b)), "")))
	}
}

func BenchmarkSaveDeployment(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	n := 0
	for b.Loop() {
		n++
		must(b, s.SaveDeployment(b.Context(), deployment("acme", n, protocol.DeployReady)))
	}
}

func BenchmarkSaveDeploymentWithEvent(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	n := 0
	for b.Loop() {
		n++
		d := deployment("acme", n, protocol.DeployReady)
		must(b, s.SaveDeployment(b.Context(), d, state.Event{
			Kind: state.EventDeployed, Actor: "reconciler", Via: "daemon", Tenant: d.Tenant, Revision: d.Revision,
			Author: "Ada <ada@example.com>", Plan: d.PlanDigest, Deployment: d.ID, Detail: d.Subject,
		}))
	}
}

func BenchmarkReadObserved(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	for n := range tenants(b) {
		must(b, s.SaveObserved(b.Context(), observation(tenant(n), "")))
	}
	for b.Loop() {
		observed, err := s.Observed(b.Context())
		must(b, err)
		if len(observed) != tenants(b) {
			b.Fatalf("got %d rows", len(observed))
		}
	}
}

func tenant(n int) protocol.TenantID {
	return protocol.TenantID(fmt.Sprintf("tenant-%06d", n))
}

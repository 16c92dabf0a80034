package fleet_test

import (
	"fmt"
	"testing"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// A decision is made twice in a pass, over all tenants: at 10,000 it may take
// milliseconds.
func BenchmarkDecide(b *testing.B) {
	tenants := make([]fleet.Tenant, 10_000)
	for i := range tenants {
		tenants[i] = fleet.Tenant{ID: protocol.TenantID(fmt.Sprintf("tenant-%05d", i)), Target: "v2"}
	}
	percent := 1.0
	in := fleet.Input{
		Now: noon, Revision: "r1", Tenants: tenants,
		Rollout: config.Rollout{MaxConcurrent: 8, Waves: []config.Wave{{Name: "canary", Percent: &percent, Bake: "1h"}}},
	}
	b.Run("begins", func(b *testing.B) {
		for b.Loop() {
			if d := fleet.Decide(in); d.Due != 100 {
				b.Fatalf("%d are due", d.Due)
			}
		}
	})
	d := fleet.Decide(in)
	in.Last, in.Places = d.Rollout, d.Places
	b.Run("goes on", func(b *testing.B) {
		for b.Loop() {
			if d := fleet.Decide(in); d.Due != 100 {
				b.Fatalf("%d are due", d.Due)
			}
		}
	})
	for i := range tenants {
		tenants[i].Progress = fleet.Reached
	}
	in.Last.EndedAt, in.Last.Status = noon, state.Succeeded
	b.Run("nothing to do", func(b *testing.B) {
		for b.Loop() {
			if d := fleet.Decide(in); d.Changed {
				b.Fatal("it changed")
			}
		}
	})
}

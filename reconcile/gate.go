package reconcile

import (
	"sync"
	"sync/atomic"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Waits is the action of a pass on a tenant whose turn has not come.
const Waits deploy.Action = "wait"

// gate lets tenants through a pass as their rollout says, and closes while the
// pass is under way: when too many of a wave have failed, and when a command
// has paused or ended the rollout. The nil gate is open.
type gate struct {
	course
	live *atomic.Pointer[state.Rollout] // as commands left it
	all  bool                           // somebody has named the tenants, who are not to wait

	mu     sync.Mutex
	failed map[int]int // tenants by wave
}

func newGate(c course, live *atomic.Pointer[state.Rollout]) *gate {
	g := &gate{course: c, live: live, failed: map[int]int{}}
	if c.Rollout != nil {
		for i := range c.Rollout.Waves {
			g.failed[i] = c.Failed(i)
		}
	}
	return g
}

// wait says why a tenant may not be deployed now, nil when it may.
func (g *gate) wait(id protocol.TenantID) *fleet.Waiting {
	if g == nil || g.all {
		return nil
	}
	if w := g.Waits(id); w != nil {
		return w
	}
	progress, member := g.At(id)
	if !member || !g.Rollout.Open() || progress == fleet.Reached {
		return nil
	}
	wave, _ := g.Place(id)
	if live := g.live.Load(); live != nil && live.ID == g.Rollout.ID {
		switch {
		case live.Paused != "":
			return g.Paused(wave, live.Paused)
		case !live.Open():
			return g.Aborted()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if progress == fleet.Pending && g.failed[wave] > g.Allowed(wave) {
		return g.Halted(wave)
	}
	return nil
}

// tried takes note of how the work on a tenant has ended.
func (g *gate) tried(t Tenant) {
	if g == nil || t.unchanged || t.Health != state.Degraded && t.Health != state.Missing {
		return
	}
	if progress, ok := g.At(t.ID); ok && progress == fleet.Pending {
		wave, _ := g.Place(t.ID)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.failed[wave]++
	}
}

// rolloutOf is the id of the rollout that a deployment of a tenant belongs to,
// 0 for none: one to what the rollout is about.
func (g *gate) rolloutOf(id protocol.TenantID) int {
	if g == nil || g.Rollout == nil {
		return 0
	}
	if _, member := g.Place(id); !member {
		return 0
	}
	return g.Rollout.ID
}

// target is what stands for what git wants of a tenant.
func (g *gate) target(id protocol.TenantID) string {
	if g == nil {
		return ""
	}
	return g.targets[id]
}

// limit is how many tenants may be worked on at a time, at most n.
func (g *gate) limit(n int) int {
	if g == nil || g.all {
		return n
	}
	return min(n, g.Limit())
}

// waits is a tenant whose turn in the rollout has not come. Its database is not
// opened.
func (t Tenant) waits(why fleet.Waiting, row state.Observed) Tenant {
	t.Sync, t.Health = state.OutOfSync, state.Progressing
	t.Result.Action, t.Result.Reason, t.Result.Message, t.Result.Next = Waits, why.Reason, why.Message, why.Next
	t.saved = false
	t.unchanged = row.Reason == why.Reason && row.Message == why.Message && row.Health == t.Health && row.DesiredDigest == t.bundle
	return t
}

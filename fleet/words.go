package fleet

import (
	"fmt"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

// Limit is how many tenants may be worked on at a time.
func (d *Decision) Limit() int { return max(1, d.limit) }

// Place is the wave of a tenant of the rollout, as an index, and whether it has
// one.
func (d *Decision) Place(id protocol.TenantID) (wave int, ok bool) {
	wave, ok = d.places[id]
	return wave, ok
}

// At is how far a tenant of the rollout was, and whether it is one.
func (d *Decision) At(id protocol.TenantID) (Progress, bool) {
	at, ok := d.at[id]
	return at, ok
}

// Failed is how many tenants of a wave have failed.
func (d *Decision) Failed(wave int) int {
	if wave >= len(d.tallies) {
		return 0 // of a rollout that is over
	}
	return d.tallies[wave][Failed]
}

// Waits says why a tenant is not deployed now, nil when it may be.
func (d *Decision) Waits(id protocol.TenantID) *Waiting {
	wave, waits := d.waits[id]
	if !waits {
		return nil
	}
	switch d.stop.reason {
	case reason.BudgetExceeded:
		return d.Halted(wave)
	case reason.Paused:
		return d.Paused(wave, d.stop.message)
	case reason.Aborted:
		return d.Aborted()
	}
	return &Waiting{
		Reason: reason.WaitingForWave, Message: "it waits for its turn, " + d.where(wave),
		Next: fmt.Sprintf("see \"reconciler rollout show\"; \"reconciler rollout promote --tenant %s --reason TEXT\" brings it on now", id),
	}
}

// Halted is why the tenants of a wave wait when too many of it have failed.
func (d *Decision) Halted(wave int) *Waiting {
	return &Waiting{
		Reason: reason.RolloutHalted, Message: "too many tenants have failed: the rollout goes no further; it waits " + d.where(wave),
		Next: `see "reconciler rollout show"; it goes on by itself once those that failed recover; else correct the cause with another commit, or run "reconciler rollout resume"`,
	}
}

// Paused is why the tenants of a wave wait when somebody has paused the
// rollout; by says who, and why.
func (d *Decision) Paused(wave int, by string) *Waiting {
	return &Waiting{
		Reason: reason.RolloutPaused, Message: fmt.Sprintf("%s; it waits %s", by, d.where(wave)),
		Next: `run "reconciler rollout resume" to let it go on`,
	}
}

// Aborted is why the tenants that a rollout has not reached stay as they are
// when somebody has ended it.
func (d *Decision) Aborted() *Waiting {
	return &Waiting{
		Reason: reason.RolloutAborted, Message: fmt.Sprintf("somebody ended rollout %d before it came to this tenant", d.Rollout.ID),
		Next: "change with another commit what the tenant should have, or revert the one that was rolled out",
	}
}

func (d *Decision) where(wave int) string {
	r := d.Rollout
	return fmt.Sprintf("in wave %s (%d of %d) of rollout %d", r.Waves[wave].Name, wave+1, len(r.Waves), r.ID)
}

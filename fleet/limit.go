package fleet

import (
	"math"

	"github.com/tenantops/reconciler/config"
)

// guarded is how many of n tenants a deletion guard lets go at once.
func guarded(l config.Limit, n int) int {
	allowed := n
	if l.Tenants != nil {
		allowed = min(allowed, *l.Tenants)
	}
	if l.Percent != nil {
		share := part(*l.Percent, n)
		if *l.Percent > 0 {
			share = max(1, share)
		}
		allowed = min(allowed, share)
	}
	return allowed
}

// part is a share of n tenants, rounded down: a limit is not exceeded by
// rounding.
func part(percent float64, n int) int { return int(percent * float64(n) / 100) }

// budget is how many of a wave's n tenants may fail before the rollout halts.
func budget(l *config.Limit, n int) int {
	switch {
	case l == nil, l.Tenants == nil && l.Percent == nil:
		return math.MaxInt
	case l.Tenants == nil:
		return part(*l.Percent, n)
	case l.Percent == nil:
		return *l.Tenants
	}
	return min(*l.Tenants, part(*l.Percent, n))
}

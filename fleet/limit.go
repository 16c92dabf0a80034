package fleet

import "github.com/tenantops/reconciler/config"

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

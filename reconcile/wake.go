package reconcile

import (
	"math/rand/v2"
	"time"
)

// Wake makes Run look at the repository now, or as soon as the pass under way
// has ended. Calls that come before that are one. Tenants that fail wait for
// their turn all the same, unless git has moved. It may be called at any time,
// by any goroutine, and never blocks.
func (r *Reconciler) Wake() {
	select {
	case r.woken <- struct{}{}:
	default: // a pass is due already
	}
}

// jittered is d give or take a tenth, so that the daemons of many fleets do not
// ask one git host at the same moment.
func jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1))
}

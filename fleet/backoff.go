package fleet

import (
	"time"

	"github.com/tenantops/reconciler/internal/reason"
)

// Backoff of a failing tenant: doubled at each failure up to the cap, with up
// to a fifth of jitter, so that tenants that failed together do not return
// together.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
	// lastLook is when a tenant that waits for a person is looked at again all
	// the same: somebody may have changed its database by hand.
	lastLook = time.Hour
)

// Disposition says what brings a tenant that was tried in vain on.
type Disposition int

// Every Disposition there is. A new revision brings on any of them.
const (
	Retry         Disposition = iota // time: it is tried again, ever more slowly
	UntilRevision                    // a new revision
	UntilApproval                    // an approval of its plan
)

// DispositionOf maps the reason why a tenant that is failing or blocked.
// What rows, files or servers are to blame for may be cured without anybody
// telling, so it is retried.
func DispositionOf(why string) Disposition {
	switch why {
	case reason.AwaitingApproval:
		return UntilApproval
	case reason.InvalidBundle, reason.PolicyDenied, reason.RenameAndRetype, reason.NotServed, reason.InvalidURL:
		return UntilRevision
	}
	return Retry
}

// Delay is how long a tenant waits after failing for the nth time in a row,
// counted from 1. jitter is a random number from 0 up to 1.
func Delay(d Disposition, failures int, jitter float64) time.Duration {
	wait := lastLook
	if d == Retry {
		wait = min(lastRetry, firstRetry<<min(max(failures, 1)-1, 20))
	}
	return wait + time.Duration(jitter*float64(wait)/5)
}

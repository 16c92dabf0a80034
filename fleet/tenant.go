package fleet

import (
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Tenant is what a decision needs to know of a tenant of a revision.
type Tenant struct {
	ID     protocol.TenantID
	Labels map[string]string
	// Target stands for what git wants of it: equal targets are equal bundles,
	// planned by the same policy. Empty for a tenant whose files are wrong.
	Target string
	// New tells that it has no database yet. It waits for nobody: it has no row
	// to lose, and no earlier version to stay at.
	New bool
	Progress
}

// Progress is how far a tenant is on the way to its target.
type Progress int

// Every Progress there is.
const (
	Pending    Progress = iota // it was not tried with the target
	Reached                    // it has the target
	Aside                      // held or suspended: nothing is done to it
	Failed                     // it was tried in vain, and is tried again
	Blocked                    // somebody has to do something about it
	Unapproved                 // somebody has to approve its plan
)

// ProgressOf reads the progress off what was seen last. A row has no target when
// it was written from a journal: then bundle, the digest of the bundle that git
// wants, decides.
func ProgressOf(row *state.Observed, target, bundle string) Progress {
	if row.Tried == target && target != "" {
		switch row.Health {
		case state.Degraded, state.Missing:
			return Failed
		case state.Blocked:
			if DispositionOf(row.Reason) == UntilApproval {
				return Unapproved
			}
			return Blocked
		}
		if row.Reason == reason.Drift {
			return Reached // it is only reported: trying again changes nothing
		}
	}
	if row.Target == target && target != "" || row.Target == "" && row.BundleDigest == bundle && bundle != "" {
		return Reached
	}
	return Pending
}

package reconcile

import (
	"fmt"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// removal is what would be taken away because a revision no longer has it.
type removal struct {
	revision string
	left     int // tenants of that revision
	tenants  []protocol.TenantID
}

// refusal says why nothing is taken away.
type refusal struct{ reason, message, next string }

// guard holds back more removals at once than deletionGuard lets go: the lower
// of its number and its share of the fleet, and one unless it is 0. A revision
// without any tenant does not come here.
func guard(limit config.Limit, r removal) *refusal {
	allowed := r.left + len(r.tenants)
	if limit.Percent != nil {
		allowed = max(1, int(float64(allowed)**limit.Percent/100))
		if *limit.Percent == 0 {
			allowed = 0
		}
	}
	if limit.Tenants != nil {
		allowed = min(allowed, *limit.Tenants)
	}
	if len(r.tenants) <= allowed {
		return nil
	}
	return &refusal{
		reason: "DeletionGuard",
		message: fmt.Sprintf("the commit removes %d tenants, and deletionGuard lets %d go at once; all are kept as they are",
			len(r.tenants), allowed),
		next: "put them back with another commit, or raise deletionGuard in fleet.yaml when they are meant to go",
	}
}

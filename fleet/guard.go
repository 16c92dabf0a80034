package fleet

import (
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

// Removal is what would be taken away because a revision no longer has it.
type Removal struct {
	Revision string // full commit that lacks the tenants
	Left     int    // tenants of that commit, broken ones too
	// Tenants are those that were deployed once, that the commit lacks, and
	// whose removal has not begun: one that is suspended since an earlier
	// commit is not counted again, and one whose directory is broken is not
	// missing. By id.
	Tenants []protocol.TenantID
	// Confirmed is the commit whose removals a person confirmed last.
	Confirmed string
}

// Guard holds back removals that look like an accident: from a commit without
// any tenant, and of more tenants than limit lets go at once. Nil means that
// they may begin; else none of them may, not even some.
//
// The limit is the lower of its number and its share of the fleet, which is
// never less than one tenant unless it is 0. A fleet is what the commit has and
// what it lacks. A confirmation holds for the commit it names, and for no other.
func Guard(limit config.Limit, r Removal) *Waiting {
	if len(r.Tenants) == 0 || r.Revision != "" && r.Revision == r.Confirmed {
		return nil
	}
	next := fmt.Sprintf("put them back with another commit, or run \"reconciler confirm %.12s\" when they are meant to go", r.Revision)
	if r.Left == 0 {
		return &Waiting{
			Reason: reason.NoTenants, Next: next,
			Message: fmt.Sprintf("commit %.12s has no tenant at all; %s kept as they are", r.Revision, tenants(len(r.Tenants))),
		}
	}
	allowed := guarded(limit, r.Left+len(r.Tenants))
	if len(r.Tenants) <= allowed {
		return nil
	}
	return &Waiting{
		Reason: reason.DeletionGuard, Next: next,
		Message: fmt.Sprintf("commit %.12s removes %s (%s), and deletionGuard lets %d go at once; all are kept as they are",
			r.Revision, tenants(len(r.Tenants)), listed(r.Tenants), allowed),
	}
}

// listed names the first tenants of a list.
func listed(ids []protocol.TenantID) string {
	const most = 3
	names := make([]string, 0, most)
	for _, id := range ids[:min(most, len(ids))] {
		names = append(names, string(id))
	}
	text := strings.Join(names, ", ")
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}

// tenants is "1 tenant" or "3 tenants".
func tenants(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return fmt.Sprintf("%d tenants", n)
}

package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// sharedError says that several tenants have one database. None of them may
// be deployed: each would take the other's tables for foreign ones.
type sharedError struct {
	path   string
	others []string // ids
}

func (e *sharedError) Error() string {
	return fmt.Sprintf("its database, %s, is that of tenant %s as well", e.path, strings.Join(e.others, ", "))
}

// Reason and Next make the error one that deploy.Fail understands.
func (e *sharedError) Reason() string { return "DatabaseShared" }
func (e *sharedError) Next() string   { return "give each tenant a database of its own" }

// shared finds the tenants of a fleet, selected or not, that lead to one
// database: by links, by different spellings of a URL, or by a URL that leads to where
// another tenant's database is kept.
func (r *Reconciler) shared(tenants []*bundle.Tenant) map[protocol.TenantID]*sharedError {
	users := map[string][]*bundle.Tenant{}
	paths := map[protocol.TenantID]string{}
	for _, t := range tenants {
		at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
		if err != nil {
			continue // it is told when its turn comes
		}
		paths[t.ID] = at.Name()
		file := r.Router.Identity(at)
		// A directory whose tenant.yaml has another id is there under both.
		if !slices.ContainsFunc(users[file], func(other *bundle.Tenant) bool { return other.Dir == t.Dir }) {
			users[file] = append(users[file], t)
		}
	}
	found := map[protocol.TenantID]*sharedError{}
	for _, group := range users {
		for _, t := range group {
			if len(group) == 1 {
				continue
			}
			e := &sharedError{path: paths[t.ID]}
			for _, other := range group {
				if other != t {
					e.others = append(e.others, fmt.Sprintf("%q", other.ID))
				}
			}
			found[t.ID] = e // others are in the order of tenants, by id
		}
	}
	return found
}

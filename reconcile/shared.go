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
	paths, files := r.identities(tenants)
	first := make(map[string]int, len(tenants)) // by index into tenants
	groups := map[string][]int{}                // of the few that have others
	for i, t := range tenants {
		other, there := first[files[i]]
		switch {
		case files[i] == "":
		case !there:
			first[files[i]] = i
		// A directory whose tenant.yaml has another id is there under both.
		case tenants[other].Dir != t.Dir && !slices.ContainsFunc(groups[files[i]], func(other int) bool { return tenants[other].Dir == t.Dir }):
			groups[files[i]] = append(groups[files[i]], i)
		}
	}
	found := map[protocol.TenantID]*sharedError{}
	for file, others := range groups {
		group := append([]int{first[file]}, others...)
		for _, i := range group {
			e := &sharedError{path: paths[i]}
			for _, other := range group {
				if other != i {
					e.others = append(e.others, fmt.Sprintf("%q", tenants[other].ID))
				}
			}
			found[tenants[i].ID] = e // others are in the order of tenants, by id
		}
	}
	return found
}

// identities are the paths of the databases of tenants and what tells their
// files apart, each in the order of tenants; empty for one that cannot be
// located, which is told when its turn comes.
func (r *Reconciler) identities(tenants []*bundle.Tenant) (paths, files []string) {
	paths, files = make([]string, len(tenants)), make([]string, len(tenants))
	inParallel(len(tenants), func(i int) {
		if at, err := r.Router.Locate(tenants[i].ID, tenants[i].Spec.ConnectionConfig); err == nil {
			paths[i], files[i] = at.Name(), r.Router.Identity(at)
		}
	})
	return paths, files
}

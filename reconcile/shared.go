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
// another tenant's database is kept. known may be where some of them are; it
// was found out a moment ago.
func (r *Reconciler) shared(tenants []*bundle.Tenant, known located) map[protocol.TenantID]*sharedError {
	at, looking := r.locating(tenants, known)
	looking.all()
	paths, files := at.paths, at.files
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

// located are the paths of the databases of tenants and what tells their files
// apart, each in the order of tenants, which is by id; empty for one that cannot
// be located, which is told when its turn comes.
type located struct {
	tenants      []*bundle.Tenant
	paths, files []string
}

// locating is the work of looking at every file but those of tenants that known
// has with the same connection; what it finds is there once the work is done.
func (r *Reconciler) locating(tenants []*bundle.Tenant, known located) (located, *work) {
	at := located{tenants, make([]string, len(tenants)), make([]string, len(tenants))}
	next, unknown := 0, []int{}
	for i, t := range tenants {
		for next < len(known.tenants) && known.tenants[next].ID < t.ID {
			next++
		}
		if next < len(known.tenants) && known.tenants[next].ID == t.ID && known.tenants[next].Spec.ConnectionConfig == t.Spec.ConnectionConfig {
			at.paths[i], at.files[i] = known.paths[next], known.files[next]
		} else {
			unknown = append(unknown, i)
		}
	}
	return at, &work{n: len(unknown), do: func(n int) {
		i := unknown[n]
		if place, err := r.Router.Locate(tenants[i].ID, tenants[i].Spec.ConnectionConfig); err == nil {
			at.paths[i], at.files[i] = place.Name(), r.Router.Identity(place)
		}
	}}
}

// locateMeanwhile looks at the databases of the revision before, while the next
// one is read: they have most tenants in common. Whoever asks what was found
// helps with the rest. last may be nil.
func (r *Reconciler) locateMeanwhile(last *bundle.Fleet) (found func() located) {
	if last == nil {
		return func() located { return located{} }
	}
	at, looking := r.locating(last.Tenants, located{})
	looking.begin() // once: the other processors are for the reading
	return func() located {
		looking.finish()
		return at
	}
}

package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
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
// another tenant's database is kept. Where databases are is looked up of those
// that are not among the ones looked up before, and of all when it seems that
// some are shared: a file that came in the place of another may have its inode.
func (r *Reconciler) shared(tenants []*bundle.Tenant, before located) (map[protocol.TenantID]*sharedError, located) {
	at := r.locate(tenants, before)
	found := at.shared()
	if len(found) > 0 && len(before.tenants) > 0 {
		return r.shared(tenants, located{})
	}
	return found, at
}

func (at located) shared() map[protocol.TenantID]*sharedError {
	tenants, paths, files := at.tenants, at.paths, at.files
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
	lasting      []bool    // that it is no file, or one that is there
	since        time.Time // when the first of them was looked up
}

// recent are the locations, or none when they are so old that all databases are
// to be looked at anyway.
func (at located) recent(now time.Time, look time.Duration) located {
	if age := now.Sub(at.since); age < 0 || age >= look {
		return located{}
	}
	return at
}

// locate looks at the files of tenants, but not of those that are as they were
// when they were looked up before and had a database.
func (r *Reconciler) locate(tenants []*bundle.Tenant, before located) located {
	at := located{tenants, make([]string, len(tenants)), make([]string, len(tenants)), make([]bool, len(tenants)), before.since}
	if len(before.tenants) == 0 {
		at.since = r.Now()
	}
	next, unknown := 0, []int{}
	for i, t := range tenants {
		for next < len(before.tenants) && before.tenants[next].ID < t.ID {
			next++
		}
		if next < len(before.tenants) && before.tenants[next] == t && before.lasting[next] {
			at.paths[i], at.files[i], at.lasting[i] = before.paths[next], before.files[next], true
		} else {
			unknown = append(unknown, i)
		}
	}
	inParallel(len(unknown), func(n int) {
		i := unknown[n]
		if place, err := r.Router.Locate(tenants[i].ID, tenants[i].Spec.ConnectionConfig); err == nil {
			at.paths[i], at.files[i] = place.Name(), r.Router.Identity(place)
			at.lasting[i] = place.Remote != "" || tenantrouter.IsFile(at.files[i])
		}
	})
	return at
}

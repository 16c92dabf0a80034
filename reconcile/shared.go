package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/reason"
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
func (e *sharedError) Reason() string { return reason.DatabaseShared }
func (e *sharedError) Next() string   { return "give each tenant a database of its own" }

// shared finds the tenants of a fleet, selected or not, that lead to one
// database: by links, by different spellings of a URL, or by a URL that leads to where
// another tenant's database is kept. Where databases are is looked up of those
// that are not among the ones looked up before, and of all when it seems that
// some are shared: a file that came in the place of another may have its inode.
func (r *Reconciler) shared(tenants []*bundle.Tenant, before located) (map[protocol.TenantID]*sharedError, located) {
	at := r.locate(tenants, before)
	found := at.shared()
	if len(found) > 0 && len(before.places) > 0 {
		return r.shared(tenants, located{})
	}
	return found, at
}

func (at located) shared() map[protocol.TenantID]*sharedError {
	first := make(map[string]int, len(at.places)) // by index
	groups := map[string][]int{}                  // of the few that have others
	dirOf := func(i int) string { return at.places[i].tenant.Dir }
	for i, p := range at.places {
		other, there := first[p.file]
		switch {
		case p.file == "":
		case !there:
			first[p.file] = i
		// A directory whose tenant.yaml has another id is there under both.
		case dirOf(other) != dirOf(i) && !slices.ContainsFunc(groups[p.file], func(other int) bool { return dirOf(other) == dirOf(i) }):
			groups[p.file] = append(groups[p.file], i)
		}
	}
	found := map[protocol.TenantID]*sharedError{}
	for file, others := range groups {
		group := append([]int{first[file]}, others...)
		for _, i := range group {
			e := &sharedError{path: at.places[i].path}
			for _, other := range group {
				if other != i {
					e.others = append(e.others, fmt.Sprintf("%q", at.places[other].tenant.ID))
				}
			}
			found[at.places[i].tenant.ID] = e // others are in the order of tenants, by id
		}
	}
	return found
}

// located is where the databases of tenants are, by id.
type located struct {
	places []place
	since  time.Time // when the first of them was looked up
}

// place is where the database of a tenant is. One that cannot be located has
// neither path nor file, which is told when its turn comes.
type place struct {
	tenant  *bundle.Tenant
	path    string // as it is told
	file    string // equal for equal databases
	lasting bool   // file is that of a database, and not where one would be made
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
	at := located{make([]place, len(tenants)), before.since}
	if len(before.places) == 0 {
		at.since = r.Now()
	}
	known, unknown := before.places, []int{}
	for i, t := range tenants {
		for len(known) > 0 && known[0].tenant.ID < t.ID {
			known = known[1:]
		}
		if len(known) > 0 && known[0].tenant == t && known[0].lasting {
			at.places[i] = known[0]
		} else {
			unknown = append(unknown, i)
		}
	}
	inParallel(len(unknown), func(n int) {
		i := unknown[n]
		at.places[i] = r.placeOf(tenants[i])
	})
	return at
}

func (r *Reconciler) placeOf(t *bundle.Tenant) place {
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return place{tenant: t}
	}
	file := r.Router.Identity(at)
	return place{t, at.Name(), file, at.Remote != "" || tenantrouter.IsFile(file)}
}

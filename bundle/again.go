package bundle

import (
	"reflect"

	"github.com/tenantops/reconciler/config"
)

// made is what a load has made of the directories of tenants.
type made struct {
	config  config.Fleet
	tenants []*Tenant // by directory
}

// again are the tenants of the load before, of directories to come. Of 10,000 a
// commit changes one; the others are taken over as they are.
type again []*Tenant

// again begins with those that were made under the same fleet.yaml.
func (l *loader) again() again {
	before := l.session.before.made
	if !reflect.DeepEqual(before.config, l.fleet.Config) {
		return nil
	}
	return before.tenants
}

// take returns the tenant that a directory was before, if this load would make
// the same of it, else nil: its files are the same, and so are its apps, which
// another tenant of told has shown. Directories are asked for in their order.
func (a *again) take(dir string, entry *tenantEntry, told map[*composition]bool) *Tenant {
	for len(*a) > 0 && (*a)[0].Dir < dir {
		*a = (*a)[1:]
	}
	if len(*a) == 0 || (*a)[0].Dir != dir {
		return nil
	}
	if t := (*a)[0]; t.entry == entry && t.plain() && told[t.made] {
		return t
	}
	return nil
}

// plain tells that nothing but its own files, its apps and fleet.yaml makes the
// tenant what it is, no other tenant, and that nothing is wrong with it beyond
// what it is made of.
func (t *Tenant) plain() bool {
	return t.made != nil && len(t.Faults) == len(t.made.faults) && t.Spec.ConnectionConfig == nil
}

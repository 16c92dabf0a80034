package bundle

import (
	"io/fs"
	"path"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// Draft composes a tenant that a tree does not have yet, from the text of its
// tenant.yaml, and returns it with the fleet's configuration. Its time depends
// on the tenant and its apps, not on the fleet. A cache for Draft alone keeps
// the apps: one shared with Load would forget the tenants.
//
// Its error is one of fleet.yaml, as Load has it, or matches ErrInvalid for a
// tenant with faults.
func Draft(fsys fs.FS, id protocol.TenantID, text []byte, o Options) (*Tenant, config.Fleet, error) {
	l := newLoader(fsys, o)
	if wrong := l.readFleet(); len(wrong) > 0 {
		return nil, l.fleet.Config, &InvalidError{Faults: wrong}
	}
	dir := path.Join(tenantsDir, string(id))
	entry := &tenantEntry{part: &part{id: l.cache.next()}}
	entry.spec, entry.document, entry.faults = config.ParseOne[TenantSpec](path.Join(dir, tenantFile), text)
	if entry.lost = config.HasErrors(entry.faults); !entry.lost {
		entry.check(string(id))
	}
	t := l.tenant(dir, entry)
	if config.HasErrors(t.Faults) {
		return nil, l.fleet.Config, &InvalidError{Faults: t.Faults}
	}
	l.session.close()
	return t, l.fleet.Config, nil
}

package tenantrouter

import (
	"context"
	"sync"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Placements are the databases that the reconciler had made on servers, for
// tenants that name none themselves. They may be shared.
type Placements struct {
	mu       sync.RWMutex
	byTenant map[protocol.TenantID]state.Placement
	find     func(context.Context, state.Placement) (there bool, err error)
}

// PlacementsOf reads those of a store; of none, there are none.
func PlacementsOf(ctx context.Context, store *state.Store) (*Placements, error) {
	p := &Placements{byTenant: map[protocol.TenantID]state.Placement{}}
	if store == nil {
		return p, nil
	}
	all, err := store.Placements(ctx)
	for _, one := range all {
		p.byTenant[one.Tenant] = one
	}
	return p, err
}

// Of returns the placement of a tenant, and whether its database is there. A
// nil Placements has none.
func (p *Placements) Of(tenant protocol.TenantID) (state.Placement, bool) {
	if p == nil {
		return state.Placement{}, false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	one, ok := p.byTenant[tenant]
	return one, ok && one.URL != ""
}

// Put takes a placement over that was recorded.
func (p *Placements) Put(one state.Placement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byTenant[one.Tenant] = one
}

// Remove forgets one.
func (p *Placements) Remove(tenant protocol.TenantID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byTenant, tenant)
}

// Confirm sets who knows whether a database is there, when a server says that it
// is not: under load servers say so of databases that are.
func (p *Placements) Confirm(find func(context.Context, state.Placement) (there bool, err error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.find = find
}

// gone tells that a database is not there for sure.
func (p *Placements) gone(ctx context.Context, tenant protocol.TenantID) bool {
	one, placed := p.Of(tenant)
	p.mu.RLock()
	find := p.find
	p.mu.RUnlock()
	if !placed || find == nil {
		return false
	}
	there, err := find(ctx, one)
	return err == nil && !there
}

// connection is how a tenant's database is opened that names none itself; nil
// for a file of this machine.
func (p *Placements) connection(tenant protocol.TenantID) *protocol.TenantConnectionConfig {
	one, placed := p.Of(tenant)
	if !placed {
		return nil
	}
	return one.Connection()
}

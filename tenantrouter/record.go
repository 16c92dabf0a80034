package tenantrouter

import (
	"context"
	"fmt"
	"sync"

	"github.com/tenantops/reconciler/protocol"
)

// Records is where a Gateway looks tenants up.
type Records interface {
	// Tenant returns what is recorded of a tenant. An error that matches
	// protocol.ErrUnknownTenant says that there is none.
	Tenant(ctx context.Context, id protocol.TenantID) (Record, error)
}

// Record is what is known of a tenant. It is read-only, and so is what its
// pointers lead to.
type Record struct {
	ID         protocol.TenantID
	Name       string
	OrgID      string
	Plan       protocol.TenantPlan
	Region     protocol.TenantRegion
	Status     protocol.TenantProvisioningStatus
	Quotas     *protocol.TenantQuota            // what holds for it, its plan's and its own; nil for none
	Connection *protocol.TenantConnectionConfig // nil for a database that the reconciler keeps
	Schema     Schema
}

// Schema says what was deployed to a tenant last, so that an application can
// serve tenants of two versions while a rollout is under way. Both are empty
// before the first deployment.
type Schema struct {
	Revision     string `json:"revision,omitempty"`     // full commit
	BundleDigest string `json:"bundleDigest,omitempty"` // equal digests are equal definitions
}

// sameDatabase reports whether connections that were opened for one record
// serve the other too.
func (r Record) sameDatabase(s Record) bool {
	return r.Plan == s.Plan && r.Status == s.Status && sameConnection(r.Connection, s.Connection)
}

func sameConnection(a, b *protocol.TenantConnectionConfig) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// MemoryRecords are records in memory, for tests and for applications that
// learn of their tenants elsewhere. The zero value is empty. It may be shared.
type MemoryRecords struct {
	mu      sync.RWMutex
	records map[protocol.TenantID]Record
}

// Tenant returns the record of a tenant.
func (m *MemoryRecords) Tenant(_ context.Context, id protocol.TenantID) (Record, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records[id]
	if !ok {
		return Record{}, fmt.Errorf("tenant %q: %w", id, protocol.ErrUnknownTenant)
	}
	return r, nil
}

// Put stores a record under its id.
func (m *MemoryRecords) Put(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[protocol.TenantID]Record{}
	}
	m.records[r.ID] = r
}

// Remove forgets a tenant.
func (m *MemoryRecords) Remove(id protocol.TenantID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, id)
}

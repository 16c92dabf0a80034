package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// StateRecords are the records that the reconciler keeps of its tenants.
type StateRecords struct{ store *state.Store }

// OpenState reads the records in a data directory, of a reconciler that may be
// running meanwhile, in another process of the same machine and release. The
// caller closes them.
func OpenState(ctx context.Context, dataDir string) (*StateRecords, error) {
	store, err := state.Open(ctx, filepath.Join(dataDir, "state.db"), state.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read the records of tenants: %w", err)
	}
	return RecordsOf(store), nil
}

// RecordsOf are the records in a store that the caller has open.
func RecordsOf(store *state.Store) *StateRecords { return &StateRecords{store} }

// Close closes the store.
func (s *StateRecords) Close() error { return s.store.Close() }

// Tenant returns the record of a tenant.
func (s *StateRecords) Tenant(ctx context.Context, id protocol.TenantID) (Record, error) {
	t, err := s.store.Tenant(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return Record{}, fmt.Errorf("tenant %q: %w", id, protocol.ErrUnknownTenant)
	}
	if err != nil {
		return Record{}, err
	}
	connection := t.Spec.ConnectionConfig
	if connection == nil {
		placed, _, err := s.store.Placement(ctx, id)
		if err != nil {
			return Record{}, err
		}
		connection = placed.Connection()
	}
	return Record{
		ID: t.ID, Name: t.Spec.Name, OrgID: t.Spec.OrgID, Plan: t.Spec.Plan, Region: t.Spec.Region, Status: t.Status,
		Quotas: &t.Quotas, Connection: connection,
		Schema: Schema{Revision: t.AppliedRevision, BundleDigest: t.Bundle},
	}, nil
}

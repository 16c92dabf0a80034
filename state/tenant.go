package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Tenant is what is known of a tenant: what its file says, and where it is in
// its life.
type Tenant struct {
	ID protocol.TenantID
	// Spec is tenant.yaml with the defaults of fleet.yaml. Of a tenant that git
	// no longer has it is what git said last. References to secrets are not
	// resolved.
	Spec bundle.TenantSpec
	// Quotas are those of its plan in fleet.yaml with its own over them.
	Quotas   protocol.TenantQuota
	Origin   Origin
	Revision string // commit that Spec and Quotas were first read from; empty until git has the tenant
	// Pending is what was done to the tenant and git does not say yet, one of
	// the Pending words each, separated by commas: it goes before what git says.
	Pending string

	Lifecycle

	// Bundle is the digest of the bundle that is applied and AppliedRevision the
	// commit it came from: the tenant's schema revision. They are read with the
	// tenant and saved with what is observed.
	Bundle, AppliedRevision string
}

// What can be pending.
const (
	PendingStatus  = "status"  // provisioningStatus
	PendingPlan    = "plan"    // plan
	PendingRemoval = "removal" // the tenant itself
)

// Lifecycle is where a tenant is in its life, and what is being done about it.
type Lifecycle struct {
	Status      protocol.TenantProvisioningStatus
	StatusSince time.Time
	RemovedAt   time.Time // when git was first seen without it; zero while git has it
	// Operation is what Steps belong to: provision, suspend, resume, destroy.
	Operation string
	Steps     []protocol.ProvisioningStep
}

// Origin is where a tenant came from.
type Origin string

// The origins.
const (
	FromGit    Origin = "git"
	FromSignUp Origin = "sign-up"
)

// PendingCommit tells that the tenant has signed up and that git does not have
// it yet. It is never taken for one that was removed.
func (t Tenant) PendingCommit() bool { return t.Origin == FromSignUp && t.Revision == "" }

// Awaits tells that one of the Pending words holds of the tenant.
func (t Tenant) Awaits(what string) bool {
	return slices.Contains(strings.Split(t.Pending, ","), what)
}

func (t *Tenant) columns() []column {
	return append([]column{
		{"tenant", (*string)(&t.ID)},
		{"spec", &t.Spec},
		{"quotas", &t.Quotas},
		{"origin", (*string)(&t.Origin)},
		{"revision", &t.Revision},
		{"pending", &t.Pending},
	}, t.Lifecycle.columns()...)
}

func (l *Lifecycle) columns() []column {
	return []column{
		{"status", (*string)(&l.Status)},
		{"status_since", &l.StatusSince},
		{"removed_at", &l.RemovedAt},
		{"operation", &l.Operation},
		{"steps", &l.Steps},
	}
}

// joined are the columns that are read: those of observed too.
func (t *Tenant) joined() []column {
	const of = "coalesce((SELECT %s FROM seen WHERE seen.tenant = tenants.tenant), '')"
	return append(t.columns(),
		column{fmt.Sprintf(of, "bundle_digest"), &t.Bundle},
		column{fmt.Sprintf(of, "applied_revision"), &t.AppliedRevision},
	)
}

// SaveTenants records tenants, all in one transaction. Of one that is recorded
// already it changes what git says (spec, quotas, origin, revision, pending) and leaves
// its lifecycle, which SaveLifecycle changes.
func (s *Store) SaveTenants(ctx context.Context, tenants ...Tenant) error {
	if len(tenants) == 0 {
		return nil
	}
	doing := fmt.Sprintf("save %d tenants", len(tenants))
	if len(tenants) == 1 {
		doing = fmt.Sprintf("save tenant %q", tenants[0].ID)
	}
	statements := make([]database.Statement, len(tenants))
	for i := range tenants {
		var err error
		if statements[i], err = insertion("INSERT INTO tenants", tenants[i].columns()); err != nil {
			return explain(s.path, doing, err)
		}
		statements[i].SQL += " ON CONFLICT (tenant) DO UPDATE SET spec = excluded.spec, quotas = excluded.quotas," +
			" origin = excluded.origin, revision = excluded.revision, pending = excluded.pending"
	}
	return s.write(ctx, doing, statements...)
}

// SaveLifecycle records where a tenant is in its life, with the events that
// tell of it. It gives an error matching ErrNotFound for a tenant that is not
// recorded.
func (s *Store) SaveLifecycle(ctx context.Context, tenant protocol.TenantID, l Lifecycle, events ...Event) error {
	doing := fmt.Sprintf("save lifecycle of tenant %q", tenant)
	row, err := update("tenants", l.columns(), "tenant = ?", string(tenant))
	if err != nil {
		return explain(s.path, doing, err)
	}
	told, err := s.insertions(events)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.use(ctx, doing, func(conn database.Conn) error {
		return transact(ctx, conn, func() error {
			n, err := conn.Exec(ctx, row.SQL, row.Args...)
			if err == nil && n == 0 {
				err = ErrNotFound
			}
			for i := 0; err == nil && i < len(told); i++ {
				_, err = conn.Exec(ctx, told[i].SQL, told[i].Args...)
			}
			return err
		})
	})
}

// ForgetTenant removes a tenant's record, with its observed row, and records
// events. What was deployed to it and done about it stays in the history.
func (s *Store) ForgetTenant(ctx context.Context, tenant protocol.TenantID, events ...Event) error {
	doing := fmt.Sprintf("forget tenant %q", tenant)
	told, err := s.insertions(events)
	if err != nil {
		return explain(s.path, doing, err)
	}
	statements := append([]database.Statement{
		{SQL: "DELETE FROM tenants WHERE tenant = ?", Args: []any{string(tenant)}},
		{SQL: "DELETE FROM observed WHERE tenant = ?", Args: []any{string(tenant)}},
	}, told...)
	return s.use(ctx, doing, func(conn database.Conn) error {
		s.memory.forget()
		return run(ctx, conn, statements)
	})
}

// Tenants returns every tenant that is recorded, by id.
func (s *Store) Tenants(ctx context.Context) ([]Tenant, error) {
	return read(ctx, s, "read tenants", (*Tenant).joined, database.Statement{
		SQL: selection("tenants", new(Tenant).joined()) + "ORDER BY tenant",
	})
}

// UnsettledTenants returns the tenants that are not simply active: those in
// another state, those that git no longer has, or does not have yet, and those
// that were begun to be suspended or resumed and are not. By id.
func (s *Store) UnsettledTenants(ctx context.Context) ([]Tenant, error) {
	return read(ctx, s, "read unsettled tenants", (*Tenant).joined, database.Statement{
		SQL: selection("tenants", new(Tenant).joined()) +
			`WHERE status <> 'active' OR removed_at <> '' OR revision = '' OR pending <> '' OR operation IN ('suspend', 'resume') AND
 EXISTS (SELECT 1 FROM json_each(steps) WHERE value ->> 'status' NOT IN ('completed', 'skipped')) ORDER BY tenant`,
	})
}

// Connections returns how the databases are reached of the tenants of which git
// says it. Those whose database the reconciler keeps are not in the result, and
// not read.
func (s *Store) Connections(ctx context.Context) (map[protocol.TenantID]*protocol.TenantConnectionConfig, error) {
	const doing = "read connections of tenants"
	rows, err := s.query(ctx, doing, `SELECT tenant, json_extract(spec, '$.connectionConfig') FROM tenants
 WHERE instr(spec, '"connectionConfig"') > 0`) // as the index of them has it
	if err != nil {
		return nil, err
	}
	connections := make(map[protocol.TenantID]*protocol.TenantConnectionConfig, len(rows.Values))
	for _, row := range rows.Values {
		text, ok := row[1].(string)
		if !ok {
			continue // the word stands somewhere else in the tenant's file
		}
		var c *protocol.TenantConnectionConfig
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return nil, explain(s.path, doing, fmt.Errorf("%w: %w", database.ErrCorrupt, err))
		}
		id, _ := row[0].(string)
		connections[protocol.TenantID(id)] = c
	}
	return connections, nil
}

// Tenant returns one tenant. It gives an error matching ErrNotFound for one
// that is not recorded.
func (s *Store) Tenant(ctx context.Context, id protocol.TenantID) (Tenant, error) {
	doing := fmt.Sprintf("read tenant %q", id)
	t, found, err := first(read(ctx, s, doing, (*Tenant).joined, database.Statement{
		SQL:  selection("tenants", new(Tenant).joined()) + "WHERE tenant = ?",
		Args: []any{string(id)},
	}))
	if err == nil && !found {
		err = explain(s.path, doing, ErrNotFound)
	}
	return t, err
}

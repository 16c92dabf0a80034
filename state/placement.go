package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Placement is a database that the reconciler had made on a server.
type Placement struct {
	Tenant   protocol.TenantID
	Provider string // sqld or turso
	Name     string // that it has there
	URL      string // without secrets; empty until the database is there
	ServerID string // of the database, which one made anew under the name does not have; empty where none is known
	// Token opens the database: a reference, $age: and what is encrypted, never
	// the token itself. Empty where none is needed.
	Token     string
	PlacedAt  time.Time // when it was asked for; default: now
	RotatedAt time.Time // when the token was replaced last; zero for never
}

// Connection is how a placement is opened; nil before the database is there.
func (p Placement) Connection() *protocol.TenantConnectionConfig {
	if p.URL == "" {
		return nil
	}
	return &protocol.TenantConnectionConfig{URL: p.URL, AuthToken: p.Token}
}

func (p *Placement) columns() []column {
	return []column{
		{"tenant", (*string)(&p.Tenant)},
		{"provider", &p.Provider},
		{"name", &p.Name},
		{"url", &p.URL},
		{"server_id", &p.ServerID},
		{"token", &p.Token},
		{"placed_at", &p.PlacedAt},
		{"rotated_at", &p.RotatedAt},
	}
}

// SavePlacement records a placement, over the one that the tenant has, with the
// events that tell of it. A name that another tenant has gives an error
// matching database.ErrConstraint.
func (s *Store) SavePlacement(ctx context.Context, p Placement, events ...Event) error {
	doing := fmt.Sprintf("save placement of tenant %q", p.Tenant)
	if p.PlacedAt.IsZero() {
		p.PlacedAt = s.now()
	}
	row, err := insertion("INSERT INTO placements", p.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	row.SQL += " ON CONFLICT (tenant) DO UPDATE SET provider = excluded.provider, name = excluded.name, url = excluded.url, server_id = excluded.server_id," +
		" token = excluded.token, placed_at = excluded.placed_at, rotated_at = excluded.rotated_at"
	told, err := s.insertions(events)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, append([]database.Statement{row}, told...)...)
}

// ForgetPlacement removes the record of a database that is not there any more.
func (s *Store) ForgetPlacement(ctx context.Context, tenant protocol.TenantID) error {
	return s.write(ctx, fmt.Sprintf("forget placement of tenant %q", tenant), database.Statement{
		SQL: "DELETE FROM placements WHERE tenant = ?", Args: []any{string(tenant)},
	})
}

// Placements returns all of them, by tenant.
func (s *Store) Placements(ctx context.Context) ([]Placement, error) {
	return read(ctx, s, "read placements", (*Placement).columns, database.Statement{
		SQL: selection("placements", new(Placement).columns()) + "ORDER BY tenant",
	})
}

// Placement returns that of a tenant, and whether it has one.
func (s *Store) Placement(ctx context.Context, tenant protocol.TenantID) (Placement, bool, error) {
	return first(read(ctx, s, fmt.Sprintf("read placement of tenant %q", tenant), (*Placement).columns, database.Statement{
		SQL:  selection("placements", new(Placement).columns()) + "WHERE tenant = ?",
		Args: []any{string(tenant)},
	}))
}

// Branch is a copy of a database that is made for a while.
type Branch struct {
	Provider string
	Name     string
	Tenant   protocol.TenantID // whose database it is a copy of
	MadeAt   time.Time         // default: now
}

func (b *Branch) columns() []column {
	return []column{
		{"provider", &b.Provider},
		{"name", &b.Name},
		{"tenant", (*string)(&b.Tenant)},
		{"made_at", &b.MadeAt},
	}
}

// SaveBranch records a branch that is about to be made.
func (s *Store) SaveBranch(ctx context.Context, b Branch) error {
	if b.MadeAt.IsZero() {
		b.MadeAt = s.now()
	}
	return s.save(ctx, fmt.Sprintf("save branch %q", b.Name), "REPLACE INTO branches", b.columns())
}

// ForgetBranch removes the record of a branch that is there no more.
func (s *Store) ForgetBranch(ctx context.Context, b Branch) error {
	return s.write(ctx, fmt.Sprintf("forget branch %q", b.Name), database.Statement{
		SQL: "DELETE FROM branches WHERE provider = ? AND name = ?", Args: []any{b.Provider, b.Name},
	})
}

// Branches returns the branches that are recorded, the oldest first.
func (s *Store) Branches(ctx context.Context) ([]Branch, error) {
	return read(ctx, s, "read branches", (*Branch).columns, database.Statement{
		SQL: selection("branches", new(Branch).columns()) + "ORDER BY made_at, provider, name",
	})
}

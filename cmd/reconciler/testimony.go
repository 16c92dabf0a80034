package main

import (
	"context"
	"fmt"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

// testimony is what a tenant's database says about itself.
type testimony struct {
	apply.Reading
	journal []apply.Entry // oldest first
}

// hear reads a database without changing it, every page of a file if check is
// set. One that belongs to another tenant gives an error matching
// apply.ErrOwnedElsewhere.
func (p placedTenant) hear(ctx context.Context, check bool) (t testimony, err error) {
	conn, err := p.open(ctx, p.router, p.tenant, true)
	if err != nil {
		return t, err
	}
	defer conn.Close()
	if check && !database.Remote(conn) {
		if err := libsql.QuickCheck(ctx, conn); err != nil {
			return t, err
		}
	}
	if t.Reading, err = apply.Read(ctx, conn); err != nil {
		return t, err
	}
	if t.journal, err = apply.Journal(ctx, conn); err != nil {
		return t, err
	}
	if owner := t.Record.Owner.Tenant; t.Record.Last != nil && owner != string(p.tenant) {
		return t, fmt.Errorf("%w: it is tenant %q of fleet %q", apply.ErrOwnedElsewhere, owner, t.Record.Owner.Fleet)
	}
	return t, nil
}

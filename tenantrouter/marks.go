package tenantrouter

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// ErrOwnedElsewhere says that a database is that of another tenant, whatever
// the records say: two tenants that lead to one file, or a copy in the wrong
// place.
var ErrOwnedElsewhere = errors.New("the database belongs to another tenant")

// marks are what the reconciler has written into a database about it.
type marks struct {
	tenant    protocol.TenantID // whose it is; empty for one that was never deployed to
	suspended bool              // nothing is to be written
}

// readMarks reads them from the table that package apply keeps: two rows, for
// each connection that is opened. A test of package reconcile holds both
// packages to each other.
func readMarks(ctx context.Context, conn database.Conn) (m marks, err error) {
	rows, err := conn.Query(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_reconciler_meta'")
	if err == nil && rows.Values[0][0] != int64(0) {
		rows, err = conn.Query(ctx, "SELECT key, value FROM _reconciler_meta WHERE key IN ('tenant', 'suspended')")
	} else {
		rows.Values = nil
	}
	if err != nil {
		return m, fmt.Errorf("read whose the database is: %w", err)
	}
	for _, row := range rows.Values {
		switch value, _ := row[1].(string); row[0] {
		case "tenant":
			m.tenant = protocol.TenantID(value)
		case "suspended":
			m.suspended = true
		}
	}
	return m, nil
}

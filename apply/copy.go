package apply

import (
	"context"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/schema"
)

// Copy is a private database in memory that has the schema of a tenant's,
// foreign views and triggers included, and no rows. It is where a schema is
// looked at and a plan for it is proved: neither touches the tenant's own
// connection.
type Copy struct {
	conn   database.Conn
	master schema.Master
}

// NewCopy makes a copy of a schema. The caller closes it.
func NewCopy(ctx context.Context, master schema.Master) (*Copy, error) {
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy schema: %w", err)
	}
	c := &Copy{conn: conn, master: master}
	// Off from the beginning: a table may refer to one that is made later.
	if _, err = conn.Query(ctx, "PRAGMA foreign_keys = OFF"); err == nil {
		err = master.Replay(ctx, conn)
	}
	if err != nil {
		_ = conn.Close() // it is memory
		return nil, err
	}
	return c, nil
}

// Tables are the ordinary tables of the schema, by name.
func (c *Copy) Tables(ctx context.Context) ([]schema.Table, error) {
	return schema.Inspect(ctx, c.conn)
}

// Close frees the copy.
func (c *Copy) Close() error { return c.conn.Close() }

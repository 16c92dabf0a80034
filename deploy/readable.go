package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/schema"
)

// Readable says what a database with the tables of objects has against each
// query: an error for each, in their order, nil where it would run.
func Readable(ctx context.Context, objects []bundle.Object, queries []bundle.Verification) []error {
	wrong := make([]error, len(queries))
	conn, err := tablesAlone(ctx, objects)
	for i, q := range queries {
		if wrong[i] = err; err == nil {
			_, wrong[i] = conn.Examine(ctx, q.SQL, 0)
		}
	}
	if err == nil {
		err = conn.Close()
		for i := range wrong {
			wrong[i] = errors.Join(wrong[i], err)
		}
	}
	return wrong
}

// tablesAlone makes a database with the names that the objects give.
func tablesAlone(ctx context.Context, objects []bundle.Object) (database.Conn, error) {
	tables, _, err := desiredTables(&bundle.Desired{Objects: objects}, PlanPolicy{})
	if err != nil {
		return nil, err
	}
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		columns := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			columns[i] = schema.Quote(c.Name)
		}
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", schema.Quote(t.Name), strings.Join(columns, ", "))); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

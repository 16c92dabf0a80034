package tenantrouter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// RequestCounter tells how many requests of a tenant were let in during the
// current minute. The middleware is one.
type RequestCounter interface {
	RequestsThisMinute(tenant protocol.TenantID) int64
}

// Meter measures what tenants use, from their databases.
type Meter struct {
	Users    string         // object whose rows are users; empty for none
	Requests RequestCounter // nil where there is no middleware
	Now      func() time.Time
}

// maxCounted bounds how many rows of one table are counted. Of a larger table
// the highest rowid stands for the number, which costs one page and errs
// upwards where rows were deleted.
const maxCounted = 100_000

// Usage measures a tenant on a connection to its database and writes nothing.
// Objects are those that deployments made, records the rows of their tables;
// storage is the pages in use, tables that are kept or retired included.
func (m Meter) Usage(ctx context.Context, conn database.Conn, tenant protocol.TenantID) (protocol.TenantUsage, error) {
	fail := func(err error) (protocol.TenantUsage, error) {
		return protocol.TenantUsage{}, fmt.Errorf("measure tenant %q: %w", tenant, err)
	}
	now := time.Now()
	if m.Now != nil {
		now = m.Now()
	}
	usage := protocol.TenantUsage{LastUpdatedAt: now.UTC().Format("2006-01-02T15:04:05.000Z")}
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		return fail(err)
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	if err != nil {
		return fail(err)
	}
	usage.CurrentObjectCount = Objects(owned)
	for _, t := range owned.Tables {
		if t.Name == plan.RegistryTable || !isThere(seen.Master, t.Name) {
			continue
		}
		n, err := rowsOf(ctx, conn, t.Name)
		if err != nil {
			return fail(err)
		}
		usage.CurrentRecordCount += n
		if t.Object == m.Users {
			usage.CurrentUsers = n
		}
	}
	if usage.CurrentStorageBytes, err = storage(ctx, conn); err != nil {
		return fail(err)
	}
	if seen.Master.Reconciled {
		if usage.DeploymentsToday, err = deploymentsSince(ctx, conn, midnight(now)); err != nil {
			return fail(err)
		}
	}
	if m.Requests != nil {
		usage.APIRequestsThisMinute = m.Requests.RequestsThisMinute(tenant)
	}
	return usage, nil
}

// Objects counts the objects of a record: the tables of definitions, but for
// the one of the metadata registry.
func Objects(owned schema.Owned) int64 {
	n := int64(len(owned.Tables))
	if _, ok := owned.Table(plan.RegistryTable); ok {
		n--
	}
	return n
}

func isThere(master schema.Master, table string) bool {
	return slices.ContainsFunc(master.Of("table"), func(e schema.Entry) bool { return strings.EqualFold(e.Name, table) })
}

// rowsOf is how many rows a table has: exactly up to maxCounted, else about.
func rowsOf(ctx context.Context, conn database.Conn, table string) (int64, error) {
	n, err := countUpTo(ctx, conn, table, maxCounted+1)
	if err != nil || n <= maxCounted {
		return n, err
	}
	highest, err := number(ctx, conn, "SELECT max(rowid) FROM "+schema.Quote(table))
	if err != nil {
		return n, nil //nolint:nilerr // a table without rowids: there are at least so many
	}
	return max(n, highest), nil
}

// countUpTo counts the rows of a table and stops at a number of them.
func countUpTo(ctx context.Context, conn database.Conn, table string, most int64) (int64, error) {
	return number(ctx, conn, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d)", schema.Quote(table), most))
}

// storage is how many bytes the pages in use of a database have. In a
// transaction it counts what the transaction has written.
func storage(ctx context.Context, conn database.Conn) (int64, error) {
	return number(ctx, conn, `SELECT (page_count - freelist_count) * page_size
 FROM pragma_page_count, pragma_freelist_count, pragma_page_size`)
}

// deploymentsSince counts the deployments of a journal that brought another
// bundle. Rollbacks, restores, purges and what put drift right do not count.
func deploymentsSince(ctx context.Context, conn database.Conn, since time.Time) (int64, error) {
	return number(ctx, conn, "SELECT count(*) FROM _reconciler_journal WHERE at >= ? AND back_to = '' AND bundle <> previous_bundle",
		since.Format("2006-01-02T15:04:05.000Z"))
}

// midnight is when the day of a time began, in UTC.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// number is the answer to a query for one number, 0 for NULL.
func number(ctx context.Context, conn database.Conn, sql string, args ...any) (int64, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	n, _ := rows.Values[0][0].(int64)
	return n, nil
}

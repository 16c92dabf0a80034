package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/schema"
)

// A page is what is read of a table at a time. Its size is found by a query of
// its own, since an answer that is too large ends the transaction.
const (
	pageRows  = 500
	pageBytes = 2 << 20 // a server's limit is 10 MB, of JSON with base64
)

// reading goes through the rows of a table, in the order of a key.
type reading struct {
	table   string
	key     []string // columns, or the name of the row's id
	columns []string // that are written
}

// rows copies the rows of a table.
func (c *copying) rows(ctx context.Context, table string) error {
	r, err := c.reading(ctx, table)
	if err != nil {
		return err
	}
	insert := fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", schema.Quote(table), quoted(r.columns), strings.Repeat(", ?", len(r.columns)-1))
	var last []any
	for {
		size, err := c.size(ctx, r, last)
		if err != nil || size == 0 {
			return err
		}
		found, err := c.from.Query(ctx, r.query(quoted(r.columns), size, last), last...)
		if err != nil {
			return err
		}
		for _, values := range found.Values {
			if _, err := c.to.Exec(ctx, insert, values[len(r.key):]...); err != nil {
				return err
			}
		}
		last = found.Values[len(found.Values)-1][:len(r.key)]
	}
}

// size is how many of the next rows are one page; 0 after the last one. A row
// that is larger than a page is one.
func (c *copying) size(ctx context.Context, r reading, last []any) (int, error) {
	sizes := make([]string, len(r.columns))
	for i, name := range r.columns {
		sizes[i] = "coalesce(octet_length(" + schema.Quote(name) + "), 0)"
	}
	found, err := c.from.Query(ctx, r.query(strings.Join(sizes, " + "), pageRows, last), last...)
	var sum int64
	for i, values := range found.Values {
		if sum += values[len(values)-1].(int64); sum > pageBytes {
			return max(1, i), err
		}
	}
	return len(found.Values), err
}

// query selects the next rows after those of a key: the key, then what of them
// is asked for.
func (r reading) query(what string, size int, last []any) string {
	after := ""
	if last != nil {
		after = fmt.Sprintf(" WHERE (%s) > (?%s)", quoted(r.key), strings.Repeat(", ?", len(r.key)-1))
	}
	return fmt.Sprintf("SELECT %s, %s FROM %s%s ORDER BY %s LIMIT %d",
		quoted(r.key), what, schema.Quote(r.table), after, quoted(r.key), size)
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = schema.Quote(name)
	}
	return strings.Join(list, ", ")
}

// reading finds out how a table is read: by the ids of its rows, which are
// written too, or by its primary key where it has none. Generated columns are
// not written.
func (c *copying) reading(ctx context.Context, table string) (r reading, err error) {
	r.table = table
	rows, err := c.from.Query(ctx, "SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", table)
	if err != nil {
		return r, err
	}
	keys := map[int64]string{}
	var all []string
	for _, v := range rows.Values {
		name, pk, hidden := v[0].(string), v[1].(int64), v[2].(int64)
		all = append(all, strings.ToLower(name))
		if pk > 0 {
			keys[pk] = name
		}
		if hidden == 0 {
			r.columns = append(r.columns, name)
		}
	}
	without, err := c.from.Query(ctx, "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", table)
	if err != nil {
		return r, err
	}
	if len(without.Values) > 0 && without.Values[0][0] == int64(1) {
		for i := range len(keys) {
			r.key = append(r.key, keys[int64(i+1)])
		}
		return r, nil
	}
	for _, id := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.Contains(all, id) { // a column of that name hides it
			r.key, r.columns = []string{id}, append([]string{id}, r.columns...)
			return r, nil
		}
	}
	return r, fmt.Errorf("table %q has columns of all names that the id of a row has", table)
}

package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// Kept is a retired column or table and what it holds.
type Kept struct {
	Name  string // _retired_<n>_<name>
	Was   string // "account.fax" or "account"
	Rows  int64  // of a table; of a column those with a value
	Bytes int64  // of the values, without what storing them takes
	Retired
}

// Keeps lists what is retired in a database, by retired name. It reads every
// row of it.
func Keeps(ctx context.Context, conn database.Conn) ([]Kept, error) {
	seen, err := Read(ctx, conn)
	if err != nil {
		return nil, err
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	if err != nil {
		return nil, err
	}
	var kept []Kept
	add := func(name, was, table, rows string, columns []string) error {
		k := Kept{Name: name, Was: was, Retired: seen.Record.Retired[name]}
		sizes := make([]string, len(columns))
		for i, c := range columns {
			sizes[i] = fmt.Sprintf("coalesce(sum(length(CAST(%s AS BLOB))), 0)", schema.Quote(c))
		}
		answer, err := conn.Query(ctx, fmt.Sprintf("SELECT %s, %s FROM %s", rows, strings.Join(sizes, " + "), schema.Quote(table)))
		if err != nil {
			return fmt.Errorf("measure %q: %w", name, err)
		}
		k.Rows, _ = answer.Values[0][0].(int64)
		k.Bytes, _ = answer.Values[0][1].(int64)
		kept = append(kept, k)
		return nil
	}
	for _, t := range owned.Tables {
		for _, c := range t.Retired {
			if err := add(c.Name, t.Name+"."+c.Column, t.Name, "count("+schema.Quote(c.Name)+")", []string{c.Name}); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range owned.Retired {
		columns := append([]string{}, t.Columns...)
		for _, c := range t.Retired {
			columns = append(columns, c.Name)
		}
		if err := add(t.Name, t.Was, t.Name, "count(*)", columns); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

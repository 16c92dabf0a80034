package apply

import (
	"context"
	"fmt"
	"slices"
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
	seen, owned, err := readOwned(ctx, conn)
	if err != nil {
		return nil, err
	}
	var kept []Kept
	add := func(name, was, table, rows string, columns []string) error {
		k := Kept{Name: name, Was: was, Retired: seen.Record.Retired[name]}
		var err error
		k.Rows, k.Bytes, err = measure(ctx, conn, table, rows, columns)
		kept = append(kept, k)
		return err
	}
	for _, t := range owned.Tables {
		for _, c := range t.Retired {
			if err := add(c.Name, t.Name+"."+c.Column, t.Name, "count("+schema.Quote(c.Name)+")", []string{c.Name}); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range owned.Retired {
		if err := add(t.Name, t.Was, t.Name, "count(*)", everyColumn(t.OwnedTable)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func readOwned(ctx context.Context, conn database.Conn) (Reading, schema.Owned, error) {
	seen, err := Read(ctx, conn)
	if err != nil {
		return seen, schema.Owned{}, err
	}
	owned, err := schema.ParseOwned(seen.Record.Owned)
	return seen, owned, err
}

// KeptTable is a table that an app left when it was uninstalled, and what it
// holds.
type KeptTable struct {
	Name, App string
	Rows      int64
}

// KeptTables lists the tables of apps that were uninstalled, by name, and counts
// their rows.
func KeptTables(ctx context.Context, conn database.Conn) ([]KeptTable, error) {
	seen, owned, err := readOwned(ctx, conn)
	if err != nil {
		return nil, err
	}
	kept := []KeptTable{}
	for _, t := range owned.Kept {
		if !slices.ContainsFunc(seen.Master.Of("table"), func(e schema.Entry) bool { return strings.EqualFold(e.Name, t.Name) }) {
			continue // nobody is kept from dropping it
		}
		rows, err := conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(t.Name))
		if err != nil {
			return nil, fmt.Errorf("count the rows of %q: %w", t.Name, err)
		}
		k := KeptTable{Name: t.Name, App: t.App}
		k.Rows, _ = rows.Values[0][0].(int64)
		kept = append(kept, k)
	}
	return kept, nil
}

// everyColumn names the columns of a table that are ours.
func everyColumn(t schema.OwnedTable) []string {
	columns := slices.Clone(t.Columns)
	for _, c := range t.Retired {
		columns = append(columns, c.Name)
	}
	return columns
}

// measure counts rows of a table and the bytes that columns of it hold.
func measure(ctx context.Context, conn database.Conn, table, rows string, columns []string) (n, bytes int64, err error) {
	sizes := make([]string, len(columns))
	for i, c := range columns {
		sizes[i] = fmt.Sprintf("coalesce(sum(length(CAST(%s AS BLOB))), 0)", schema.Quote(c))
	}
	answer, err := conn.Query(ctx, fmt.Sprintf("SELECT %s, %s FROM %s", rows, strings.Join(sizes, " + "), schema.Quote(table)))
	if err != nil {
		return 0, 0, fmt.Errorf("measure %q: %w", table, err)
	}
	n, _ = answer.Values[0][0].(int64)
	bytes, _ = answer.Values[0][1].(int64)
	return n, bytes, nil
}

package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// The questions that describe every table of a database. They go through the
// pragmas' table-valued form, so that a database of a hundred tables takes four
// queries and not hundreds. The text of indexes is asked for by itself: joined to
// the third it is looked for in the whole schema, for each index anew.
const (
	columnsQuery = `SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
 FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
 WHERE m.type = 'table'%s ORDER BY m.name, c.cid`
	indexTextQuery = `SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
	indexesQuery   = `SELECT m.name, i.name, i."unique", i.partial, c.name
 FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_xinfo(i.name) c
 WHERE m.type = 'table'%s AND i.origin = 'c' AND c.key = 1 ORDER BY m.name, i.name, c.seqno`
	tablesQuery = `SELECT l.name, l.type, l.wr, m.sql
 FROM pragma_table_list l JOIN sqlite_master m ON m.type = 'table' AND m.name = l.name
 WHERE l.schema = 'main' ORDER BY l.name`
)

// Inspect returns the ordinary tables of a database, ordered by name: virtual
// tables, the tables behind them, the engine's and ours are left out. It is
// meant for a private copy of a tenant's schema (Master.Replay).
//
// Tables that were seen before, here or in another database, and whose text and
// that of their indexes is the same, are taken over as they are: nothing else
// makes a table what it is.
func Inspect(ctx context.Context, conn database.Conn, before ...Table) ([]Table, error) {
	in := inspector{byName: map[string]*Table{}, indexText: map[string]string{}, indexes: map[string]int{}, keys: map[string][]string{}}
	for _, step := range []struct {
		query string
		row   func([]any)
	}{{tablesQuery, in.table}, {indexTextQuery, in.textOfIndex}} {
		if err := in.ask(ctx, conn, step.row, step.query); err != nil {
			return nil, err
		}
	}
	tables := in.takeOver(before)
	only, names := in.only(len(tables))
	for _, step := range []struct {
		query string
		row   func([]any)
	}{{columnsQuery, in.column}, {indexesQuery, in.index}} {
		if len(in.byName) == 0 {
			break // all were seen before
		}
		if err := in.ask(ctx, conn, step.row, fmt.Sprintf(step.query, only), names...); err != nil {
			return nil, err
		}
	}
	for _, t := range in.byName {
		in.finish(t)
		tables = append(tables, *t)
	}
	slices.SortFunc(tables, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return tables, nil
}

type inspector struct {
	byName    map[string]*Table
	indexText map[string]string // by name
	indexes   map[string]int    // how many of them have a text, by table
	keys      map[string][]string
}

func (in *inspector) ask(ctx context.Context, conn database.Conn, tell func([]any), query string, args ...any) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("inspect schema: %w", err)
	}
	for _, row := range rows.Values {
		tell(row)
	}
	return nil
}

// takeOver returns those of the tables that are still as they were seen, and
// leaves the others to be asked for.
func (in *inspector) takeOver(before []Table) []Table {
	var same []Table
	for _, t := range before {
		now := in.byName[t.Name]
		changed := func(i Index) bool { return in.indexText[i.Name] != i.SQL }
		if now != nil && now.SQL == t.SQL && in.indexes[t.Name] == len(t.Indexes) && !slices.ContainsFunc(t.Indexes, changed) {
			same = append(same, t)
			delete(in.byName, t.Name)
		}
	}
	return same
}

// only narrows a question to the tables that are left, where they are few.
func (in *inspector) only(taken int) (condition string, names []any) {
	const few = 100
	if taken == 0 || len(in.byName) > few {
		return "", nil
	}
	for name := range in.byName {
		names = append(names, name)
	}
	return " AND m.name IN (?" + strings.Repeat(", ?", max(0, len(names)-1)) + ")", names
}

func (in *inspector) table(row []any) {
	name, kind := text(row[0]), text(row[1])
	if kind != "table" || strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(strings.ToLower(name), "_reconciler_") {
		return
	}
	sql := text(row[3])
	in.byName[name] = &Table{
		Name: name, SQL: sql, WithoutRowID: row[2] == int64(1),
		Sequence: strings.Contains(strings.ToUpper(sql), "AUTOINCREMENT"),
	}
}

func (in *inspector) column(row []any) {
	t := in.byName[text(row[0])]
	if t == nil || row[6] == int64(1) {
		return
	}
	t.Columns = append(t.Columns, Column{
		Name: text(row[1]), Type: text(row[2]), NotNull: row[3] == int64(1), Default: text(row[4]),
		Generated: row[6] != int64(0),
	})
	if pk, _ := row[5].(int64); pk > 0 {
		key := in.keys[t.Name]
		for len(key) < int(pk) {
			key = append(key, "")
		}
		key[pk-1] = text(row[1])
		in.keys[t.Name] = key
	}
}

func (in *inspector) textOfIndex(row []any) {
	in.indexText[text(row[0])] = text(row[2])
	in.indexes[text(row[1])]++
}

func (in *inspector) index(row []any) {
	t := in.byName[text(row[0])]
	if t == nil {
		return
	}
	name := text(row[1])
	if last := len(t.Indexes) - 1; last < 0 || t.Indexes[last].Name != name {
		index := Index{Name: name, Unique: row[2] == int64(1), SQL: in.indexText[name]}
		if row[3] == int64(1) {
			index.Where = predicateOf(index.SQL)
		}
		t.Indexes = append(t.Indexes, index)
	}
	column := "(expr)"
	if row[4] != nil {
		column = text(row[4])
	}
	last := &t.Indexes[len(t.Indexes)-1]
	last.Columns = append(last.Columns, column)
}

func (in *inspector) finish(t *Table) {
	t.PrimaryKey = in.keys[t.Name]
	for i := range t.Columns {
		if slices.Contains(t.PrimaryKey, t.Columns[i].Name) && t.WithoutRowID {
			t.Columns[i].NotNull = true
		}
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

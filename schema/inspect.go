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
 WHERE m.type = 'table' ORDER BY m.name, c.cid`
	indexTextQuery = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
	indexesQuery   = `SELECT m.name, i.name, i."unique", i.partial, c.name
 FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_xinfo(i.name) c
 WHERE m.type = 'table' AND i.origin = 'c' AND c.key = 1 ORDER BY m.name, i.name, c.seqno`
	tablesQuery = `SELECT l.name, l.type, l.wr, m.sql
 FROM pragma_table_list l JOIN sqlite_master m ON m.type = 'table' AND m.name = l.name
 WHERE l.schema = 'main' ORDER BY l.name`
)

// Inspect returns the ordinary tables of a database, ordered by name: virtual
// tables, the tables behind them, the engine's and ours are left out. It is
// meant for a private copy of a tenant's schema (Master.Replay).
func Inspect(ctx context.Context, conn database.Conn) ([]Table, error) {
	in := inspector{byName: map[string]*Table{}, indexText: map[string]string{}, keys: map[string][]string{}}
	for _, step := range []struct {
		query string
		row   func([]any)
	}{{tablesQuery, in.table}, {columnsQuery, in.column}, {indexTextQuery, in.textOfIndex}, {indexesQuery, in.index}} {
		rows, err := conn.Query(ctx, step.query)
		if err != nil {
			return nil, fmt.Errorf("inspect schema: %w", err)
		}
		for _, row := range rows.Values {
			step.row(row)
		}
	}
	tables := make([]Table, 0, len(in.byName))
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
	keys      map[string][]string
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

func (in *inspector) textOfIndex(row []any) { in.indexText[text(row[0])] = text(row[1]) }

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

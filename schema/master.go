package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// Master is the text of a database's schema: its sqlite_master, ordered by
// type and name, without the engine's tables and without ours.
type Master struct {
	Entries []Entry
	// Reconciled tells that the database has our bookkeeping tables.
	Reconciled bool
	// Filling tells that a fill has something in the database, which Entries
	// do not have.
	Filling     bool
	fingerprint string
}

// Entry is one row of sqlite_master.
type Entry struct {
	Type  string // index, table, trigger or view
	Name  string
	Table string // the table it belongs to; its own name for a table or view
	SQL   string
}

// masterQuery gives the whole schema. Rows without SQL are the implicit
// indexes of UNIQUE and PRIMARY KEY.
const masterQuery = `SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name`

// ReadMaster reads the schema text of conn in one query.
func ReadMaster(ctx context.Context, conn database.Conn) (Master, error) {
	rows, err := conn.Query(ctx, masterQuery)
	if err != nil {
		return Master{}, fmt.Errorf("read schema: %w", err)
	}
	m := Master{Entries: make([]Entry, 0, len(rows.Values))}
	size := 0
	for _, row := range rows.Values {
		for _, column := range row {
			size += len("12345 ") + len(text(column))
		}
	}
	whole := make([]byte, 0, size)
	for _, row := range rows.Values {
		e := Entry{Type: text(row[0]), Name: text(row[1]), Table: text(row[2]), SQL: text(row[3])}
		switch {
		case strings.HasPrefix(e.Table, "_reconciler_"):
			m.Reconciled = m.Reconciled || e.Name == "_reconciler_journal"
			m.Filling = m.Filling || e.Name == "_reconciler_fill"
			continue
		case e.Type == "trigger" && isFill(e.Name):
			m.Filling = true
			continue
		case strings.HasPrefix(e.Name, "sqlite_"):
			continue
		}
		if e.Type == "table" {
			var filled bool
			e.SQL, filled = withoutFills(e.SQL)
			m.Filling = m.Filling || filled
		}
		m.Entries = append(m.Entries, e)
		for _, part := range []string{e.Type, e.Name, e.Table, e.SQL} {
			whole = append(strconv.AppendInt(whole, int64(len(part)), 10), ' ')
			whole = append(whole, part...)
		}
	}
	sum := sha256.Sum256(whole)
	m.fingerprint = hex.EncodeToString(sum[:])
	return m, nil
}

// TextQuery gives, as one value, what Text gives for the same schema.
const TextQuery = `SELECT coalesce(group_concat(type || ' ' || name || ' ' || tbl_name || ' ' || sql, char(10)), '') FROM
 (SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL
 AND substr(tbl_name, 1, 12) <> '_reconciler_' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY type, name)`

// Text is the whole schema, for a comparison where no fingerprint can be
// computed: in SQL.
func (m Master) Text() string {
	var b strings.Builder
	for i, e := range m.Entries {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Type + " " + e.Name + " " + e.Table + " " + e.SQL)
	}
	return b.String()
}

// Fingerprint is sha256 in hex over the schema text. It depends on the
// history of the database, so equal fingerprints mean "exactly this schema
// was seen before", and different ones nothing.
func (m Master) Fingerprint() string { return m.fingerprint }

// Empty tells that the database has no table, view or trigger of anybody.
func (m Master) Empty() bool { return len(m.Entries) == 0 }

// Of returns the entries of a type, in order of name.
func (m Master) Of(kind string) []Entry {
	var of []Entry
	for _, e := range m.Entries {
		if e.Type == kind {
			of = append(of, e)
		}
	}
	return of
}

// Replay makes the same schema in an empty database: virtual tables first,
// because they create the tables that they are stored in.
func (m Master) Replay(ctx context.Context, conn database.Conn) error {
	var virtual, tables, rest []Entry
	for _, e := range m.Entries {
		switch {
		case e.Type == "table" && isVirtual(e.SQL):
			virtual = append(virtual, e)
		case e.Type == "table":
			tables = append(tables, e)
		}
	}
	for _, kind := range []string{"index", "view", "trigger"} {
		rest = append(rest, m.Of(kind)...)
	}
	for _, e := range append(append(virtual, tables...), rest...) {
		if _, err := conn.Exec(ctx, e.SQL); err != nil {
			if len(virtual) > 0 && strings.Contains(err.Error(), "already exists") {
				continue // a virtual table made it
			}
			return fmt.Errorf("copy schema: %s %q: %w", e.Type, e.Name, err)
		}
	}
	return nil
}

func isVirtual(sql string) bool {
	words := strings.Fields(strings.ToUpper(sql))
	return len(words) > 1 && words[0] == "CREATE" && words[1] == "VIRTUAL"
}

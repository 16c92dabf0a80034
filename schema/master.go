package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// Master is the text of a database's schema: its sqlite_master, ordered by
// type and name, without the engine's tables and without ours.
type Master struct {
	Entries []Entry
	// Reconciled tells that the database has our bookkeeping tables.
	Reconciled  bool
	fingerprint string
}

// Entry is one row of sqlite_master.
type Entry struct {
	Type  string // index, table, trigger or view
	Name  string
	Table string // the table it belongs to; its own name for a table or view
	SQL   string
}

// masterQuery gives the whole schema as one row, which costs a quarter of
// reading it row by row (measured). The text is hex so that nothing in it can
// be taken for a date or cut at a NUL.
const masterQuery = `SELECT
 (SELECT hex(json_group_array(json_array(type, name, tbl_name, sql))) FROM (
   SELECT type, name, tbl_name, sql FROM sqlite_master
   WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND tbl_name NOT LIKE '\_reconciler\_%' ESCAPE '\'
   ORDER BY type, name)),
 EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_reconciler_journal')`

// ReadMaster reads the schema text of conn in one query.
func ReadMaster(ctx context.Context, conn database.Conn) (Master, error) {
	rows, err := conn.Query(ctx, masterQuery)
	if err != nil {
		return Master{}, fmt.Errorf("read schema: %w", err)
	}
	text, _ := rows.Values[0][0].(string)
	raw, err := hex.DecodeString(text)
	if err != nil {
		return Master{}, fmt.Errorf("read schema: %w", err)
	}
	var lines [][4]string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return Master{}, fmt.Errorf("read schema: %w", err)
	}
	sum := sha256.Sum256(raw)
	m := Master{fingerprint: hex.EncodeToString(sum[:]), Reconciled: rows.Values[0][1] == int64(1)}
	for _, l := range lines {
		m.Entries = append(m.Entries, Entry{Type: l[0], Name: l[1], Table: l[2], SQL: l[3]})
	}
	return m, nil
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

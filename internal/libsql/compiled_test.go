package libsql_test

import (
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/internal/libsql"
)

// Statements that are kept compiled do what new ones would: after an error,
// after the schema has changed, with other arguments, and when more texts come
// than are kept. The connection closes all the same.
func TestKeptStatements(t *testing.T) {
	ctx := t.Context()
	conn, err := libsql.Open(ctx, filepath.Join(t.TempDir(), "a.db"), libsql.Options{Create: true, Statements: 2})
	if err != nil {
		t.Fatal(err)
	}
	exec := func(good bool, sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); (err == nil) != good {
			t.Errorf("%s %v: %v", sql, args, err)
		}
	}
	const insert = "INSERT INTO a (id, b) VALUES (?, ?)"
	exec(true, "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT)")
	exec(true, insert, int64(1), "one")
	exec(false, insert, int64(1), "again")
	exec(false, insert, int64(2))
	exec(true, "ALTER TABLE a ADD COLUMN c TEXT DEFAULT 'c'")
	exec(true, insert, int64(2), nil)
	for _, sql := range []string{"UPDATE a SET b = ? WHERE id = 2", "UPDATE a SET c = ? WHERE id = 1", "DELETE FROM a WHERE id > ?"} {
		exec(true, sql, int64(7))
		exec(true, sql, int64(8))
	}
	for range 2 {
		rows, err := conn.Query(ctx, "SELECT * FROM a WHERE id >= ? ORDER BY id", int64(1))
		if err != nil || len(rows.Values) != 2 || len(rows.Columns) != 3 || rows.Values[0][2] != "8" || rows.Values[1][1] != "8" {
			t.Errorf("got %v, %v", rows, err)
		}
		exec(true, "ALTER TABLE a RENAME COLUMN c TO d")
		exec(true, "ALTER TABLE a RENAME COLUMN d TO c")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

package libsql_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
)

func TestExamineCountsRows(t *testing.T) {
	c := memory(t)
	exec1(t, c, "CREATE TABLE a (x)")
	exec1(t, c, "INSERT INTO a VALUES (1), (2), (3)")
	exec1(t, c, "CREATE VIEW v AS SELECT x FROM a WHERE x > 1")
	for _, q := range []struct {
		sql   string
		limit int
		want  int
	}{
		{"SELECT x FROM a", 100, 3},
		{"SELECT x FROM a", 2, 2},
		{"SELECT x FROM a", 0, 0},
		{"SELECT x FROM v", 100, 2},
		{"VALUES (1), (2)", 100, 2},
		{"WITH n (x) AS (SELECT x FROM a WHERE x > 2) SELECT * FROM n -- those", 100, 1},
		{"WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT upper(x) FROM n;", 100, 9},
		{"SELECT * FROM a, json_each('[1,2]')", 100, 6},
	} {
		if got, err := c.Examine(t.Context(), q.sql, q.limit); err != nil || got != q.want {
			t.Errorf("%s: got %d rows, error %v, want %d", q.sql, got, err, q.want)
		}
	}
}

// What writes, looks elsewhere or changes the connection is refused before it
// runs, and the connection is as before.
func TestExamineOnlyReads(t *testing.T) {
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "a.db"), created)
	other := open(t, filepath.Join(dir, "b.db"), created)
	exec1(t, other, "CREATE TABLE secret (x)")
	exec1(t, c, "CREATE TABLE a (x)")
	exec1(t, c, "CREATE INDEX i ON a (x)")
	exec1(t, c, "INSERT INTO a VALUES (1)")
	for _, sql := range []string{
		"INSERT INTO a VALUES (2) RETURNING x",
		"WITH n AS (SELECT 1) DELETE FROM a RETURNING x",
		"UPDATE a SET x = 2 RETURNING x",
		"REPLACE INTO a VALUES (2)",
		"CREATE TABLE b (x)",
		"CREATE TEMP TABLE b (x)",
		"DROP TABLE a",
		"ATTACH '" + filepath.Join(dir, "b.db") + "' AS b",
		"DETACH main",
		"VACUUM INTO '" + filepath.Join(dir, "c.db") + "'",
		"BEGIN", "SAVEPOINT s", "ANALYZE", "REINDEX",
		"PRAGMA user_version = 7", "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON",
		"EXPLAIN DELETE FROM a",
		"SELECT * FROM pragma_table_info('a')",
		"SELECT * FROM pragma_user_version",
		"SELECT load_extension('x')",
		"SELECT 1; SELECT 2", "SELECT ?", "SELECT :name", "", "-- nothing",
		"SELECT * FROM nowhere", "SELECT nothing FROM a", "SELEC",
		"SELECT zeroblob(100000000)",
	} {
		if n, err := c.Examine(t.Context(), sql, 10); err == nil {
			t.Errorf("%s: got %d rows and no error", sql, n)
		}
	}
	if _, err := c.Examine(t.Context(), "SELECT count(*) FROM Pragma_table_info('a')", 0); err == nil {
		t.Error("a pragma's function is only refused when it runs")
	}
	answers(t, c, "SELECT x FROM a", []any{int64(1)})
	answers(t, c, "SELECT count(*) FROM sqlite_master", []any{int64(2)})
	answers(t, c, "PRAGMA user_version", []any{int64(0)})
	exec1(t, c, "INSERT INTO a VALUES (2)")
	answers(t, c, "SELECT length(zeroblob(100000000))", []any{int64(100000000)})
}

func TestExamineEndsWithItsContext(t *testing.T) {
	c := memory(t)
	for name, sql := range map[string]string{
		"without a row":  "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n WHERE x < 0",
		"while it sorts": "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n ORDER BY x % 7",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := c.Examine(ctx, sql, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the context", err)
			}
			exec1(t, c, "CREATE TABLE IF NOT EXISTS a (x)") // the interruption was for the one statement
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Examine(ended, "SELECT 1", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestExamineReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE a (x)")
	closed(t, c)
	c = open(t, path, libsql.Options{ReadOnly: true})
	if n, err := c.Examine(t.Context(), "SELECT x FROM a", 1); n != 0 || err != nil {
		t.Errorf("got %d rows, error %v", n, err)
	}
	closed(t, c)
	if _, err := c.Examine(t.Context(), "SELECT 1", 1); err == nil {
		t.Error("a closed connection: got no error")
	}
}

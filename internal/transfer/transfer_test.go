package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/transfer"
)

// shapes is a database with everything that a copy can get wrong.
var shapes = []string{
	"CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE UNIQUE)",
	`CREATE TABLE "child ""x" (ref INTEGER REFERENCES parent (id), n REAL, b BLOB, twice AS (n * 2) STORED, CHECK (n < 1000))`,
	"CREATE TABLE keyed (a TEXT COLLATE NOCASE, b INTEGER, v, PRIMARY KEY (a, b DESC)) WITHOUT ROWID",
	"CREATE TABLE hiding (rowid TEXT, v ANY) STRICT",
	"CREATE VIRTUAL TABLE search USING fts5 (body)",
	"CREATE INDEX by_n ON \"child \"\"x\" (n) WHERE n > 1",
	"CREATE VIEW names AS SELECT name FROM parent -- of parents",
	"CREATE TABLE log (what)",
	"CREATE TRIGGER told AFTER INSERT ON parent BEGIN INSERT INTO log VALUES (NEW.name); END",
	"INSERT INTO parent (name) VALUES ('Ada'), ('Bo'), ('gone')",
	"DELETE FROM parent WHERE name = 'gone'",
	`INSERT INTO "child ""x" (rowid, ref, n, b) VALUES (7, 1, 1.5, x'00ff'), (9, 2, 2, NULL), (-3, NULL, -0.25, x'')`,
	"INSERT INTO keyed VALUES ('a', 1, 'x'), ('A', 2, 'y'), ('b', 1, 9007199254740993)",
	"INSERT INTO hiding (_rowid_, rowid, v) VALUES (5, 'r', 'x')",
	"INSERT INTO search VALUES ('the quick brown fox'), ('jumps')",
	"PRAGMA user_version = 42",
}

// read is all that a database holds, as text.
func read(t testing.TB, conn database.Conn) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, sql := range []string{
		"SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name",
		"SELECT * FROM parent ORDER BY id", `SELECT rowid, * FROM "child ""x" ORDER BY rowid`, "SELECT * FROM keyed", "SELECT _rowid_, * FROM hiding",
		"SELECT rowid, * FROM search WHERE search MATCH 'fox'", "SELECT * FROM log", "SELECT * FROM sqlite_sequence", "PRAGMA user_version",
		"SELECT count(*) FROM many", "SELECT * FROM names",
	} {
		rows, err := conn.Query(t.Context(), sql)
		must(t, err)
		all[sql] = rows.Values
	}
	return all
}

// fill makes the shapes, and a table of more rows than are read at a time.
func fill(t testing.TB, conn database.Conn) {
	t.Helper()
	for _, sql := range append(shapes, "CREATE TABLE many (a, b)",
		"INSERT INTO many WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1501) SELECT i, 'row' || i FROM n") {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
}

// wantCopy copies a database and compares.
func wantCopy(t *testing.T, from database.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, transfer.Copy(t.Context(), from, path))
	copied, err := libsql.Open(t.Context(), path, libsql.Options{ReadOnly: true})
	must(t, err)
	defer copied.Close()
	must(t, libsql.QuickCheck(t.Context(), copied))
	if diff := cmp.Diff(read(t, copied), read(t, from)); diff != "" {
		t.Errorf("the copy is another one (-got +want)\n%s", diff)
	}
}

func TestCopy(t *testing.T) {
	from, err := libsql.OpenMemory(t.Context())
	must(t, err)
	defer from.Close()
	fill(t, from)
	wantCopy(t, from)
}

func TestCopyOfNothing(t *testing.T) {
	from, err := libsql.OpenMemory(t.Context())
	must(t, err)
	defer from.Close()
	must(t, transfer.Copy(t.Context(), from, filepath.Join(t.TempDir(), "copy.db")))
}

// A copy that fails, at any statement, leaves no file and no transaction.
func TestCopyFails(t *testing.T) {
	from, err := libsql.OpenMemory(t.Context())
	must(t, err)
	defer from.Close()
	fill(t, from)
	for n := range 150 {
		path := filepath.Join(t.TempDir(), "copy.db")
		failing := &failing{Conn: from, left: n}
		err := transfer.Copy(t.Context(), failing, path)
		if failing.left >= 0 {
			must(t, err)
			return // it needs no more statements than that
		}
		if !errors.Is(err, errBroken) {
			t.Fatalf("statement %d: got %v, want the failure", n, err)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) > 0 {
			t.Errorf("statement %d: got files %v, %v; want none", n, files, err)
		}
		_, _ = from.Exec(t.Context(), "ROLLBACK") // of the statement that was to do it
	}
	t.Error("a copy needs more than 150 statements")
}

var errBroken = errors.New("broken")

type failing struct {
	database.Conn
	left int
}

func (f *failing) fails(sql string) error {
	if f.left--; f.left == -1 {
		return fmt.Errorf("%w at %s", errBroken, sql)
	}
	return nil
}

func (f *failing) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	if err := f.fails(sql); err != nil {
		return database.Rows{}, err
	}
	return f.Conn.Query(ctx, sql, args...)
}

func (f *failing) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := f.fails(sql); err != nil {
		return 0, err
	}
	return f.Conn.Exec(ctx, sql, args...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

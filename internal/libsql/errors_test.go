package libsql_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestConstraintErrors(t *testing.T) {
	c := memory(t)
	for _, sql := range []string{
		"CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b NOT NULL DEFAULT 1, c CHECK (c > 0), d, e, \"f g\", UNIQUE (d, e))",
		"CREATE UNIQUE INDEX lower_f ON t (lower(\"f g\"))",
		"CREATE TABLE k (id TEXT PRIMARY KEY) WITHOUT ROWID",
		"CREATE TABLE strict (a INTEGER) STRICT",
		"CREATE TABLE child (t REFERENCES t (id))",
		"CREATE TRIGGER closed BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'books are closed'); END",
		"INSERT INTO t (id, a, d, e, \"f g\") VALUES (1, 'x', 1, 2, 'X')",
		"INSERT INTO k VALUES ('x')",
	} {
		exec1(t, c, sql)
	}
	tests := map[string]struct {
		sql  string
		want database.ConstraintError
		text string
	}{
		"unique":                 {"INSERT INTO t (a) VALUES ('x')", database.ConstraintError{Kind: "unique", Table: "t", Columns: []string{"a"}}, "UNIQUE"},
		"unique over two":        {"INSERT INTO t (d, e) VALUES (1, 2)", database.ConstraintError{Kind: "unique", Table: "t", Columns: []string{"d", "e"}}, "UNIQUE"},
		"unique by expression":   {"INSERT INTO t (\"f g\") VALUES ('x')", database.ConstraintError{Kind: "unique"}, "lower_f"},
		"not null":               {"INSERT INTO t (b) VALUES (NULL)", database.ConstraintError{Kind: "notnull", Table: "t", Columns: []string{"b"}}, "NOT NULL"},
		"check":                  {"INSERT INTO t (c) VALUES (0)", database.ConstraintError{Kind: "check"}, "c > 0"},
		"primary key, a row id":  {"INSERT INTO t (id) VALUES (1)", database.ConstraintError{Kind: "primarykey", Table: "t", Columns: []string{"id"}}, "UNIQUE"},
		"primary key, any other": {"INSERT INTO k VALUES ('x')", database.ConstraintError{Kind: "primarykey", Table: "k", Columns: []string{"id"}}, "UNIQUE"},
		"foreign key":            {"INSERT INTO child VALUES (7)", database.ConstraintError{Kind: "foreignkey"}, "FOREIGN KEY"},
		"raise":                  {"DELETE FROM t", database.ConstraintError{Kind: "other"}, "books are closed"},
		"strict type":            {"INSERT INTO strict VALUES ('x')", database.ConstraintError{Kind: "other"}, "cannot store TEXT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Exec(t.Context(), test.sql)
			var got *database.ConstraintError
			if !errors.As(err, &got) || !errors.Is(err, database.ErrConstraint) {
				t.Fatalf("got %v, want a ConstraintError", err)
			}
			if diff := cmp.Diff(test.want, *got, cmpopts.IgnoreFields(database.ConstraintError{}, "Err")); diff != "" {
				t.Errorf("constraint (-want +got):\n%s", diff)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %q, want it to say %q", err, test.text)
			}
		})
	}
}

// TestErrors provokes each failure that has a sentinel and needs no other
// process.
func TestErrors(t *testing.T) {
	tests := map[string]struct {
		provoke func(t *testing.T) error
		want    error
	}{
		"a write through a read-only connection": {func(t *testing.T) error {
			path := file(t)
			closed(t, open(t, path, created))
			_, err := open(t, path, libsql.Options{ReadOnly: true}).Exec(t.Context(), "CREATE TABLE t (a)")
			return err
		}, database.ErrReadOnly},
		"a full database": {func(t *testing.T) error {
			c := open(t, file(t), created)
			exec1(t, c, "CREATE TABLE t (a)")
			exec1(t, c, "PRAGMA max_page_count = 4")
			_, err := c.Exec(t.Context(), "INSERT INTO t VALUES (randomblob(100000))")
			return err
		}, database.ErrFull},
		"another file": {func(t *testing.T) error {
			path := file(t)
			if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := libsql.Open(t.Context(), path, libsql.Options{})
			return err
		}, database.ErrNotADB},
		"an overwritten schema": {func(t *testing.T) error {
			path := damaged(t, 0, 100) // behind the file's header
			_, err := libsql.Open(t.Context(), path, libsql.Options{})
			return err
		}, database.ErrCorrupt},
		"an overwritten page": {func(t *testing.T) error {
			_, err := open(t, damaged(t, 1, 0), libsql.Options{}).Query(t.Context(), "SELECT * FROM t")
			return err
		}, database.ErrCorrupt},
		"a file cut short": {func(t *testing.T) error {
			path := damaged(t, 1, 0)
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
			_, err := libsql.Open(t.Context(), path, libsql.Options{})
			return err
		}, database.ErrCorrupt},
		"a lock of another connection": {func(t *testing.T) error {
			path := file(t)
			closed(t, open(t, path, created))
			holder := memory(t) // a second handle, which ATTACH opens past the claim on the file
			exec1(t, holder, "ATTACH ? AS other", path)
			exec1(t, holder, "CREATE TABLE other.t (a)")
			exec1(t, holder, "BEGIN IMMEDIATE")
			exec1(t, holder, "INSERT INTO other.t VALUES (1)")
			c := open(t, path, libsql.Options{BusyTimeout: time.Millisecond})
			_, err := c.Exec(t.Context(), "BEGIN IMMEDIATE")
			closed(t, c)
			return err
		}, database.ErrBusy},
		"an attached file that is missing": {func(t *testing.T) error {
			_, err := memory(t).Exec(t.Context(), "ATTACH ? AS other", file(t))
			return err
		}, database.ErrMissing},
		"a table in a shared cache that another connection locked": {func(t *testing.T) error {
			a, b := memory(t), memory(t)
			for _, c := range []*libsql.Conn{a, b} {
				exec1(t, c, "ATTACH 'file:shared?mode=memory&cache=shared' AS shared")
			}
			exec1(t, a, "CREATE TABLE shared.t (a)")
			exec1(t, a, "BEGIN IMMEDIATE")
			exec1(t, a, "INSERT INTO shared.t VALUES (1)")
			_, err := b.Query(t.Context(), "SELECT * FROM shared.t")
			return err
		}, database.ErrBusy},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.provoke(t)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strings.Count(err.Error(), test.want.Error()) > 1 {
				t.Errorf("got %q, which says it twice", err)
			}
		})
	}
}

// damaged makes a database of several pages and overwrites 500 bytes of one.
func damaged(t *testing.T, page, offset int64) string {
	t.Helper()
	path := file(t)
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE t (a)")
	exec1(t, c, "INSERT INTO t VALUES (randomblob(10000)), (2)")
	closed(t, c)
	raw, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.WriteAt(bytes.Repeat([]byte{0xee}, 500), page*4096+offset); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

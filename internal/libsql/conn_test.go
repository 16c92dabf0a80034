package libsql_test

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestValuesComeBackAsTheyWent(t *testing.T) {
	values := map[string]any{
		"null":                 nil,
		"smallest integer":     int64(math.MinInt64),
		"largest integer":      int64(math.MaxInt64),
		"float":                1.5,
		"whole float":          float64(3),
		"infinity":             math.Inf(-1),
		"empty text":           "",
		"text":                 "größe 日本 😀",
		"number in text":       "0123",
		"date in text":         "2024-01-02",
		"time in text":         "2024-01-02 03:04",
		"time with zone":       "2024-01-02T03:04:05.123456789+02:00",
		"time, trailing zeros": "2024-01-02T03:04:05.100Z",
		"empty blob":           []byte{},
		"blob with zeros":      []byte{0, 1, 0},
		"long text":            strings.Repeat("abc", 1<<20),
	}
	c := memory(t)
	exec1(t, c, "CREATE TABLE t (a)")
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			exec1(t, c, "DELETE FROM t")
			exec1(t, c, "INSERT INTO t VALUES (?)", value)
			if diff := cmp.Diff([][]any{{value}}, query(t, c, "SELECT a FROM t")); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([][]any{{value}}, query(t, c, "SELECT ?", value)); diff != "" {
				t.Errorf("computed (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a bool is an integer", func(t *testing.T) {
		if diff := cmp.Diff([][]any{{int64(1), int64(0)}}, query(t, c, "SELECT ?, ?", true, false)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what others stored is not repaired", func(t *testing.T) {
		answers(t, c, "SELECT CAST(x'61006280' AS TEXT)", []any{"a\x00b\x80"})
	})
}

func TestArgumentsRefused(t *testing.T) {
	tests := map[string]struct {
		sql  string
		args []any
		says string
	}{
		"too few":                {"SELECT ?, ?", []any{int64(1)}, "2 parameters and got 1"},
		"too many":               {"SELECT ?", []any{int64(1), int64(2)}, "1 parameters and got 2"},
		"for no parameter":       {"SELECT '?'", []any{int64(1)}, "0 parameters and got 1"},
		"fewer than numbered":    {"SELECT ?3", []any{int64(1)}, "3 parameters and got 1"},
		"a named parameter":      {"SELECT :a", []any{int64(1)}, "parameter :a is named; use ?"},
		"a named argument":       {"SELECT ?", []any{sql.Named("a", 1)}, "argument 1: is a sql.NamedArg"},
		"an int":                 {"SELECT ?", []any{1}, "argument 1: is a int; give nil, int64"},
		"an unsigned":            {"SELECT ?, ?", []any{nil, uint64(1)}, "argument 2: is a uint64"},
		"not a number":           {"SELECT ?", []any{math.NaN()}, "would store as NULL"},
		"a zero byte in text":    {"SELECT ?", []any{"ab\x00c"}, "zero byte at offset 2"},
		"text that is not UTF-8": {"SELECT ?", []any{"\xff"}, "not valid UTF-8"},
	}
	c := memory(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Query(t.Context(), test.sql, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
	t.Run("a numbered parameter counts once", func(t *testing.T) {
		if diff := cmp.Diff([][]any{{"a", "b", "a"}}, query(t, c, "SELECT ?1, ?2, ?1", "a", "b")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneStatementACall(t *testing.T) {
	c := memory(t)
	for name, sql := range map[string]string{
		"two statements":            "CREATE TABLE a (x); CREATE TABLE b (x)",
		"a second one unfinished":   "CREATE TABLE a (x); SELECT 'b",
		"an empty text":             "",
		"a comment":                 "-- CREATE TABLE a (x)",
		"a zero byte in the middle": "CREATE TABLE a (x)\x00; CREATE TABLE b (x)",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.Exec(t.Context(), sql); err == nil {
				t.Error("got no error")
			}
			answers(t, c, "SELECT count(*) FROM sqlite_master", []any{int64(0)})
		})
	}
	t.Run("what follows may be nothing", func(t *testing.T) {
		exec1(t, c, "CREATE TABLE a (x) ; ; -- the end")
	})
	t.Run("a trigger is one statement", func(t *testing.T) {
		exec1(t, c, "CREATE TRIGGER tr AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT ';'; END;")
	})
}

func TestExecCountsTheRowsItChanged(t *testing.T) {
	c := memory(t)
	exec1(t, c, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	exec1(t, c, "CREATE TABLE child (parent REFERENCES parent ON DELETE CASCADE)")
	exec1(t, c, "CREATE TABLE log (a)")
	exec1(t, c, "CREATE TRIGGER tr AFTER INSERT ON parent BEGIN INSERT INTO log VALUES (new.id); END")
	for _, step := range []struct {
		sql  string
		want int64
	}{
		{"INSERT INTO parent VALUES (1), (2), (3)", 3},
		{"CREATE TABLE other (a)", 0}, // and not the 3 before it
		{"INSERT INTO child VALUES (1), (1)", 2},
		{"INSERT OR IGNORE INTO parent VALUES (1)", 0},
		{"INSERT INTO log VALUES (9) RETURNING a", 1},
		{"SELECT * FROM parent", 0},
		{"ALTER TABLE other ADD COLUMN b", 0},
		{"DELETE FROM parent WHERE id = 1", 1},
		{"PRAGMA user_version = 7", 0},
		{"DELETE FROM log", 4},
	} {
		if got := exec1(t, c, step.sql); got != step.want {
			t.Errorf("%s: got %d rows, want %d", step.sql, got, step.want)
		}
	}
}

func TestQueryNamesColumns(t *testing.T) {
	c := memory(t)
	exec1(t, c, `CREATE TABLE t (a, "b c")`)
	rows, err := c.Query(t.Context(), `SELECT *, 1 AS one FROM t`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(database.Rows{Columns: []string{"a", "b c", "one"}}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestQueryReportsAnErrorAfterTheFirstRow(t *testing.T) {
	c := memory(t)
	rows, err := c.Query(t.Context(), "SELECT abs(column1) FROM (VALUES (1), (-9223372036854775807 - 1))")
	if err == nil || !strings.Contains(err.Error(), "integer overflow") {
		t.Errorf("got %v, want an integer overflow", err)
	}
	if rows.Values != nil {
		t.Errorf("got %v, want no rows with an error", rows.Values)
	}
}

// TestSchemaChangedElsewhere reads with a statement that was compiled for the
// schema before a change: its columns are those of the answer.
func TestSchemaChangedElsewhere(t *testing.T) {
	path := file(t)
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE t (a)")
	exec1(t, c, "INSERT INTO t VALUES (1)")
	answers(t, c, "SELECT * FROM t", []any{int64(1)})
	changed := memory(t) // a second handle, which ATTACH opens past the claim on the file
	exec1(t, changed, "ATTACH ? AS other", path)
	exec1(t, changed, "ALTER TABLE other.t ADD COLUMN b DEFAULT 2")
	closed(t, changed)
	rows, err := c.Query(t.Context(), "SELECT * FROM t")
	if err != nil {
		t.Fatal(err)
	}
	want := database.Rows{Columns: []string{"a", "b"}, Values: [][]any{{int64(1), int64(2)}}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestCloseRollsBack(t *testing.T) {
	path := file(t)
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE t (a)")
	exec1(t, c, "BEGIN IMMEDIATE")
	exec1(t, c, "INSERT INTO t VALUES (1)")
	closed(t, c)
	closed(t, c)
	answers(t, open(t, path, libsql.Options{}), "SELECT * FROM t")
}

func TestAfterClose(t *testing.T) {
	c := memory(t)
	closed(t, c)
	_, execErr := c.Exec(t.Context(), "SELECT 1")
	_, queryErr := c.Query(t.Context(), "SELECT 1")
	_, batchErr := c.Batch(t.Context(), nil)
	for _, err := range []error{execErr, queryErr, batchErr} {
		if !errors.Is(err, database.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestContextIsLookedAtBeforeAStatement(t *testing.T) {
	c := memory(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Exec(ctx, "CREATE TABLE t (a)"); !errors.Is(err, context.Canceled) {
		t.Errorf("Exec: got %v, want it cancelled", err)
	}
	if _, err := c.Query(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Query: got %v, want it cancelled", err)
	}
	if _, err := c.Batch(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Batch: got %v, want it cancelled", err)
	}
	answers(t, c, "SELECT count(*) FROM sqlite_master", []any{int64(0)})
}

// TestGoroutinesTakeTurns closes a connection that many goroutines still use:
// each call is answered, or ErrClosed.
func TestGoroutinesTakeTurns(t *testing.T) {
	c := memory(t)
	exec1(t, c, "CREATE TABLE t (a)")
	started := make(chan struct{})
	var once sync.Once
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				_, err := c.Exec(context.Background(), "INSERT INTO t VALUES (1)")
				once.Do(func() { close(started) })
				if errors.Is(err, database.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	<-started
	closed(t, c)
	group.Wait()
}

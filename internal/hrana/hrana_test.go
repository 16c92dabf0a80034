package hrana_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// place is a namespace of the server, and how to reach it.
func place(t *testing.T) (*sqldtest.Server, hrana.Options) {
	t.Helper()
	s := sqldtest.Start(t)
	return s, hrana.Options{URL: s.URL, Host: sqldtest.Host(s.Namespace(t))}
}

func open(t *testing.T, o hrana.Options) *hrana.Conn {
	t.Helper()
	c, err := hrana.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func exec(t *testing.T, c database.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	_, o := place(t)
	c := open(t, o)
	exec(t, c, "CREATE TABLE t (n INTEGER PRIMARY KEY, v ANY) STRICT")
	values := []any{
		nil, int64(math.MaxInt64), int64(math.MinInt64), 1.5, -0.25, 1e300, "", "2024-01-02", "naïve 😀 \"'\\",
		[]byte{},
		[]byte{0, 1, 255},
		"\u2028<&>", 3.0,
	}
	for i, v := range values {
		n, err := c.Exec(t.Context(), "INSERT INTO t VALUES (?, ?)", int64(i), v)
		if err != nil || n != 1 {
			t.Fatalf("insert %v: %d %v", v, n, err)
		}
	}
	rows, err := c.Query(t.Context(), "SELECT v AS value FROM t ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	want := database.Rows{Columns: []string{"value"}}
	for _, v := range values {
		want.Values = append(want.Values, []any{v})
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

func TestTextOfStatementsIsKept(t *testing.T) {
	_, o := place(t)
	c := open(t, o)
	sql := "CREATE  TABLE \"t\" ( a,-- one\n\tb   TEXT  DEFAULT 'x;y' )"
	exec(t, c, sql)
	rows, err := c.Query(t.Context(), "SELECT sql FROM sqlite_master")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rows.Values[0][0], strings.Replace(sql, "CREATE  TABLE", "CREATE TABLE", 1); got != want {
		t.Errorf("the server keeps %q, want %q", got, want)
	}
}

func TestWhatIsRefused(t *testing.T) {
	_, o := place(t)
	c := open(t, o)
	exec(t, c, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c CHECK (c > 0), d NOT NULL DEFAULT 1)", "INSERT INTO t VALUES (1, 'x', 1, 1)")
	tests := map[string]struct {
		sql  string
		args []any
		says string
	}{
		"two statements":      {sql: "SELECT 1; SELECT 2", says: "more than one statement"},
		"no statement":        {sql: " -- nothing", says: "does not contain any statement"},
		"a zero byte":         {sql: "SELECT '\x00'", says: "zero byte"},
		"too few arguments":   {sql: "SELECT ?, ?", args: []any{int64(1)}, says: "2 parameters and got 1"},
		"too many arguments":  {sql: "SELECT ?", args: []any{nil, nil}, says: "1 parameters and got 2"},
		"a named parameter":   {sql: "SELECT :a", args: []any{nil}, says: "is named"},
		"another type":        {sql: "SELECT ?", args: []any{3}, says: "is a int"},
		"not a number":        {sql: "SELECT ?", args: []any{math.NaN()}, says: "not a number"},
		"a syntax error":      {sql: "SELEC", says: "syntax error"},
		"an unknown table":    {sql: "SELECT * FROM nope", says: "no such table: nope"},
		"what sqld forbids":   {sql: "VACUUM", says: "unsupported statement"},
		"an unknown function": {sql: "SELECT nope(1)", says: "no such function"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Query(t.Context(), test.sql, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	broken := map[string]database.ConstraintError{
		"INSERT INTO t VALUES (1, 'y', 1, 1)":    {Kind: "unique", Table: "t", Columns: []string{"a"}},
		"INSERT INTO t VALUES (2, 'x', 1, 1)":    {Kind: "unique", Table: "t", Columns: []string{"b"}},
		"INSERT INTO t VALUES (2, 'y', 0, 1)":    {Kind: "check"},
		"INSERT INTO t VALUES (2, 'y', 1, NULL)": {Kind: "notnull", Table: "t", Columns: []string{"d"}},
	}
	for sql, want := range broken {
		_, err := c.Exec(t.Context(), sql)
		var got *database.ConstraintError
		if !errors.As(err, &got) || !errors.Is(err, database.ErrConstraint) {
			t.Fatalf("%s: %v", sql, err)
		}
		got.Err = nil
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s: %s", sql, diff)
		}
	}
}

func TestTransactionBelongsToItsConnection(t *testing.T) {
	_, o := place(t)
	a, b := open(t, o), open(t, o)
	exec(t, a, "CREATE TABLE t (a)", "BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)")
	rows, err := b.Query(t.Context(), "SELECT count(*) FROM t")
	if err != nil || rows.Values[0][0] != int64(0) {
		t.Fatalf("another connection sees %v %v", rows.Values, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Exec(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	exec(t, b, "BEGIN IMMEDIATE", "INSERT INTO t VALUES (2)", "COMMIT")
	if rows, err = b.Query(t.Context(), "SELECT a FROM t"); err != nil || len(rows.Values) != 1 || rows.Values[0][0] != int64(2) {
		t.Errorf("got %v %v, want the committed row alone", rows.Values, err)
	}
}

func TestSettingsLastUntilClose(t *testing.T) {
	_, o := place(t)
	c := open(t, o)
	exec(t, c, "PRAGMA foreign_keys = OFF")
	rows, err := c.Query(t.Context(), "PRAGMA foreign_keys")
	if err != nil || rows.Values[0][0] != int64(0) {
		t.Errorf("got %v %v", rows.Values, err)
	}
}

func TestBatchRunsInOneRequest(t *testing.T) {
	s, o := place(t)
	p := s.Proxy(t, func(int, *http.Request, string) sqldtest.Fault { return sqldtest.None })
	o.URL = p.URL
	c := open(t, o)
	ok := func(i int) *database.Condition { return &database.Condition{OK: &i} }
	steps := func(middle string) []database.Step {
		return []database.Step{
			{Statement: database.Statement{SQL: "BEGIN IMMEDIATE"}},
			{Statement: database.Statement{SQL: "CREATE TABLE t (a)"}, When: ok(0)},
			{Statement: database.Statement{SQL: middle, Args: []any{"x"}}, When: ok(1)},
			{Statement: database.Statement{SQL: "COMMIT"}, When: ok(2)},
			{Statement: database.Statement{SQL: "ROLLBACK"}, When: &database.Condition{Not: &database.Condition{IsAutocommit: true}}},
		}
	}
	results, err := c.Batch(t.Context(), steps("INSERT INTO nope VALUES (?)"))
	if err != nil || results[2].Err == nil || !results[3].Skipped || results[4].Skipped {
		t.Fatalf("a failed batch: %+v %v", results, err)
	}
	results, err = c.Batch(t.Context(), steps("INSERT INTO t VALUES (?)"))
	if err != nil || results[2].RowsAffected != 1 || results[3].Skipped || !results[4].Skipped {
		t.Fatalf("a batch: %+v %v", results, err)
	}
	brief := steps("INSERT INTO t VALUES (?)")
	for i := range brief {
		brief[i].Brief = true // the second CREATE TABLE fails
	}
	results, err = c.Batch(t.Context(), brief)
	if err != nil || results[0].Skipped || results[0].Err != nil || results[1].Err == nil || !results[2].Skipped || results[4].Skipped {
		t.Fatalf("a batch of which little is asked: %+v %v", results, err)
	}
	if p.Requests() != 3 {
		t.Errorf("%d requests for 3 batches", p.Requests())
	}
	bad := 5
	if _, err := c.Batch(t.Context(), []database.Step{{When: &database.Condition{OK: &bad}}}); err == nil {
		t.Error("a malformed condition is sent")
	}
}

func TestExamineOnlyReads(t *testing.T) {
	_, o := place(t)
	c := open(t, o)
	exec(t, c, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2), (3)")
	for sql, want := range map[string]int{"SELECT a FROM t": 2, "WITH x AS (SELECT 1) SELECT * FROM x -- end": 1, "VALUES (1)": 1, "SELECT ')' WHERE 0": 0} {
		if n, err := c.Examine(t.Context(), sql, 2); err != nil || n != want {
			t.Errorf("%s: got %d %v, want %d", sql, n, err, want)
		}
	}
	for _, sql := range []string{
		"INSERT INTO t VALUES (4)", "WITH x AS (SELECT 1) DELETE FROM t", "PRAGMA user_version = 3", "SELECT * FROM pragma_table_info('t')",
		"SELECT * FROM \"pragma_table_info\"('t')", "EXPLAIN SELECT 1", "SELECT 1) UNION SELECT (2", "SELECT 1; SELECT 2", "SELECT ?", "BEGIN", "SELECT nope", "",
	} {
		if n, err := c.Examine(t.Context(), sql, 2); err == nil {
			t.Errorf("%s: gives %d", sql, n)
		}
	}
	rows, err := c.Query(t.Context(), "SELECT count(*) FROM t")
	if err != nil || rows.Values[0][0] != int64(3) {
		t.Errorf("got %v %v, want 3 rows as before", rows.Values, err)
	}
}

func TestBlockedNamespaceIsReadOnly(t *testing.T) {
	s, o := place(t)
	c := open(t, o)
	exec(t, c, "CREATE TABLE t (a)")
	namespace, _, _ := strings.Cut(o.Host, ".")
	if err := s.Configure(t.Context(), namespace, `{"block_reads":false,"block_writes":true,"block_reason":"suspended","allow_attach":false}`); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)"); !errors.Is(err, database.ErrReadOnly) {
		t.Errorf("got %v", err)
	}
}

// TestFaults meets every fault of the network, on a single statement and in
// the middle of a transaction.
func TestFaults(t *testing.T) {
	s, o := place(t)
	var fault atomic.Int32
	p := s.Proxy(t, func(_ int, r *http.Request, _ string) sqldtest.Fault { return sqldtest.Fault(fault.Load()) })
	exec(t, open(t, o), "CREATE TABLE t (a)")
	o.URL = p.URL
	for name, f := range map[string]sqldtest.Fault{
		"drop": sqldtest.Drop, "refuse": sqldtest.Refuse, "unavailable": sqldtest.Unavailable, "expired": sqldtest.Expired,
		"missing": sqldtest.Missing, "broken": sqldtest.Broken, "lost": sqldtest.Lost, "redirect": sqldtest.Redirect,
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, o)
			fault.Store(int32(f))
			_, err := c.Exec(t.Context(), "SELECT 1")
			fault.Store(int32(sqldtest.None))
			if !errors.Is(err, database.ErrAway) || strings.Contains(err.Error(), "/v3/") {
				t.Errorf("got %v", err)
			}
			if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Errorf("a single statement after it: %v", err)
			}
			exec(t, c, "BEGIN", "SELECT * FROM t") // a write would hold the lock when its answer is lost
			fault.Store(int32(f))
			_, err = c.Exec(t.Context(), "SELECT 2")
			fault.Store(int32(sqldtest.None))
			if !errors.Is(err, database.ErrAway) {
				t.Errorf("in a transaction: %v", err)
			}
			if _, err := c.Exec(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrAway) {
				t.Errorf("a connection whose stream is lost goes on: %v", err)
			}
		})
	}
	var once atomic.Bool
	q := s.Proxy(t, func(int, *http.Request, string) sqldtest.Fault {
		if once.CompareAndSwap(false, true) {
			return sqldtest.Missing
		}
		return sqldtest.None
	})
	o.URL = q.URL
	if _, err := open(t, o).Exec(t.Context(), "SELECT 1"); err != nil || q.Requests() != 2 {
		t.Errorf("one spurious 404 is not outlived: %v after %d requests", err, q.Requests())
	}
}

func TestContextEndsACall(t *testing.T) {
	s, o := place(t)
	p := s.Proxy(t, func(_ int, r *http.Request, _ string) sqldtest.Fault {
		<-r.Context().Done() // a server that does not answer
		return sqldtest.Refuse
	})
	o.URL = p.URL
	c := open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Query(ctx, "SELECT 1")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, database.ErrAway) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Query(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an ended context: %v", err)
	}
}

func TestAnswersHaveALimit(t *testing.T) {
	_, o := place(t)
	o.MaxResponse = 10_000
	c := open(t, o)
	var large *hrana.LargeError
	if _, err := c.Query(t.Context(), "SELECT hex(zeroblob(20000))"); !errors.As(err, &large) {
		t.Errorf("got %v", err)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	for name, url := range map[string]string{"refused": "http://127.0.0.1:1", "no such host": "https://nowhere.invalid"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, hrana.Options{URL: url})
			if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrAway) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"libsql://acme-org.turso.io":   "https://acme-org.turso.io",
		"libsql://A.example:80/?tls=0": "http://a.example:80",
		"https://db.example/base/":     "https://db.example/base",
		"http://127.0.0.1:8080":        "http://127.0.0.1:8080",
		"libsql://h?authToken=SECRET":  "", "https://user:SECRET@h": "", "ws://h": "", "http://": "", "https://h#SECRET": "", "https://h?x=SECRET": "", "https://h:port%zzSECRET": "",
	} {
		got, err := hrana.ParseURL(raw)
		switch {
		case want == "" && (err == nil || strings.Contains(err.Error(), "SECRET")):
			t.Errorf("%s: got %v, %v", raw, got, err)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("%s: got %v, %v, want %s", raw, got, err, want)
		}
	}
}

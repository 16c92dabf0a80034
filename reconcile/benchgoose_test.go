package reconcile_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/libsql"
)

// BenchmarkAgainstToday holds the reconciler against what people run over their
// tenants today: goose as a library, with migration files of the same
// statements, one database after the other and eight at once; and, where it is
// on PATH, the Atlas CLI, which is started for each tenant. There are
// BENCH_TENANTS, 200 at most. All use files of their own through one engine,
// but for Atlas, which brings its own.
func BenchmarkAgainstToday(b *testing.B) {
	n := min(200, tenantsOf(b))
	for range b.N {
		f := &fleetBench{b: b, n: n, pairs: pairsOf(b), w: newWorld(b, bigFleet(n))}
		f.loops = [2]string{b.TempDir(), b.TempDir()}
		first := firstPlan(b, f.w)
		first = first[:len(first)-len(rows)]
		migrations := fstest.MapFS{"00001_first.sql": gooseFile(first)}
		made := line{what: "20 tables and 40 indexes to new tenants"}
		column := line{what: "one column to every tenant"}
		atlasNew, atlasColumn := atlas{b: b, n: n, dir: b.TempDir()}, []float64(nil)
		for range f.pairs {
			for _, dir := range []string{f.w.data, f.loops[0], f.loops[1], atlasNew.dir} {
				f.clear(dir)
			}
			migrations = fstest.MapFS{"00001_first.sql": gooseFile(first)}
			c := startChild(b, f.w.repo, f.w.data)
			made.ours = append(made.ours, c.mustSync(n))
			c.mustSync(0)
			made.loop, made.loop8 = append(made.loop, f.goose(0, migrations)), append(made.loop8, f.goose(1, migrations))
			atlasNew.run(first)

			statement := f.pushColumn()[:1]
			migrations["00002_column.sql"] = gooseFile(statement)
			column.ours = append(column.ours, c.mustSync(n))
			column.loop, column.loop8 = append(column.loop, f.goose(0, migrations)), append(column.loop8, f.goose(1, migrations))
			atlasColumn = append(atlasColumn, atlasNew.run(append(first, statement...)))
			first = append(first, statement...) // the next pair begins with it
			c.close()
		}
		made.note, column.note = atlasNew.note(atlasNew.took[0]), atlasNew.note(middle(atlasColumn))
		f.lines = []line{made, column}
		f.table("; the loops run goose")
	}
	b.ReportMetric(0, "ns/op")
}

func gooseFile(statements []string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + strings.Join(statements, ";\n") + ";\n")}
}

// goose migrates the databases of a loop.
func (f *fleetBench) goose(which int, migrations fstest.MapFS) float64 {
	return milliseconds(timed(func() {
		var group errgroup.Group
		group.SetLimit([]int{1, 8}[which])
		for _, path := range paths(f.loops[which], f.n) {
			group.Go(func() error { return gooseUp(f.b.Context(), path, migrations) })
		}
		must(f.b, group.Wait())
	}))
}

func gooseUp(ctx context.Context, path string, migrations fstest.MapFS) error {
	db := sql.OpenDB(connector{path})
	db.SetMaxOpenConns(1)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// atlas runs the Atlas CLI over a directory of databases.
type atlas struct {
	b    *testing.B
	n    int
	dir  string
	took []float64
}

func (a *atlas) run(statements []string) float64 {
	program, err := exec.LookPath("atlas")
	if err != nil {
		a.took = append(a.took, 0)
		return 0
	}
	schema := filepath.Join(a.b.TempDir(), "schema.sql")
	must(a.b, os.WriteFile(schema, []byte(strings.Join(statements, ";\n")+";\n"), 0o600))
	took := milliseconds(timed(func() {
		for _, path := range paths(a.dir, a.n) {
			out, err := exec.CommandContext(a.b.Context(), program, "schema", "apply", "--auto-approve",
				"--url", "sqlite://"+path, "--to", "file://"+schema, "--dev-url", "sqlite://dev?mode=memory").CombinedOutput()
			if err != nil {
				a.b.Fatalf("atlas: %v\n%s", err, out)
			}
		}
	}))
	a.took = append(a.took, took)
	return took
}

func (a *atlas) note(took float64) string {
	if took == 0 {
		return "atlas is not on PATH"
	}
	return "Atlas CLI " + inWords(took)
}

// connector opens a file for database/sql, through the engine that the
// reconciler uses.
type connector struct{ path string }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := libsql.Open(ctx, c.path, libsql.Options{Create: true, WAL: true})
	if err != nil {
		return nil, err
	}
	return &sqlConn{conn}, nil
}

func (c connector) Driver() driver.Driver { return nil }

// sqlConn has what goose needs of a driver's connection.
type sqlConn struct{ conn *libsql.Conn }

func (c *sqlConn) Prepare(query string) (driver.Stmt, error) {
	return nil, fmt.Errorf("not prepared: %s", query)
}
func (c *sqlConn) Close() error { return c.conn.Close() }
func (c *sqlConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *sqlConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	_, err := c.conn.Exec(ctx, "BEGIN IMMEDIATE")
	return sqlTx{c}, err
}

type sqlTx struct{ *sqlConn }

func (t sqlTx) Commit() error   { return t.end("COMMIT") }
func (t sqlTx) Rollback() error { return t.end("ROLLBACK") }
func (t sqlTx) end(how string) error {
	_, err := t.conn.Exec(context.Background(), how)
	return err
}

func (c *sqlConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	n, err := c.conn.Exec(ctx, query, values(args)...)
	return driver.RowsAffected(n), err
}

func (c *sqlConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.conn.Query(ctx, query, values(args)...)
	return &sqlRows{columns: rows.Columns, values: rows.Values}, err
}

func values(args []driver.NamedValue) []any {
	plain := make([]any, len(args))
	for i, arg := range args {
		plain[i] = arg.Value
	}
	return plain
}

type sqlRows struct {
	columns []string
	values  [][]any
}

func (r *sqlRows) Columns() []string { return r.columns }
func (r *sqlRows) Close() error      { return nil }
func (r *sqlRows) Next(dest []driver.Value) error {
	if len(r.values) == 0 {
		return io.EOF
	}
	for i, value := range r.values[0] {
		dest[i] = value
		if text, ok := value.(string); ok {
			if at, err := time.Parse(time.DateTime, text); err == nil { // drivers do so for a column of type TIMESTAMP
				dest[i] = at
			}
		}
	}
	r.values = r.values[1:]
	return nil
}

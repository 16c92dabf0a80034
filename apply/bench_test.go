package apply_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// Objects of the benchmarks: one with a field more, and none at all.
const (
	wide   = `{"account": {"fields": {"name": {"type": "text"}, "code": {"type": "text"}, "size": {"type": "number"}}}}`
	narrow = `{"account": {"fields": {"name": {"type": "text"}, "size": {"type": "number"}}}}`
)

// BenchmarkRetire removes a field, and an object, and brings it back: whole
// deployments, from the check of what they start from to the journal's row,
// against the statements that Atlas plans for the same change, run raw in one
// transaction. Both on an open connection. Atlas's lose the values. BENCH_ROWS lists the sizes;
// make bench has 10,000, 100,000 and 1,000,000 rows.
func BenchmarkRetire(b *testing.B) {
	sizes := os.Getenv("BENCH_ROWS")
	if sizes == "" {
		sizes = "1000"
	}
	for _, size := range strings.Split(sizes, ",") {
		for _, change := range []struct{ name, without string }{{"column", narrow}, {"table", `{}`}} {
			b.Run(change.name+"/"+size+"-rows", func(b *testing.B) { benchRetire(b, size, change.without) })
		}
	}
}

func benchRetire(b *testing.B, rows, without string) {
	var retire, restore, raw, rawBack time.Duration
	for range b.N {
		b.StopTimer()
		ours, theirs := newTenant(b), newTenant(b)
		for _, x := range []*tenant{ours, theirs} {
			x.mustDeploy(wide)
			x.exec("INSERT INTO account (id, name, code, size) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < " + rows +
				") SELECT 'row' || i, 'name ' || i, 'code ' || i, i FROM n")
		}
		forth := must(ours.plan(without))(b)
		b.StartTimer()
		retire += ours.timed(func(conn database.Conn) error { return ours.runOn(conn, forth) })
		b.StopTimer()
		back := must(ours.plan(wide))(b)
		b.StartTimer()
		restore += ours.timed(func(conn database.Conn) error { return ours.runOn(conn, back) })
		raw += theirs.timed(theirs.raw(atlasPlan(b, wide, without)))
		rawBack += theirs.timed(theirs.raw(atlasPlan(b, without, wide)))
		if got := ours.query("SELECT count(code) FROM account"); got != rows {
			b.Fatalf("got %s values, want %s", got, rows)
		}
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(retire), "retire-ms")
	b.ReportMetric(ms(restore), "restore-ms")
	b.ReportMetric(ms(raw), "atlas-drop-ms")
	b.ReportMetric(ms(rawBack), "atlas-add-ms")
	b.ReportMetric(float64(raw)/float64(retire), "drop/retire")
	b.ReportMetric(float64(raw+rawBack)/float64(retire+restore), "both/both")
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// timed runs f on an open connection and says how long that took.
func (x *tenant) timed(f func(database.Conn) error) time.Duration {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	start := time.Now()
	if err := f(conn); err != nil {
		x.t.Fatal(err)
	}
	return time.Since(start)
}

// atlasPlan is what Atlas plans between two bundles of objects.
func atlasPlan(b *testing.B, from, to string) []string {
	b.Helper()
	tables := func(text string) *atlas.Schema {
		wanted, _ := schema.Desired(parse(b, text), schema.Options{})
		return schema.Atlas(wanted)
	}
	changes, err := sqlite.DefaultDiff.SchemaDiff(tables(from), tables(to))
	if err != nil {
		b.Fatal(err)
	}
	planned, err := sqlite.DefaultPlan.PlanChanges(context.Background(), "plan", changes, func(*migrate.PlanOptions) {})
	if err != nil {
		b.Fatal(err)
	}
	var statements []string
	for _, c := range planned.Changes {
		if !strings.HasPrefix(c.Cmd, "PRAGMA") {
			statements = append(statements, c.Cmd)
		}
	}
	return statements
}

// raw runs statements in one transaction, foreign keys off.
func (x *tenant) raw(statements []string) func(database.Conn) error {
	all := append(append([]string{"PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"}, statements...), "COMMIT")
	return func(conn database.Conn) error {
		for _, sql := range all {
			if _, err := conn.Exec(x.t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	}
}

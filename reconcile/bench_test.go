package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// The benchmarks hold the reconciler against the loop that people write by
// hand: the same statements and one registry and one journal row, on the same
// databases, through the same driver, in the same process. Each iteration is
// one pair, ours and the loop's in turn, and the medians are reported: for the
// loop as a shell runs it, one database after the other (loop), and for one
// that runs as many at once as the reconciler does (loop8).
//
// BENCH_TENANTS sets how many tenants there are; make bench uses 1,000.
func tenantsOf(b *testing.B) int {
	text := os.Getenv("BENCH_TENANTS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// pair collects the times of both sides.
type pair struct{ ours, raw, rawParallel []time.Duration }

func (p pair) report(b *testing.B, tenants int) {
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds()) / 1000
	}
	ours, raw, parallel := median(p.ours), median(p.raw), median(p.rawParallel)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours, "ours-ms")
	b.ReportMetric(ours/float64(tenants), "ours-ms/tenant")
	b.ReportMetric(raw, "loop-ms")
	b.ReportMetric(ours/raw, "loop-ratio")
	b.ReportMetric(parallel, "loop8-ms")
	b.ReportMetric(ours/parallel, "loop8-ratio")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// bigApp is an app of 20 objects with two indexes each.
func bigApp() files {
	content := files{"fleet.yaml": "policy: {narrowing: allow}\n", "apps/big/app.yaml": "name: big\nlabel: Big\nversion: 1.0.0\n"}
	for i := range 20 {
		var text strings.Builder
		fmt.Fprintf(&text, "name: object_%02d\nlabel: Object\nfields:\n", i)
		for j := range 10 {
			fmt.Fprintf(&text, "  field_%d: {type: text, index: %t}\n", j, j < 2)
		}
		content[fmt.Sprintf("apps/big/objects/object_%02d.yaml", i)] = text.String()
	}
	return content
}

func bigFleet(tenants int) files {
	content := bigApp()
	for i := range tenants {
		id := fmt.Sprintf("t%04d", i)
		content["tenants/"+id+"/tenant.yaml"] = fmt.Sprintf("id: %s\nname: T\napps: [{name: big}]\n", id)
	}
	return content
}

// rawLoop runs statements on each database in one transaction, as many at once
// as asked for.
func rawLoop(b *testing.B, paths []string, atOnce int, statements []string) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, path := range paths {
		group.Go(func() error { return rawOne(b.Context(), path, statements) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func rawOne(ctx context.Context, path string, statements []string) error {
	conn, err := libsql.Open(ctx, path, libsql.Options{Create: true, WAL: true})
	if err != nil {
		return err
	}
	for _, sql := range slices.Concat([]string{"BEGIN IMMEDIATE"}, statements, []string{"COMMIT"}) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", sql, err), conn.Close())
		}
	}
	return conn.Close()
}

// rows are the registry and journal rows of the loop.
var rows = []string{
	"CREATE TABLE IF NOT EXISTS loop_registry (name TEXT PRIMARY KEY, body TEXT)",
	"CREATE TABLE IF NOT EXISTS loop_journal (id INTEGER PRIMARY KEY, at TEXT, plan TEXT)",
	"INSERT OR REPLACE INTO loop_registry VALUES ('bundle', 'x')",
	"INSERT INTO loop_journal (at, plan) VALUES (datetime('now'), 'x')",
}

func paths(dir string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = filepath.Join(dir, fmt.Sprintf("t%04d.db", i))
	}
	return all
}

func migration(p *plan.Plan) []string {
	statements := make([]string, 0, len(p.Migration.Statements))
	for _, s := range p.Migration.Statements {
		statements = append(statements, s.SQL)
	}
	return statements
}

func schemaVersion(ctx context.Context, path string) error {
	conn, err := libsql.Open(ctx, path, libsql.Options{})
	if err != nil {
		return err
	}
	if _, err := conn.Query(ctx, "PRAGMA schema_version"); err != nil {
		return errors.Join(err, conn.Close())
	}
	return conn.Close()
}

// mustSync runs one pass as a new process would, and makes sure of its end.
func (w *world) mustSync() {
	if report := w.sync(); report.Status != state.Succeeded {
		w.t.Fatalf("the sync ended %s", report.Status)
	}
}

// firstPlan is what the loop runs on a new database.
func firstPlan(b *testing.B, w *world) []string {
	r, closeAll := w.open()
	defer closeAll()
	report, err := r.Plan(b.Context(), reconcile.Selection{})
	if err != nil {
		b.Fatal(err)
	}
	return slices.Concat(migration(report.Tenants[0].Result.Plan), rows)
}

func descriptors(b *testing.B) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		b.Fatal(err)
	}
	return len(entries)
}

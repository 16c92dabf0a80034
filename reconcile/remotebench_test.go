package reconcile_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

// One column is added to every tenant on a server, against a loop that sends
// each the same statements as one conditional batch, eight at once.
func BenchmarkAddedColumnOnServer(b *testing.B) {
	n := tenantsOf(b)
	server, err := sqldtest.Run(io.Discard, "--max-active-namespaces", fmt.Sprint(2*n+10))
	if err != nil && os.Getenv("REQUIRE_SQLD") == "" {
		b.Skip(err)
	}
	must(b, err)
	defer server.Stop()
	f := newRemoteFleet(b, server, oneApp(), n)
	loop := newRemoteFleet(b, server, oneApp(), n)
	client := hrana.NewClient(hrana.ClientOptions{})
	raw := func(statements ...string) {
		var group errgroup.Group
		group.SetLimit(8)
		for _, namespace := range loop.namespaces {
			group.Go(func() error {
				conn, err := hrana.Open(b.Context(), hrana.Options{URL: server.URL, Host: sqldtest.Host(namespace), HTTP: client})
				if err != nil {
					return err
				}
				results, err := conn.Batch(b.Context(), inOrder(slices.Concat([]string{"BEGIN IMMEDIATE"}, statements, []string{"COMMIT"})))
				if err == nil {
					err = results[len(results)-1].Err
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	r, closeAll := f.through(server.URL)
	defer closeAll()
	f.synced(r)
	raw(slices.Concat([]string{"CREATE TABLE thing (id TEXT PRIMARY KEY, title TEXT)"}, rows)...)
	object := oneObject
	var p pair
	for i := range b.N {
		object += fmt.Sprintf("  added_%d: {type: text}\n", i)
		f.commit("add a column", files{"apps/big/objects/thing.yaml": object})
		p.ours = append(p.ours, timed(func() { f.synced(r) }))
		p.rawParallel = append(p.rawParallel, timed(func() {
			raw(slices.Concat([]string{fmt.Sprintf("ALTER TABLE thing ADD COLUMN added_%d text NULL", i)}, rows[2:])...)
		}))
	}
	p.raw = p.rawParallel
	p.report(b, n)
	b.ReportMetric(float64(resident(b))/(1<<20), "rss-MiB")
	b.ReportMetric(float64(descriptors(b)), "fds")
}

// inOrder makes each statement wait for the one before.
func inOrder(statements []string) []database.Step {
	steps := make([]database.Step, len(statements))
	for i, sql := range statements {
		steps[i].SQL = sql
		if i > 0 {
			before := i - 1
			steps[i].When = &database.Condition{OK: &before}
		}
	}
	return steps
}

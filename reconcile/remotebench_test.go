package reconcile_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/state"
)

// One column is added to every tenant on a server, against a loop that sends
// each the same statements, the same rows of metadata and a row of a journal
// as one conditional batch, eight at once.
func BenchmarkAddedColumnOnServer(b *testing.B) {
	b.Run("1", func(b *testing.B) { columnsOnServer(b, oneApp(), "apps/big/objects/thing.yaml") })
	b.Run("20", func(b *testing.B) { columnsOnServer(b, bigApp(), "apps/big/objects/object_00.yaml") })
}

// columnsOnServer is the benchmark with tables of an app, the first of which is
// defined in file.
func columnsOnServer(b *testing.B, app files, file string) {
	n := tenantsOf(b)
	server, err := sqldtest.Run(io.Discard)
	if err != nil && os.Getenv("REQUIRE_SQLD") == "" {
		b.Skip(err)
	}
	must(b, err)
	defer server.Stop()
	f := newRemoteFleet(b, server, app, n)
	loop := serverLoop{b: b, server: server, client: hrana.NewClient(hrana.ClientOptions{})}
	for range n {
		loop.namespaces = append(loop.namespaces, server.Namespace(b))
	}
	var ours connections
	r, closeAll := f.through(server.URL, &ours)
	defer closeAll()
	pass := func() *plan.Plan {
		report := f.sync(r)
		if report.Status != state.Succeeded || !report.Tenants[0].Result.Changed {
			b.Fatalf("the pass ended %s", report.Status)
		}
		return report.Tenants[0].Result.Plan
	}
	first := pass()
	loop.send(slices.Concat(migration(first), first.Registry, rows[1:2]))
	object := app[file]
	var p pair
	peak := 0
	for i := range b.N {
		object += fmt.Sprintf("  added_%d: {type: text}\n", i)
		f.commit("add a column", files{file: object})
		must(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)) // the peak begins anew
		var column *plan.Plan
		p.ours = append(p.ours, timed(func() { column = pass() }))
		peak = max(peak, statusKiB(b, "VmHWM:"))
		p.rawParallel = append(p.rawParallel, timed(func() {
			loop.send(slices.Concat(migration(column), column.Registry, rows[3:]))
		}))
	}
	p.raw = p.rawParallel
	p.report(b, n)
	b.ReportMetric(float64(peak)/(1<<10), "peak-MiB")
	b.ReportMetric(float64(ours.opened.Load()), "connections")
	b.ReportMetric(float64(descriptors(b)), "fds")
}

// serverLoop is what a careful person would write by hand.
type serverLoop struct {
	b          *testing.B
	server     *sqldtest.Server
	client     *http.Client
	namespaces []string
}

func (l *serverLoop) send(statements []string) {
	l.b.Helper()
	batch := inOrder(slices.Concat([]string{"BEGIN IMMEDIATE"}, statements, []string{"COMMIT"}))
	var group errgroup.Group
	group.SetLimit(8)
	for _, namespace := range l.namespaces {
		group.Go(func() error {
			conn, err := hrana.Open(l.b.Context(), hrana.Options{URL: l.server.URL, Host: sqldtest.Host(namespace), HTTP: l.client})
			if err != nil {
				return err
			}
			results, err := conn.Batch(l.b.Context(), batch)
			for _, result := range results {
				err = errors.Join(err, result.Err)
			}
			return err
		})
	}
	must(l.b, group.Wait())
}

// connections counts those that a client opens.
type connections struct {
	http.RoundTripper
	opened atomic.Int64
}

func (c *connections) RoundTrip(r *http.Request) (*http.Response, error) {
	return c.RoundTripper.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			if !got.Reused {
				c.opened.Add(1)
			}
		},
	})))
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

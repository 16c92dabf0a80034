package reconcile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/state"
)

// One column is added to every tenant on a server, against two loops that send
// each namespace one conditional batch, eight at once: "same" sends the very
// batches that ours has sent, to other namespaces, and "loop" what a careful
// person would write by hand, the same statements, the same rows of metadata
// and a small row of a journal. Each has a server of its own, of which only the
// one that is measured runs: sqld writes the statistics of all its namespaces
// every few seconds, which of 1,000 takes an eighth of a processor.
func BenchmarkAddedColumnOnServer(b *testing.B) {
	b.Run("1", func(b *testing.B) { columnsOnServer(b, oneApp(), "apps/big/objects/thing.yaml") })
	b.Run("20", func(b *testing.B) { columnsOnServer(b, bigApp(), "apps/big/objects/object_00.yaml") })
}

// columnsOnServer is the benchmark with tables of an app, the first of which is
// defined in file.
func columnsOnServer(b *testing.B, app files, file string) {
	n := tenantsOf(b)
	var servers [3]*sqldtest.Server
	for i := range servers {
		server, err := sqldtest.Run(io.Discard)
		if err != nil && os.Getenv("REQUIRE_SQLD") == "" {
			b.Skip(err)
		}
		must(b, err)
		defer server.Stop()
		servers[i] = server
	}
	f := newRemoteFleet(b, servers[0], app, n)
	loop := serverLoop{b: b, server: servers[1], client: hrana.NewClient(hrana.ClientOptions{})}
	kept, err := os.CreateTemp(b.TempDir(), "batches")
	must(b, err)
	defer kept.Close()
	same := echo{b: b, server: servers[2], client: loop.client, hosts: map[string]string{}, kept: kept}
	for i := range n {
		loop.namespaces = append(loop.namespaces, loop.server.Namespace(b))
		same.hosts[sqldtest.Host(f.namespaces[i])] = sqldtest.Host(same.server.Namespace(b))
	}
	only := func(server *sqldtest.Server) {
		for _, other := range servers {
			other.Pause()
		}
		server.Resume()
	}
	ours := connections{sent: same.record}
	r, closeAll := f.through(f.server.URL, &ours)
	defer closeAll()
	pass := func() *plan.Plan {
		report := f.sync(r)
		if report.Status != state.Succeeded || !report.Tenants[0].Result.Changed {
			b.Fatalf("the pass ended %s", report.Status)
		}
		return report.Tenants[0].Result.Plan
	}
	only(f.server)
	first := pass()
	only(same.server)
	same.send()
	only(loop.server)
	loop.send(slices.Concat(migration(first), first.Registry, rows[1:2]))
	object := app[file]
	var p pair
	var sent []time.Duration
	peak := 0
	for i := range b.N {
		object += fmt.Sprintf("  added_%d: {type: text}\n", i)
		f.commit("add a column", files{file: object})
		must(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)) // the peak begins anew
		var column *plan.Plan
		only(f.server)
		p.ours = append(p.ours, timed(func() { column = pass() }))
		peak = max(peak, statusKiB(b, "VmHWM:"))
		only(same.server)
		sent = append(sent, timed(same.send))
		only(loop.server)
		p.rawParallel = append(p.rawParallel, timed(func() {
			loop.send(slices.Concat(migration(column), column.Registry, rows[3:]))
		}))
	}
	p.raw = p.rawParallel
	p.report(b, n)
	slices.Sort(sent)
	b.ReportMetric(milliseconds(sent[len(sent)/2]), "same-ms")
	b.ReportMetric(milliseconds(p.ours[len(p.ours)/2])/milliseconds(sent[len(sent)/2]), "same-ratio")
	b.ReportMetric(float64(peak)/(1<<10), "peak-MiB")
	b.ReportMetric(float64(ours.opened.Load()), "connections")
	b.ReportMetric(float64(descriptors(b)), "fds")
}

// echo sends what was sent to some hosts to others.
type echo struct {
	b      *testing.B
	server *sqldtest.Server
	client *http.Client
	hosts  map[string]string // to which others, by host

	mu   sync.Mutex
	kept *os.File // what is to be sent: in memory it would count as ours
	size int64
	told []told
	text bytes.Buffer
}

// told is where a batch is kept, and whom it is for.
type told struct {
	host string
	body *io.SectionReader
}

func (e *echo) record(r *http.Request) {
	if r.GetBody == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text.Reset() // what this takes counts as ours: one buffer for all
	body, err := r.GetBody()
	if err == nil {
		_, err = e.text.ReadFrom(body)
	}
	text := e.text.Bytes()
	if err == nil && !bytes.Contains(text, []byte("COMMIT")) {
		return // it only reads
	}
	if err == nil {
		_, err = e.kept.WriteAt(text, e.size)
	}
	if err != nil {
		e.b.Error(err)
	}
	e.told = append(e.told, told{e.hosts[r.Host], io.NewSectionReader(e.kept, e.size, int64(len(text)))})
	e.size += int64(len(text))
}

// send sends what was recorded since, eight at once.
func (e *echo) send() {
	e.b.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, t := range e.told {
		group.Go(func() error { return e.post(t) })
	}
	must(e.b, group.Wait())
	e.told, e.size = nil, 0
}

func (e *echo) post(t told) error {
	body, err := io.ReadAll(t.body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(e.b.Context(), http.MethodPost, e.server.URL+"/v3/pipeline", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Host = t.host
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "identity") // as ours asks for it
	answered, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answered.Body.Close()
	var got struct {
		Results []struct {
			Response struct {
				Result struct {
					Errors []any `json:"step_errors"`
				} `json:"result"`
			} `json:"response"`
		} `json:"results"`
	}
	if err := json.NewDecoder(answered.Body).Decode(&got); err != nil {
		return err
	}
	failed := func(step any) bool { return step != nil }
	if len(got.Results) == 0 || slices.ContainsFunc(got.Results[0].Response.Result.Errors, failed) {
		return fmt.Errorf("%s: %+v", t.host, got)
	}
	return nil
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
	sent   func(*http.Request) // is told of each request; may be nil
}

func (c *connections) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.sent != nil {
		c.sent(r)
	}
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
		steps[i].SQL, steps[i].Brief = sql, true
		if i > 0 {
			before := i - 1
			steps[i].When = &database.Condition{OK: &before}
		}
	}
	return steps
}

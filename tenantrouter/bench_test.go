package tenantrouter_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// The benchmark holds the middleware against a handler that opens its tenant's
// database for each request, asks and closes it: the same query, through the
// same driver, in the same process. Each iteration is one pair, ours and the
// other in turn, and the medians are reported. A tenth of the databases may
// stay open. Kept: the requests go to as many tenants. Changing: they go to all,
// two thirds of them to a twentieth, so that databases close and open all the
// time.
//
// BENCH_TENANTS sets how many tenants there are; make bench uses 1,000.
func BenchmarkRequests(b *testing.B) {
	tenants := 20
	if text := os.Getenv("BENCH_TENANTS"); text != "" {
		var err error
		tenants, err = strconv.Atoi(text)
		must(b, err)
	}
	most := max(2, tenants/10)
	b.Run("kept", func(b *testing.B) { compare(b, most, most) })
	b.Run("changing", func(b *testing.B) { compare(b, tenants, most) })
}

// compare runs pairs on tenants of which most may stay open.
func compare(b *testing.B, tenants, most int) {
	c := &crowd{house: newHouse(b, func(o *tenantrouter.Options) { o.MaxConnections = most })}
	for i := range tenants {
		c.ids = append(c.ids, protocol.TenantID(fmt.Sprintf("t%04d", i)))
		c.add(c.ids[i], nil)
	}
	routed := tenantrouter.Middleware(c.gateway)(http.HandlerFunc(whose))
	var ours, byHand []float64
	for range b.N {
		ours = append(ours, c.rate(b, routed))
		byHand = append(byHand, c.rate(b, http.HandlerFunc(c.openAndAsk)))
	}
	median := func(rates []float64) float64 {
		slices.Sort(rates)
		return rates[len(rates)/2]
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "ours-requests/s")
	b.ReportMetric(median(byHand), "by-hand-requests/s")
	b.ReportMetric(median(byHand)/median(ours), "ratio")
}

// rate is how many requests a second a handler answers.
func (c *crowd) rate(b *testing.B, handler http.Handler) float64 {
	const each = 100
	var all sync.WaitGroup
	start := time.Now()
	for n := range loadClients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(n)))
			for range each {
				id := string(c.ids[c.pick(random)])
				request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
				request.Header.Set("X-Tenant-ID", id)
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				if recorder.Body.String() != "database of "+id {
					b.Errorf("%s: got %d %s", id, recorder.Code, recorder.Body)
				}
			}
		})
	}
	all.Wait()
	return loadClients * each / time.Since(start).Seconds()
}

// openAndAsk is what people write first.
func (c *crowd) openAndAsk(w http.ResponseWriter, r *http.Request) {
	at, err := c.files.Locate(protocol.TenantID(r.Header.Get("X-Tenant-ID")), nil)
	if err == nil {
		var conn *libsql.Conn
		if conn, err = libsql.Open(r.Context(), at.Path, libsql.Options{Shared: true}); err == nil {
			defer conn.Close()
			var rows tenantrouter.Rows
			if rows, err = conn.Query(r.Context(), "SELECT tenant FROM who"); err == nil {
				fmt.Fprint(w, "database of ", rows.Values[0][0])
				return
			}
		}
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// BenchmarkAdoption takes over databases that were there before, with rows and
// what somebody made by hand: import, a look that writes nothing, and the first
// deployment. It fails where a row is not as it was. BENCH_TENANTS is how many.
func BenchmarkAdoption(b *testing.B) {
	n := tenantsOf(b)
	var read, look, took time.Duration
	for range b.N {
		w := newWorld(b, files{"README": "empty"})
		tenants := w.existingFleet(n)
		before := make([]string, n)
		for i, t := range tenants {
			before[i] = w.everything(t.ID)
		}
		read += timed(func() {
			reader := adoption.NewReader()
			for i := range tenants {
				conn, err := libsql.Open(b.Context(), w.tenantFile(tenants[i].ID), libsql.Options{ReadOnly: true})
				must(b, err)
				tenants[i].Schema, err = reader.Read(b.Context(), conn)
				must(b, err)
				must(b, conn.Close())
			}
			w.commit("import", imported(b, adoption.Divide(tenants)))
		})
		look += timed(func() {
			observer, closeAll := w.openWith(func(c *reconcile.Config) { c.Observe = true })
			defer closeAll()
			_, err := observer.Sync(b.Context(), reconcile.Selection{})
			must(b, err)
		})
		took += timed(func() {
			if report := w.sync(); report.Status != state.Succeeded || report.Tenants[n-1].Result.Action != deploy.Update {
				b.Fatalf("the sync ended %s", report.Status)
			}
		})
		for i, t := range tenants {
			if after := w.everything(t.ID); !strings.Contains(after, before[i]) {
				b.Errorf("%s: got\n%s\nwant\n%s", t.ID, after, before[i])
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, d := range map[string]time.Duration{"import-ms": read, "observe-ms": look, "sync-ms": took} {
		b.ReportMetric(milliseconds(d)/float64(b.N), name)
	}
}

package reconcile_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/tenantops/reconciler/reconcile"
)

// Nobody has touched the tenants since the last pass. The loop reads the header
// of each file, where the schema cookie is.
func BenchmarkDriftScan(b *testing.B) {
	n := tenantsOf(b)
	w := newWorld(b, bigFleet(n))
	w.mustSync()
	w.mustSync() // which sees what the first one left
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Repo, c.ReadOnly = nil, true })
	defer closeAll()
	scan := func() {
		found, err := r.Drift(b.Context(), nil)
		must(b, err)
		if len(found) != n || !found[0].Unchanged || !found[n-1].Unchanged {
			b.Fatalf("got %d tenants, %+v: want %d that are not opened", len(found), found[0], n)
		}
	}
	files := paths(w.data+"/tenants", n)
	headers := func() {
		for _, path := range files {
			must(b, readHeader(path))
		}
	}
	scan()
	headers() // both have the directory in memory now
	var p pair
	for range b.N {
		p.ours = append(p.ours, timed(scan))
		p.raw = append(p.raw, timed(headers))
	}
	p.rawParallel = p.raw // it is as fast: nothing in it waits
	p.report(b, n)
}

// readHeader reads what SQLite has before the first page of a file that nobody
// has open.
func readHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	var header [100]byte
	_, err = io.ReadFull(file, header[:])
	return errors.Join(err, file.Close())
}

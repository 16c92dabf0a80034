package preview_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/preview"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
)

// An additive change for every tenant of a fleet costs at most twice what
// planning one tenant and reading a fingerprint of each costs. PREVIEW_TENANTS
// says how many there are; few say nothing about time, and only that it works.
func TestPreviewOfALargeFleet(t *testing.T) {
	n := 20
	if text := os.Getenv("PREVIEW_TENANTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	w := newWorld(t, shop(names...))
	w.sync()
	w.pull(files{"apps/shop/objects/customer.yaml": vat})
	var floor time.Duration
	w.open(func(c reconcile.Config) { floor = fingerprints(t, c) })
	start := time.Now()
	r := w.preview()
	took := time.Since(start)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	text := r.Markdown(preview.MarkdownOptions{})
	t.Logf("%d tenants: preview %v, one plan and all fingerprints %v, %d MiB from the system, %d bytes of comment", n, took, floor, memory.Sys>>20, len(text))
	if len(r.Plans) != 1 || len(r.Plans[0].Tenants) != n || len(text) >= preview.MaxComment || !r.Bound {
		t.Fatalf("got %d plans, %s, %d bytes", len(r.Plans), r.Summary(), len(text))
	}
	if memory.Sys > 256<<20 {
		t.Errorf("%d MiB were taken from the system, more than 256", memory.Sys>>20)
	}
	if n >= 500 && took > 2*floor {
		t.Errorf("the preview took %v, more than twice %v", took, floor)
	}
}

// fingerprints reads the fingerprint of every tenant and plans one of them, as
// many at a time as a preview does.
func fingerprints(t *testing.T, c reconcile.Config) time.Duration {
	t.Helper()
	head, err := c.Repo.Resolve(t.Context(), "pull")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	tree, err := c.Repo.Tree(t.Context(), head.Hash)
	if err != nil {
		t.Fatal(err)
	}
	options := reconcile.BundleOptions(t.Context(), c.Repo)
	options.Revision = head.Hash
	loaded, err := bundle.Load(tree, options)
	if err != nil {
		t.Fatal(err)
	}
	look := reconcile.New(c)
	if _, err := look.PlanTenant(t.Context(), head, loaded, loaded.Tenants[0].ID); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(loaded.Config.Rollout.MaxConcurrent)
	for _, one := range loaded.Tenants {
		group.Go(func() error {
			conn, err := look.LookAt(t.Context(), one)
			if err != nil {
				return err
			}
			master, err := schema.ReadMaster(t.Context(), conn)
			if err == nil && master.Fingerprint() == "" {
				err = fmt.Errorf("%s has no fingerprint", one.ID)
			}
			if closed := conn.Close(); err == nil {
				err = closed
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

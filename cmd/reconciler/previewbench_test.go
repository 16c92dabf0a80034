package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/garbage"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/preview"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// BenchmarkPreview has a field that an app gains previewed for a whole fleet,
// by the program in a process of its own, from its start to its end. It stands
// beside one plan and one fingerprint of each tenant, in the process of the
// benchmark; ratio is the one to the other. BENCH_TENANTS says how many tenants
// there are, make bench uses 1,000. It fails where there is more than one plan,
// the comment is too long, or the process takes more than 256 MiB.
func BenchmarkPreview(b *testing.B) {
	const limit = 256 << 10 // KiB
	f := previewedFleet(b)
	var ours, floors []time.Duration
	var text string
	peak := 0
	for b.Loop() {
		floors = append(floors, f.floor(b))
		began := time.Now()
		said, took := f.preview(b)
		ours = append(ours, time.Since(began))
		text, peak = said, max(peak, took)
	}
	if !strings.Contains(text, " tenants, 1 distinct plan.**") || len(text) >= preview.MaxComment {
		b.Errorf("the comment has %d bytes, or not one plan:\n%.500s", len(text), text)
	}
	if peak > limit {
		b.Errorf("%d MiB were resident, more than %d", peak>>10, limit>>10)
	}
	slices.Sort(ours)
	slices.Sort(floors)
	our, floor := ours[len(ours)/2], floors[len(floors)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(our.Milliseconds()), "preview-ms")
	b.ReportMetric(float64(floor.Milliseconds()), "floor-ms")
	b.ReportMetric(our.Seconds()/floor.Seconds(), "ratio")
	b.ReportMetric(float64(peak)/1024, "peak-MiB")
	b.ReportMetric(float64(len(text)), "comment-bytes")
}

// previewed is a fleet in sync, and a branch "pull" whose merge gives every
// tenant one column.
type previewed struct {
	dir, data, program string
	tenants            int
}

func previewedFleet(b *testing.B) previewed {
	b.Helper()
	f := previewed{dir: gittest.Init(b), data: b.TempDir(), tenants: 20}
	var err error
	if text := os.Getenv("BENCH_TENANTS"); text != "" {
		if f.tenants, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	if f.program, err = exec.LookPath("measured"); err != nil {
		b.Fatal(err)
	}
	object := "apps/shop/objects/customer.yaml"
	content := map[string]string{
		"apps/shop/app.yaml": "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		object:               "name: customer\nfields:\n  name: {type: text}\n",
	}
	for i := range f.tenants {
		id := fmt.Sprintf("t%05d", i)
		content["tenants/"+id+"/tenant.yaml"] = "id: " + id + "\nname: " + id + "\napps: [{name: shop}]\n"
	}
	gittest.Commit(b, f.dir, "first", content)
	var said bytes.Buffer
	if code := run(b.Context(), []string{"sync", "--repo", f.dir, "--data", f.data, "--ref", "main"}, io.Discard, &said); code != 0 {
		b.Fatalf("the sync ended with %d: %s", code, &said)
	}
	gittest.Run(b, f.dir, "checkout", "--quiet", "-b", "pull")
	gittest.Commit(b, f.dir, "more", map[string]string{object: content[object] + "  vat: {type: text}\n"})
	return f
}

var residentKiB = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// measured is the program, which says at its end how much was resident at most.
// What the kernel says of a child has its parent's size in it.
func measured() {
	garbage.Bound()
	code := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Fprintf(os.Stderr, "%s\n", residentKiB.Find(status))
	os.Exit(code)
}

// preview returns the comment, and how much was resident, in KiB.
func (f previewed) preview(b *testing.B) (text string, peak int) {
	b.Helper()
	command := exec.Command(f.program, "preview", "--repo", f.dir, "--data", f.data, "--base", "main", "--head", "pull", "-o", "markdown")
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	found := residentKiB.FindSubmatch(said.Bytes())
	if err != nil || found == nil {
		b.Fatalf("preview: %v\n%s", err, &said)
	}
	if peak, err = strconv.Atoi(string(found[1])); err != nil {
		b.Fatal(err)
	}
	return string(out), peak
}

// floor reads the repository, plans one tenant and reads the fingerprint of
// every one, as many at a time as a preview does.
func (f previewed) floor(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	repo, err := gitrepo.Open(b.Context(), gitrepo.Config{URL: f.dir})
	if err != nil {
		b.Fatal(err)
	}
	defer repo.Close()
	store, err := state.Open(b.Context(), filepath.Join(f.data, "state.db"), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: f.data})
	if err != nil {
		b.Fatal(err)
	}
	look := reconcile.New(reconcile.Config{Repo: repo, Router: router, Store: store, ReadOnly: true})
	head, fleet := f.read(b, repo)
	if _, err := look.PlanTenant(b.Context(), head, fleet, fleet.Tenants[0].ID); err != nil {
		b.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(fleet.Config.Rollout.MaxConcurrent)
	for _, one := range fleet.Tenants {
		group.Go(func() error { return fingerprint(b.Context(), look, one) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func (f previewed) read(b *testing.B, repo *gitrepo.Repo) (gitrepo.Commit, *bundle.Fleet) {
	b.Helper()
	head, err := repo.Resolve(b.Context(), "pull")
	if err != nil {
		b.Fatal(err)
	}
	tree, err := repo.Tree(b.Context(), head.Hash)
	if err != nil {
		b.Fatal(err)
	}
	options := reconcile.BundleOptions(b.Context(), repo)
	options.Revision = head.Hash
	fleet, err := bundle.Load(tree, options)
	if err != nil {
		b.Fatal(err)
	}
	return head, fleet
}

func fingerprint(ctx context.Context, look *reconcile.Reconciler, t *bundle.Tenant) error {
	conn, err := look.LookAt(ctx, t)
	if err != nil {
		return err
	}
	master, err := schema.ReadMaster(ctx, conn)
	if err == nil && master.Fingerprint() == "" {
		err = fmt.Errorf("%s has no fingerprint", t.ID)
	}
	if closed := conn.Close(); err == nil {
		err = closed
	}
	return err
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func TestPushAndRevert(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	if report := w.sync(); report.Status != state.Succeeded || !tenantOf(t, report, "acme").Result.Changed {
		t.Fatalf("first sync: %+v", report)
	}
	w.onTenant("acme", "INSERT INTO customer (id, name, email) VALUES ('c1', 'Ada', 'ada@example.com')")
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.sync()
	w.onTenant("acme", "UPDATE customer SET phone = '1'")
	if report := w.sync(); tenantOf(t, report, "globex").Result.Action != deploy.None {
		t.Errorf("a pass without a change did %s", tenantOf(t, report, "globex").Result.Action)
	}
	w.git("revert", "--no-edit", "HEAD")
	if report := w.sync(); report.Status != state.Succeeded {
		t.Fatalf("revert: %+v", report)
	}
	if got, want := w.rows("acme", "SELECT id, name, email FROM customer"), "c1 Ada ada@example.com"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.rows("acme", "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'phone'"); got != "0" {
		t.Errorf("the column is still there")
	}
}

// The same two versions in turn: each is deployed, none is taken for one that
// was there before.
func TestBackAndForth(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	for i, object := range []string{customerWithPhone, customer, customerWithPhone} {
		w.commit(fmt.Sprint("version ", i), files{"apps/shop/objects/customer.yaml": object})
		if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed || result.Statements != 1 {
			t.Fatalf("version %d: %+v", i, result)
		}
	}
	if got := w.rows("acme", "SELECT count(*), count(DISTINCT deployment) FROM _reconciler_journal"); got != "4 4" {
		t.Errorf("journal: got %s, want 4 4", got)
	}
}

func TestPlanWritesNothing(t *testing.T) {
	w := newWorld(t, shop("acme"))
	r, closeAll := w.open()
	defer closeAll()
	report, err := r.Plan(t.Context(), reconcile.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if got := tenantOf(t, report, "acme").Result.Action; got != deploy.Create {
		t.Errorf("got action %s, want create", got)
	}
	if _, err := os.Stat(w.tenantFile("acme")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("planning made the database: %v", err)
	}
}

// One broken tenant among many is told with a reason and the next step, and
// the others are synced.
func TestBrokenTenantsStandAlone(t *testing.T) {
	if !asNobody(t) {
		return
	}
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprintf("tenant-%02d", i)
	}
	w := newWorld(t, shop(ids...))
	w.sync()
	w.onTenant("tenant-02", "INSERT INTO customer (id, name, email) VALUES ('a', 'A', NULL)")
	if err := os.WriteFile(w.tenantFile("tenant-03"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.tenantFile("tenant-04")); err != nil {
		t.Fatal(err)
	}
	must(t, os.Chmod(w.tenantFile("tenant-05"), 0))
	must(t, os.Chmod(w.tenantFile("tenant-06"), 0o444))
	w.commit("email is required", files{
		"apps/shop/objects/customer.yaml": strings.Replace(customer, "unique: true", "unique: true, required: true", 1),
		"tenants/tenant-01/tenant.yaml":   "id: tenant-01\nname: [broken\n",
	})
	report := w.sync()
	if report.Status != state.Partial {
		t.Errorf("got status %s, want Partial", report.Status)
	}
	want := map[string]string{
		"tenant-01": "InvalidBundle", "tenant-02": "PreCheckFailed", "tenant-03": "Corrupt", "tenant-04": "Missing",
		"tenant-05": "PermissionDenied", "tenant-06": "PermissionDenied",
	}
	for _, tenant := range report.Tenants {
		result := tenant.Result
		if reason, broken := want[string(tenant.ID)]; broken {
			if result.Reason != reason || result.Next == "" || result.Message == "" {
				t.Errorf("%s: got reason %q, message %q, next %q; want reason %q", tenant.ID, result.Reason, result.Message, result.Next, reason)
			}
			continue
		}
		if tenant.Sync != state.Synced || !result.Changed {
			t.Errorf("%s: got %s, %s %v", tenant.ID, tenant.Sync, result.Reason, result.Err)
		}
	}
	if _, err := os.Stat(w.tenantFile("tenant-04")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database that vanished was made again: %v", err)
	}
	must(t, os.Chmod(w.tenantFile("tenant-05"), 0o600))
	if healed := tenantOf(t, w.sync(), "tenant-05"); healed.Sync != state.Synced || !healed.Result.Changed {
		t.Errorf("with its permission back: got %s, %s %v", healed.Sync, healed.Result.Reason, healed.Result.Err)
	}
}

// asNobody runs a test for which permissions hold: as a child of this one with
// another user, where this one is root. It reports whether to go on here.
func asNobody(t *testing.T) bool {
	t.Helper()
	const inChild, nobody = "RECONCILER_TEST_NOBODY", 65534
	switch {
	case os.Getuid() != 0:
		return true
	case os.Getenv(inChild) == t.Name():
		must(t, errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)))
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	child.Env = append(os.Environ(), inChild+"="+t.Name(), "HOME=/")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("as another user: %v\n%s", err, out)
	}
	return false
}

// A tree that lost its tenants, or a tenant, takes nothing away.
func TestRemovedTenantIsKept(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	w.commit("globex leaves", files{"tenants/globex": ""})
	report := w.sync()
	gone := tenantOf(t, report, "globex")
	if gone.Result.Action != reconcile.Remove || gone.Result.Reason != "Removed" || gone.Result.Next == "" {
		t.Errorf("got %+v", gone.Result.Assessment)
	}
	if got := w.rows("globex", "SELECT count(*) FROM customer"); got != "0" {
		t.Errorf("got %q rows", got)
	}
	w.commit("everybody leaves", files{"tenants": ""})
	r, closeAll := w.open()
	defer closeAll()
	if _, err := r.Sync(t.Context(), reconcile.Selection{}); err == nil {
		t.Error("a tree without tenants was accepted")
	}
}

// A suspended tenant is left as it is, with the reason and the next step, and
// gets what it has missed when it is active again.
func TestSuspended(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	w.commit("both pause", files{
		"tenants/acme/tenant.yaml":        tenantYAML("acme") + "provisioningStatus: suspended\n",
		"tenants/initech/tenant.yaml":     tenantYAML("initech") + "provisioningStatus: suspended\n",
		"apps/shop/objects/customer.yaml": customerWithPhone,
	})
	report := w.sync()
	for _, id := range []string{"acme", "initech"} {
		paused := tenantOf(t, report, id)
		if paused.Health != state.Suspended || paused.Problem() || paused.Result.Action != reconcile.Suspend ||
			paused.Result.Reason != "Suspended" || paused.Result.Next == "" {
			t.Errorf("%s is %s: %+v", id, paused.Health, paused.Result.Assessment)
		}
	}
	if got := w.rows("acme", "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'phone'"); got != "0" || report.Status != state.Succeeded {
		t.Errorf("%s, and a suspended tenant was deployed to: %s", report.Status, got)
	}
	if _, err := os.Stat(w.tenantFile("initech")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database was made for a suspended tenant: %v", err)
	}
	w.commit("acme is back", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
	if back := tenantOf(t, w.sync(), "acme"); back.Sync != state.Synced || back.Health != state.Healthy || !back.Result.Changed {
		t.Errorf("back: %s %+v", back.Health, back.Result.Assessment)
	}
}

// The operator may have fewer tenants worked on at a time than fleet.yaml
// says, and not more.
func TestMaxConcurrent(t *testing.T) {
	for bound, want := range map[int]int{0: 4, 1: 1, 9: 4} {
		r := reconcile.New(reconcile.Config{MaxConcurrent: bound})
		if got := reconcile.Workers(r, config.Rollout{MaxConcurrent: 4}); got != want {
			t.Errorf("with a bound of %d: got %d workers, want %d", bound, got, want)
		}
	}
}

// Somebody's own change to the schema is reported and left alone, or undone
// where the fleet says so.
func TestDrift(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.onTenant("acme", "ALTER TABLE customer DROP COLUMN name")
	drifted := tenantOf(t, w.sync(), "acme")
	if drifted.Sync != state.OutOfSync || drifted.Result.Reason != "Drift" || drifted.Result.Changed {
		t.Errorf("got %s %+v", drifted.Sync, drifted.Result.Assessment)
	}
	w.commit("heal", files{"fleet.yaml": "drift: heal\npolicy: {narrowing: allow, destructive: allow}\n"})
	if healed := tenantOf(t, w.sync(), "acme"); healed.Sync != state.Synced || !healed.Result.Changed {
		t.Errorf("got %s %s %v", healed.Sync, healed.Result.Reason, healed.Result.Err)
	}
}

func TestForeignTablesAreNoDrift(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.onTenant("acme", "CREATE TABLE mine (a)", "CREATE INDEX by_name ON customer (name)", "CREATE VIEW v AS SELECT name FROM customer")
	if seen := tenantOf(t, w.sync(), "acme"); seen.Sync != state.Synced || seen.Result.Changed {
		t.Errorf("got %s %+v", seen.Sync, seen.Result.Assessment)
	}
}

// The daemon notices a commit by itself and stops when it is told to.
func TestRun(t *testing.T) {
	w := newWorld(t, shop("acme"))
	r, closeAll := w.open()
	defer closeAll()
	r.Poll = time.Hour // the watch has to do it
	passes := make(chan reconcile.Report, 100)
	r.OnPass = func(report reconcile.Report, err error) {
		if err != nil && !errors.Is(err, context.Canceled) { // a pass may be under way when the test ends
			t.Error(err)
		}
		passes <- report
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	if report := <-passes; report.Status != state.Succeeded {
		t.Errorf("first pass: %+v", report)
	}
	commit := w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	for report := range passes {
		if report.Revision.Hash == commit {
			if result := tenantOf(t, report, "acme").Result; !result.Changed {
				t.Errorf("second pass: %+v", result)
			}
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A branch that was force-pushed is refused until somebody accepts it.
func TestRewrittenHistory(t *testing.T) {
	w := newWorld(t, shop("acme"))
	first := w.git("rev-parse", "HEAD")
	w.commit("add phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.sync()
	w.git("reset", "--quiet", "--hard", first)
	w.commit("another second", files{"apps/shop/objects/customer.yaml": customer + "  fax: {type: phone}\n"})
	r, closeAll := w.open()
	defer closeAll()
	var rewritten *reconcile.RewrittenError
	for range 2 { // being told once is not accepting it
		if _, err := r.Sync(t.Context(), reconcile.Selection{}); !errors.As(err, &rewritten) {
			t.Fatalf("got error %v, want a RewrittenError", err)
		}
	}
	if got := w.rows("acme", "SELECT count(*) FROM _reconciler_journal"); got != "1" {
		t.Errorf("got %s deployments, want 1", got)
	}
	report, err := r.Sync(t.Context(), reconcile.Selection{AcceptRewrite: true})
	if err != nil || report.Status != state.Succeeded {
		t.Errorf("accepted: got %s, %v", report.Status, err)
	}
}

// A daemon that was told to accept a rewritten branch does so once: the next
// force push is refused, and deploys nothing.
func TestRunAcceptsOneRewrite(t *testing.T) {
	w := newWorld(t, shop("acme"))
	first := w.git("rev-parse", "HEAD")
	rewrite := func(field string) string {
		w.git("reset", "--quiet", "--hard", first)
		return w.commit("add "+field, files{"apps/shop/objects/customer.yaml": customer + "  " + field + ": {type: phone}\n"})
	}
	rewrite("phone")
	w.sync()
	fax := rewrite("fax")
	r, closeAll := w.open()
	defer closeAll()
	r.Poll, r.AcceptRewrite = time.Hour, true
	type pass struct {
		report reconcile.Report
		err    error
	}
	passes := make(chan pass, 100)
	r.OnPass = func(report reconcile.Report, err error) { passes <- pass{report, err} }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	if p := <-passes; p.err != nil || p.report.Revision.Hash != fax || p.report.Status != state.Succeeded {
		t.Errorf("accepted: got %+v", p)
	}
	telex := rewrite("telex")
	var rewritten *reconcile.RewrittenError
	for p := range passes {
		if errors.As(p.err, &rewritten) && rewritten.Head == telex {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := w.rows("acme", "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'telex'"); got != "0" {
		t.Error("the second rewrite was deployed")
	}
}

// A pass that comes to no tenant says which commit it was for, and leaves the
// fleet at the one before.
func TestFailedPassNamesItsCommit(t *testing.T) {
	w := newWorld(t, shop("acme"))
	good := w.sync().Revision.Hash
	bad := w.commit("broken", files{"fleet.yaml": "rollout: [\n"})
	r, closeAll := w.open()
	for range 2 {
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		if !errors.Is(err, bundle.ErrInvalid) || report.Revision.Hash != bad || report.Status != state.Failed {
			t.Errorf("got %v of %s, want one of %s", err, report.Revision.Hash, bad)
		}
	}
	closeAll()
	w.onStore(func(ctx context.Context, s *state.Store) error {
		last, _, err := s.LastPass(ctx)
		if last.Revision != good || last.Status != state.Failed {
			t.Errorf("state has the fleet at %s, want %s", last.Revision, good)
		}
		return err
	})
}

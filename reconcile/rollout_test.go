package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// waves is a fleet of 20 tenants, two of them canaries, that has been deployed
// once; its fleet.yaml has the rollout given.
func waves(t *testing.T, rollout string) *world {
	content := shop()
	content["fleet.yaml"] = "policy: {narrowing: allow, destructive: allow}\n" + rollout
	for i := range 20 {
		id, tier := fmt.Sprintf("t%02d", i), "standard"
		if i < 2 {
			tier = "canary"
		}
		content["tenants/"+id+"/tenant.yaml"] = tenantYAML(id) + "labels: {tier: " + tier + "}\n"
	}
	w := newWorld(t, content)
	w.sync()
	return w
}

const canaryFirst = "rollout: {waves: [{name: canary, match: {tier: canary}, bake: 10m, failureBudget: {tenants: 0}}, {name: all}]}\n"

// clock is a time that a test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)} }

// onStore does something with the state between passes.
func (w *world) onStore(do func(context.Context, *state.Store) error) {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := do(w.t.Context(), store); err != nil {
		w.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rollout() (last state.Rollout) {
	w.t.Helper()
	w.onStore(func(ctx context.Context, s *state.Store) (err error) {
		last, _, err = s.LastRollout(ctx)
		return err
	})
	return last
}

func (w *world) changeRollout(change func(*state.Rollout)) {
	w.t.Helper()
	w.onStore(func(ctx context.Context, s *state.Store) error {
		last, _, err := s.LastRollout(ctx)
		if err != nil {
			return err
		}
		change(&last)
		return s.SaveRollout(ctx, &last)
	})
}

// changed names the tenants that a pass deployed to.
func changed(r reconcile.Report) string {
	var ids []string
	for _, t := range r.Tenants {
		if t.Result.Changed {
			ids = append(ids, string(t.ID))
		}
	}
	return strings.Join(ids, " ")
}

func reasons(r reconcile.Report) map[string]int {
	counts := map[string]int{}
	for _, t := range r.Tenants {
		if t.Result.Reason != "" {
			counts[t.Result.Reason]++
		}
	}
	return counts
}

const restOfTwenty = "t02 t03 t04 t05 t06 t07 t08 t09 t10 t11 t12 t13 t14 t15 t16 t17 t18 t19"

func TestRolloutGoesInWaves(t *testing.T) {
	w, c := waves(t, canaryFirst), newClock()
	if r := w.rollout(); r.ID != 0 {
		t.Errorf("creating databases is rollout %d", r.ID)
	}
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	report := w.syncAt(c.now)
	if got := changed(report); got != "t00 t01" {
		t.Errorf("first wave: %s", got)
	}
	if got := reasons(report); got["WaitingForWave"] != 18 || report.Status != state.Partial {
		t.Errorf("got %v, %s", got, report.Status)
	}
	if waiting := tenantOf(t, report, "t02"); waiting.Sync != state.OutOfSync || waiting.Health != state.Progressing {
		t.Errorf("t02 is %s, %s", waiting.Sync, waiting.Health)
	}
	if r := w.rollout(); r.Status != state.Running || r.Reason != "Baking" {
		t.Errorf("rollout: %+v", r)
	}

	// Every process that comes later goes on where it was.
	c.now = c.now.Add(10*time.Minute - time.Millisecond)
	if got := changed(w.syncAt(c.now)); got != "" {
		t.Errorf("while it bakes: %s", got)
	}
	c.now = c.now.Add(time.Millisecond)
	if got := changed(w.syncAt(c.now)); got != restOfTwenty {
		t.Errorf("second wave: %s", got)
	}
	if r := w.rollout(); r.ID != 1 || r.Status != state.Succeeded || r.Message != "20 tenants reached" {
		t.Errorf("rollout: %+v", r)
	}
	w.syncAt(c.now)
	if r := w.rollout(); r.ID != 1 {
		t.Errorf("a pass without a change is rollout %d", r.ID)
	}
}

func TestWavesWithoutBakeFollowInOnePass(t *testing.T) {
	w := waves(t, "rollout: {waves: [{name: canary, match: {tier: canary}}, {name: half, percent: 50}]}\n")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	report := w.sync()
	if got := changed(report); got != "t00 t01 "+restOfTwenty || report.Status != state.Succeeded {
		t.Errorf("%s: %s", report.Status, got)
	}
	var sizes []string
	for _, wave := range w.rollout().Waves {
		sizes = append(sizes, fmt.Sprint(wave.Name, " ", wave.Tenants))
	}
	if want := []string{"canary 2", "half 10", "rest 8"}; !slices.Equal(sizes, want) {
		t.Errorf("waves: got %q, want %q", sizes, want)
	}
}

func TestFailingCanaryHaltsTheRollout(t *testing.T) {
	w, c := waves(t, canaryFirst), newClock()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	away := w.tenantFile("t00") + ".away"
	if err := os.Rename(w.tenantFile("t00"), away); err != nil {
		t.Fatal(err)
	}
	report := w.syncAt(c.now)
	if got := reasons(report); got["Missing"] != 1 || got["RolloutHalted"] < 18 { // the other canary came before it or after
		t.Errorf("got %v", got)
	}
	if r := w.rollout(); r.Status != state.Failed || r.Reason != "BudgetExceeded" || !r.Open() {
		t.Errorf("rollout: %+v", r)
	}

	// A tenant whose database comes back sets it going again.
	if err := os.Rename(away, w.tenantFile("t00")); err != nil {
		t.Fatal(err)
	}
	w.syncAt(c.now)
	if r := w.rollout(); r.Status != state.Running || r.Reason != "Baking" {
		t.Errorf("rollout: %+v", r)
	}
}

// A canary whose deployment is taken back by itself has failed, in later passes
// too, though it is only held by then.
func TestFailedVerificationHaltsTheRollout(t *testing.T) {
	w, c := waves(t, "onFailedVerify: rollback\n"+canaryFirst), newClock()
	w.onTenant("t00", "INSERT INTO customer (id, name) VALUES ('c1', 'nobody')")
	w.commit("phone", files{
		"apps/shop/objects/customer.yaml": customerWithPhone,
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\nverify: [\"SELECT id FROM customer WHERE name = 'nobody'\"]\n",
	})
	for range 2 {
		report := w.syncAt(c.now)
		if got := reasons(report); got["RolloutHalted"] < 18 {
			t.Errorf("got %v", got)
		}
		if r := w.rollout(); r.Reason != "BudgetExceeded" {
			t.Errorf("rollout: %+v", r)
		}
	}
}

// A wave stops as soon as its budget is spent, not when all of it has failed.
func TestBudgetStopsAWaveUnderWay(t *testing.T) {
	w := waves(t, "rollout: {maxConcurrent: 1, waves: [{name: all, failureBudget: {percent: 10}}]}\n")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	for i := range 20 {
		if err := os.Remove(w.tenantFile(fmt.Sprintf("t%02d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if got := reasons(w.sync()); got["Missing"] != 3 || got["RolloutHalted"] != 17 {
		t.Errorf("got %v", got)
	}
}

func TestNewerRevisionSupersedesARollout(t *testing.T) {
	w, c := waves(t, canaryFirst), newClock()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.syncAt(c.now)
	w.commit("vat", files{"apps/shop/objects/customer.yaml": customerWithPhone + "  vat: {type: text}\n"})
	if got := changed(w.syncAt(c.now)); got != "t00 t01" {
		t.Errorf("first wave of the newer revision: %s", got)
	}
	w.onStore(func(ctx context.Context, s *state.Store) error {
		first, err := s.Rollout(ctx, 1)
		if first.Reason != "Superseded" || first.Open() {
			t.Errorf("rollout 1: %+v", first)
		}
		return err
	})
	c.now = c.now.Add(10 * time.Minute)
	w.syncAt(c.now)
	if r := w.rollout(); r.ID != 2 || r.Status != state.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
}

// Tenants come and go while a rollout bakes. One that is new gets what git has,
// at once, and the rollout goes on as if nothing had happened.
func TestTenantCreatedMidRollout(t *testing.T) {
	w, c := waves(t, canaryFirst), newClock()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.syncAt(c.now)
	c.now = c.now.Add(9 * time.Minute)
	w.commit("a customer more", files{"tenants/new/tenant.yaml": tenantYAML("new"), "tenants/t19": ""})
	if got := changed(w.syncAt(c.now)); got != "new" {
		t.Errorf("deployed: %s", got)
	}
	if got := rowsOf(t, w.tenantFile("new"), "SELECT count(phone) FROM customer"); got != "0" {
		t.Errorf("the new tenant has no phones: %s", got)
	}
	c.now = c.now.Add(time.Minute)
	if got := changed(w.syncAt(c.now)); got != strings.TrimSuffix(restOfTwenty, " t19") {
		t.Errorf("second wave: %s", got)
	}
	if r := w.rollout(); r.ID != 1 || r.Status != state.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
}

func TestNamedTenantsDoNotWait(t *testing.T) {
	w, c := waves(t, canaryFirst), newClock()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.syncAt(c.now)
	r, closeAll := w.openWith(func(config *reconcile.Config) { config.Now = func() time.Time { return c.now } })
	report, err := r.Sync(t.Context(), reconcile.Selection{Tenants: []protocol.TenantID{"t07"}})
	closeAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := changed(report); got != "t07" {
		t.Errorf("deployed: %s", got)
	}
	w.onStore(func(ctx context.Context, s *state.Store) error {
		list, err := s.RolloutDeployments(ctx, 1)
		var ids []string
		for _, d := range list {
			ids = append(ids, string(d.Tenant))
		}
		if want := []string{"t00", "t01", "t07"}; !slices.Equal(ids, want) {
			t.Errorf("deployments of the rollout: got %q, want %q", ids, want)
		}
		return err
	})
}

func TestWindowPromotionAndPause(t *testing.T) {
	w, c := waves(t, "windows: [{cron: '0 2 * * *', duration: 2h, timezone: Europe/Berlin}]\n"), newClock()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	if got := reasons(w.syncAt(c.now)); got["WaitingForWave"] != 20 {
		t.Errorf("outside the window: %v", got)
	}
	if r := w.rollout(); r.Reason != "OutsideWindow" || !strings.Contains(r.Message, "2026-03-05T01:00:00Z") {
		t.Errorf("rollout: %+v", r)
	}
	w.changeRollout(func(r *state.Rollout) { r.Promoted = []protocol.TenantID{"t11"} })
	if got := changed(w.syncAt(c.now)); got != "t11" {
		t.Errorf("promoted: %s", got)
	}
	w.changeRollout(func(r *state.Rollout) { r.Paused = "ada paused it" })
	c.now = c.now.Add(13 * time.Hour)
	if got := reasons(w.syncAt(c.now)); got["RolloutPaused"] != 19 {
		t.Errorf("paused: %v", got)
	}
	w.changeRollout(func(r *state.Rollout) { r.Paused = "" })
	w.syncAt(c.now)
	if r := w.rollout(); r.Status != state.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
}

// A policy that changes statements changes every tenant, and goes in waves too.
func TestPolicyGoesInWaves(t *testing.T) {
	w, c := waves(t, canaryFirst+"notNull: strict\n"), newClock()
	w.commit("engine", files{"fleet.yaml": "policy: {narrowing: allow, destructive: allow}\ndrift: heal\nnotNull: engine\n" + canaryFirst})
	report := w.syncAt(c.now)
	if got := changed(report); got != "t00 t01" {
		t.Errorf("deployed: %s (%v)", got, reasons(report))
	}
}

// The daemon goes from wave to wave by itself, and a kill in between costs
// nothing: another one goes on.
func TestDaemonCarriesARolloutOn(t *testing.T) {
	w := waves(t, "rollout: {waves: [{name: canary, match: {tier: canary}, bake: 300ms}, {name: all}]}\n")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	until := func(done func(reconcile.Report) bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		r, closeAll := w.openWith(func(config *reconcile.Config) {
			config.Poll = time.Hour
			config.OnPass = func(r reconcile.Report, err error) {
				if err != nil {
					t.Error(err)
				}
				if err != nil || done(r) {
					cancel()
				}
			}
		})
		defer closeAll()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	until(func(r reconcile.Report) bool { return changed(r) == "t00 t01" })
	until(func(r reconcile.Report) bool { return changed(r) == restOfTwenty })
	if r := w.rollout(); r.ID != 1 || r.Status != state.Succeeded {
		t.Errorf("rollout: %+v", r)
	}
}

// Tenants that failed before come after those that are well.
func TestFailingTenantsComeLast(t *testing.T) {
	w := waves(t, "rollout: {maxConcurrent: 1}\n")
	w.sync() // a database is known from the pass after the one that made it
	for _, id := range []string{"t00", "t01", "t02"} {
		if err := os.Remove(w.tenantFile(id)); err != nil {
			t.Fatal(err)
		}
	}
	w.sync()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	var order []string
	r, closeAll := w.openWith(func(config *reconcile.Config) {
		config.OnTenant = func(t reconcile.Tenant) { order = append(order, string(t.ID)) }
	})
	defer closeAll()
	if _, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order[len(order)-3:], " "); len(order) != 20 || got != "t00 t01 t02" {
		t.Errorf("order: %v", order)
	}
}

// What is left of them waits for the next pass when there is something else to
// do: here a command, elsewhere a push.
func TestFailingTenantsGiveWay(t *testing.T) {
	w := waves(t, "rollout: {maxConcurrent: 1}\n")
	w.sync()
	for _, id := range []string{"t00", "t01", "t02"} {
		if err := os.Remove(w.tenantFile(id)); err != nil {
			t.Fatal(err)
		}
	}
	w.sync()
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tried []int
	var r *reconcile.Reconciler
	r, closeAll := w.openWith(func(config *reconcile.Config) {
		config.Poll = time.Hour
		config.OnTenant = func(one reconcile.Tenant) {
			if one.Problem() && len(tried) == 0 {
				if err := r.Notice(ctx); err != nil {
					t.Error(err)
				}
			}
		}
		config.OnPass = func(report reconcile.Report, err error) {
			n := 0
			for _, one := range report.Tenants {
				if one.Problem() && !one.Waiting() {
					n++
				}
			}
			if tried = append(tried, n); err != nil || len(tried) == 2 {
				cancel()
			}
		}
	})
	defer closeAll()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 3}; !slices.Equal(tried, want) {
		t.Errorf("failing tenants tried in each pass: got %v, want %v", tried, want)
	}
	if got := rowsOf(t, w.tenantFile("t19"), "SELECT count(phone) FROM customer"); got != "0" {
		t.Errorf("t19: %s", got)
	}
}

func TestGuardHoldsRemovalsBack(t *testing.T) {
	w := waves(t, "")
	before := content(t, w.tenantFile("t19"))
	w.commit("away", files{"tenants/t18": "", "tenants/t19": ""})
	report := w.sync()
	if report.Waiting == nil || report.Waiting.Reason != "DeletionGuard" || tenantOf(t, report, "t19").Result.Reason != "DeletionGuard" {
		t.Errorf("got %+v, %v", report.Waiting, reasons(report))
	}
	w.onStore(func(ctx context.Context, s *state.Store) error {
		pass, _, err := s.LastPass(ctx)
		if pass.WaitingReason != "DeletionGuard" || !strings.Contains(pass.WaitingNext, "reconciler confirm") {
			t.Errorf("pass: %+v", pass)
		}
		return err
	})
	confirm := func(revision string) {
		w.onStore(func(ctx context.Context, s *state.Store) error {
			return s.Confirm(ctx, state.Confirmation{Revision: revision, Actor: "ada"})
		})
	}
	confirm(report.Revision.Hash)
	commit := w.commit("words", files{"README.md": "words\n"})
	if report = w.sync(); report.Waiting == nil {
		t.Error("the confirmation of one commit was taken for another")
	}
	if after := content(t, w.tenantFile("t19")); after != before {
		t.Error("the tenant has changed while its removal waits")
	}
	confirm(commit)
	if report = w.sync(); report.Waiting != nil || tenantOf(t, report, "t19").Result.Reason != "Removed" {
		t.Errorf("confirmed: got %+v, %v", report.Waiting, reasons(report))
	}
}

func TestTreeWithoutTenantsIsConfirmed(t *testing.T) {
	w := waves(t, "")
	commit := w.commit("away", files{"tenants": ""})
	w.onStore(func(ctx context.Context, s *state.Store) error {
		return s.Confirm(ctx, state.Confirmation{Revision: commit, Actor: "ada"})
	})
	if got := reasons(w.sync()); got["Removed"] != 20 {
		t.Errorf("got %v", got)
	}
}

// One process, which reads no more at a commit that it has been at than it must.
func TestTreeWithoutTenantsWaitsAtEachPass(t *testing.T) {
	w := waves(t, "")
	commit := w.commit("away", files{"tenants": ""})
	r, closeAll := w.open()
	defer closeAll()
	for range 2 {
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		if err == nil || report.Waiting == nil || report.Waiting.Reason != "NoTenants" {
			t.Errorf("got %+v, %v", report.Waiting, err)
		}
	}
	if err := r.Store.Confirm(t.Context(), state.Confirmation{Revision: commit, Actor: "ada"}); err != nil {
		t.Fatal(err)
	}
	report, err := r.Sync(t.Context(), reconcile.Selection{})
	if got := reasons(report); got["Removed"] != 20 || err != nil {
		t.Errorf("confirmed: got %v, %v", got, err)
	}
}

func TestTreeWithoutTenantsChangesNothing(t *testing.T) {
	w := waves(t, "")
	w.commit("away", files{"tenants": ""})
	r, closeAll := w.open()
	_, err := r.Sync(t.Context(), reconcile.Selection{})
	closeAll()
	if err == nil || !strings.Contains(err.Error(), "no tenant") {
		t.Errorf("got %v", err)
	}
	w.onStore(func(ctx context.Context, s *state.Store) error {
		pass, _, err := s.LastPass(ctx)
		if pass.WaitingReason != "NoTenants" || pass.WaitingRevision != w.git("rev-parse", "HEAD") {
			t.Errorf("pass: %+v", pass)
		}
		return err
	})
	w.git("revert", "--no-edit", "HEAD")
	report := w.sync()
	if got := slices.Collect(maps.Keys(reasons(report))); len(got) > 0 || report.Status != state.Succeeded {
		t.Errorf("after the next good commit: %s, %v", report.Status, got)
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// passAt runs one pass at a time.
func (w *world) passAt(now time.Time) reconcile.Report {
	w.t.Helper()
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.Now, c.By = func() time.Time { return now }, deploy.Doer{Actor: "ada", Via: "test"}
		c.Snapshots = deploy.Snapshots{Dir: filepath.Join(w.data, "snapshots")}
	})
	defer closeAll()
	report, err := r.Sync(w.t.Context(), reconcile.Selection{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// insertAs writes to a tenant as an application that heeds the mark does.
func (w *world) insertAs(id, name string) error {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), w.tenantFile(id), libsql.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := apply.Honor(w.t.Context(), conn); err != nil {
		return err
	}
	_, err = conn.Exec(w.t.Context(), "INSERT INTO customer (id, name, email) VALUES (?, ?, ?)", name, name, name+"@example.com")
	return err
}

const countCustomers = "SELECT count(*) FROM customer"

// exists tells whether a tenant has a database.
func (w *world) exists(id string) bool {
	_, err := os.Stat(w.tenantFile(id))
	return err == nil
}

// without removes directories of tenants in one commit.
func (w *world) without(ids ...string) string {
	gone := files{}
	for _, id := range ids {
		gone["tenants/"+id] = ""
	}
	return w.commit("remove "+strings.Join(ids, ", "), gone)
}

func TestSuspendedTenantIsReadOnlyAndWaits(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	must(t, w.insertAs("acme", "ada"))
	w.commit("acme does not pay", files{"tenants/acme/tenant.yaml": tenantYAML("acme") + "provisioningStatus: suspended\n"})
	if got := tenantOf(t, w.sync(), "acme"); got.Health != state.Suspended {
		t.Fatalf("got %+v", got)
	}
	if err := w.insertAs("acme", "bo"); !errors.Is(err, database.ErrReadOnly) {
		t.Errorf("got error %v of a write, want ErrReadOnly", err)
	}
	must(t, w.insertAs("globex", "bo"))
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.sync()
	const columns = "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'phone'"
	if acme, globex := w.rows("acme", columns), w.rows("globex", columns); acme != "0" || globex != "1" {
		t.Errorf("phone is in acme %s times and in globex %s times, want 0 and 1", acme, globex)
	}
	w.commit("acme pays", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
	if got := tenantOf(t, w.sync(), "acme"); got.Health != state.Healthy || !got.Result.Changed {
		t.Errorf("got %+v", got)
	}
	must(t, w.insertAs("acme", "bo"))
	if got := w.rows("acme", columns); got != "1" {
		t.Error("the deployment that waited is not there")
	}
	want := []string{"deployed", "provisioned", "suspended", "resumed", "deployed"}
	if got := w.kindsOf("acme"); !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// kindsOf are the kinds of a tenant's events, oldest first.
func (w *world) kindsOf(id string) []string {
	list := kinds(w.events(id))
	slices.Reverse(list)
	return list
}

// A mark that state does not know of, as after state was lost, is taken back
// when git says that the tenant is active.
func TestMarkThatIsNotRecorded(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	w.onTenant("acme", "INSERT INTO _reconciler_meta (key, value) VALUES ('suspended', '2026-01-01T00:00:00Z')")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	if got := tenantOf(t, w.sync(), "acme"); got.Health != state.Healthy || !got.Result.Changed {
		t.Errorf("got %+v", got)
	}
	must(t, w.insertAs("acme", "ada"))
}

func TestRemovedTenant(t *testing.T) {
	w := newWorld(t, shop("acme", "globex", "initech"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	commit := w.without("acme")
	got := tenantOf(t, w.passAt(now), "acme")
	if got.Health != state.Suspended || got.Result.Reason != "Removed" || !strings.Contains(got.Result.Message, "2026-05-04T12:00:00Z") {
		t.Fatalf("got %+v", got)
	}
	if err := w.insertAs("acme", "bo"); !errors.Is(err, database.ErrReadOnly) {
		t.Errorf("got error %v of a write, want ErrReadOnly", err)
	}
	w.passAt(now.Add(71 * time.Hour))
	if got := w.rows("acme", countCustomers); got != "1" {
		t.Errorf("got %s rows within the time of grace, want 1", got)
	}
	if got := tenantOf(t, w.passAt(now.Add(73*time.Hour)), "acme"); got.Result.Reason != "Destroyed" {
		t.Errorf("got %+v", got)
	}
	if w.exists("acme") || !w.exists("globex") {
		t.Error("want the database of acme gone, and that of globex there")
	}
	for _, tenant := range w.passAt(now.Add(74 * time.Hour)).Tenants {
		if tenant.ID == "acme" {
			t.Errorf("the tenant is still reported: %+v", tenant)
		}
	}
	backups := w.backups("acme")
	if len(backups) != 1 || backups[0].rows != "1" || backups[0].Actor != "ada" {
		t.Errorf("got backups %+v, want one with a row", backups)
	}
	_ = commit
	want := []string{"deployed", "provisioned", "removed", "backed_up", "destroyed"}
	if got := w.kindsOf("acme"); !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
	w.commit("acme is back", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
	if got := tenantOf(t, w.passAt(now.Add(75*time.Hour)), "acme"); !got.Result.Changed {
		t.Errorf("a new tenant of the name is not provisioned: %+v", got)
	}
}

// backup is a recorded backup that is there, and what is in it.
type backup struct {
	state.Backup
	rows string
}

func (w *world) backups(id string) []backup {
	w.t.Helper()
	store, err := state.Open(w.t.Context(), filepath.Join(w.data, "state.db"), state.Options{ReadOnly: true})
	must(w.t, err)
	defer store.Close()
	list, err := store.Backups(w.t.Context(), protocol.TenantID(id))
	must(w.t, err)
	var found []backup
	for _, b := range list {
		at, err := url.Parse(b.URL)
		must(w.t, err)
		found = append(found, backup{b, rowsOf(w.t, at.Path, countCustomers)})
	}
	return found
}

// A directory that is put back in time gives the tenant back as it was.
func TestRemovalIsCancelled(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	w.without("acme")
	w.passAt(now)
	w.git("revert", "--no-edit", "HEAD")
	if got := tenantOf(t, w.passAt(now.Add(time.Hour)), "acme"); got.Health != state.Healthy {
		t.Errorf("got %+v", got)
	}
	must(t, w.insertAs("acme", "bo"))
	w.passAt(now.Add(100 * time.Hour))
	if got := w.rows("acme", countCustomers); got != "2" {
		t.Errorf("got %s rows, want 2", got)
	}
	if got := w.tenants()["acme"]; got.Status != protocol.TenantActive || !got.RemovedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// isBack makes sure that a tenant whose removal was taken back has the row that it
// had, and takes another.
func (w *world) isBack(tenant string, at time.Time) {
	w.t.Helper()
	if got := tenantOf(w.t, w.passAt(at), tenant); got.Health != state.Healthy {
		w.t.Errorf("got %+v", got)
	}
	must(w.t, w.insertAs(tenant, "bo"))
	if got := w.rows(tenant, countCustomers); got != "2" {
		w.t.Errorf("got %s rows, want 2", got)
	}
}

// A removal that did not get to destroy the database is taken back even after
// the time of grace.
func TestRemovalThatFailedIsCancelled(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	w.without("acme")
	w.passAt(now)
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c1', 'Ada')") // past the mark, so that there is something to back up
	backups := filepath.Join(w.data, "backups")
	must(t, os.Rename(backups, backups+".away"))
	must(t, os.WriteFile(backups, nil, 0o600))
	later := now.Add(100 * time.Hour)
	if got := tenantOf(t, w.passAt(later), "acme"); got.Result.Reason != "RemovalFailed" {
		t.Fatalf("got %+v, want a removal that fails", got)
	}
	w.git("revert", "--no-edit", "HEAD")
	must(t, os.Remove(backups))
	must(t, os.Rename(backups+".away", backups))
	w.isBack("acme", later)
}

// So is one that was interrupted before it destroyed the database.
func TestRemovalThatWasInterruptedIsCancelled(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	w.without("acme")
	w.passAt(now)
	store, err := state.Open(t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	must(t, err)
	known, err := store.Tenant(t.Context(), "acme")
	must(t, err)
	for i := range known.Steps {
		known.Steps[i].Status = protocol.StepCompleted
	}
	known.Steps[len(known.Steps)-1].Status = protocol.StepRunning
	must(t, errors.Join(store.SaveLifecycle(t.Context(), "acme", known.Lifecycle), store.Close()))
	w.git("revert", "--no-edit", "HEAD")
	w.isBack("acme", now.Add(100*time.Hour))
}

// So is one that is put back while the pass goes on that would destroy the
// database.
func TestRemovalIsCancelledDuringThePass(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	w.without("acme")
	w.passAt(now)
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.Now = func() time.Time { return now.Add(100 * time.Hour) }
		c.OnRead = func(int) { w.git("revert", "--no-edit", "HEAD") }
	})
	report, err := r.Sync(t.Context(), reconcile.Selection{})
	closeAll()
	must(t, err)
	if got := tenantOf(t, report, "acme"); got.Result.Reason != "Removed" || !strings.Contains(got.Result.Message, "has moved") {
		t.Errorf("got %+v", got.Result)
	}
	if got := tenantOf(t, w.passAt(now.Add(100*time.Hour)), "acme"); got.Health != state.Healthy {
		t.Errorf("got %+v", got)
	}
	must(t, w.insertAs("acme", "ada"))
}

// A clock that is set forward ends no time of grace and no retention: it may be put
// right.
func TestClockIsSetForward(t *testing.T) {
	content := shop("acme", "globex", "initech")
	content["fleet.yaml"] = "graceHours: 0\n"
	content["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, content)
	w.sync()
	must(t, w.insertAs("acme", "ada"))
	w.onTenant("globex", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '1')")
	w.without("initech")
	w.sync()
	w.commit("less", files{"tenants/acme": "", "apps/shop/objects/customer.yaml": customer, "fleet.yaml": "graceHours: 72\n"})
	var ahead time.Duration
	now := func(c *reconcile.Config) { c.Now = func() time.Time { return time.Now().Add(ahead) } }
	r, closeAll := w.openWith(now)
	const phones = "SELECT count(*) FROM pragma_table_info('customer') WHERE name LIKE '%phone'"
	for _, ahead = range []time.Duration{0, 10_000 * time.Hour, 10_000*time.Hour + time.Minute} {
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		must(t, err)
		if got := tenantOf(t, report, "acme"); ahead > 0 && !strings.Contains(got.Result.Message, "clock") || !w.exists("acme") {
			t.Errorf("got %+v", got.Result)
		}
		kept, err := r.Store.Backups(t.Context(), "initech")
		must(t, err)
		if len(kept) != 1 || !kept[0].ErasedAt.IsZero() || w.rows("globex", phones) != "1" {
			t.Errorf("got backups %+v and %s columns of phones", kept, w.rows("globex", phones))
		}
	}
	closeAll()
	r, closeAll = w.openWith(now) // somebody takes it for right
	defer closeAll()
	_, err := r.Sync(t.Context(), reconcile.Selection{})
	must(t, err)
	if w.exists("acme") || w.rows("globex", phones) != "0" {
		t.Error("what is past its time stays")
	}
}

// A database that a removed tenant has left, as where its volume was away when it
// was to be destroyed, is not given to a new tenant of the id without a word.
func TestDatabaseOfARemovedTenantOfTheID(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	w.without("acme")
	w.passAt(now)
	must(t, os.Rename(w.tenantFile("acme"), w.tenantFile("acme")+".away"))
	w.passAt(now.Add(100 * time.Hour))
	must(t, os.Rename(w.tenantFile("acme")+".away", w.tenantFile("acme")))
	w.git("revert", "--no-edit", "HEAD")
	got := tenantOf(t, w.passAt(now.Add(101*time.Hour)), "acme")
	if got.Result.Reason != "Suspended" || !strings.Contains(got.Result.Next, "tenant resume acme --now") {
		t.Errorf("got %+v", got.Result)
	}
	if got := w.rows("acme", countCustomers); got != "1" {
		t.Errorf("got %s rows, want 1", got)
	}
}

// What looks like an accident removes and suspends nothing.
func TestDeletionGuard(t *testing.T) {
	ids := []string{"acme", "globex", "hooli", "initech"}
	for name, push := range map[string]func(*world){
		"more than the guard lets go": func(w *world) { w.without("acme", "globex") },
		"a tree without a tenant":     func(w *world) { w.without(ids...) },
		"a directory without its file": func(w *world) {
			w.commit("lost", files{"tenants/acme/tenant.yaml": "", "tenants/acme/objects/x.yaml": "name: x\nfields: {a: {type: text}}\n"})
		},
		"a broken file": func(w *world) { w.commit("typo", files{"tenants/acme/tenant.yaml": "id: [\n"}) },
		"a broken fleet": func(w *world) {
			w.commit("typo", files{"fleet.yaml": "graceHours: soon\n", "tenants/acme": ""})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, shop(ids...))
			w.sync()
			push(w)
			r, closeAll := w.open()
			for range 2 {
				_, _ = r.Sync(t.Context(), reconcile.Selection{}) // a fleet that cannot be read is an error
			}
			closeAll()
			for _, id := range ids {
				if err := w.insertAs(id, "ada"); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			for id, tenant := range w.tenants() {
				if !tenant.RemovedAt.IsZero() || tenant.Status != protocol.TenantActive {
					t.Errorf("%s: got %+v", id, tenant.Lifecycle)
				}
			}
		})
	}
}

// A plan says what the next pass does with tenants that git no longer has.
func TestPlanOfRemovals(t *testing.T) {
	w := newWorld(t, shop("acme", "globex", "hooli"))
	w.commit("own", files{"tenants/hooli/tenant.yaml": tenantYAML("hooli") + "connectionConfig: {url: \"file:tenants/hooli.db\"}\n"})
	w.sync()
	plan := func() reconcile.Report {
		r, closeAll := w.open()
		defer closeAll()
		report, err := r.Plan(t.Context(), reconcile.Selection{})
		must(t, err)
		return report
	}
	w.without("acme", "globex")
	if got := tenantOf(t, plan(), "acme"); got.Result.Reason != "DeletionGuard" || got.Health != state.Blocked {
		t.Errorf("got %s (%s), want that the guard keeps it", got.Result.Reason, got.Health)
	}
	for _, c := range []struct{ id, want string }{{"acme", "becomes read-only, and destroyed after "}, {"hooli", "becomes read-only, and left where it is"}} {
		w.git("reset", "--hard", "HEAD~1")
		w.without(c.id)
		if got := tenantOf(t, plan(), c.id); !strings.Contains(got.Result.Message, c.want) || got.Sync != state.OutOfSync {
			t.Errorf("%s: got %s with %q, want %q in it", c.id, got.Sync, got.Result.Message, c.want)
		}
	}
	if got := tenantOf(t, w.sync(), "hooli"); !strings.Contains(got.Result.Message, "is read-only, and left where it is") {
		t.Errorf("got %q", got.Result.Message)
	}
	if got := tenantOf(t, plan(), "hooli"); !strings.Contains(got.Result.Message, "is read-only, and left where it is") {
		t.Errorf("got %q for a removal that has begun", got.Result.Message)
	} else if got.Sync != state.Synced {
		t.Errorf("got %s for a removal of which nothing is due", got.Sync)
	}
}

// The removals of a pass over an old revision, or over some tenants, are none.
func TestOnlyTheBranchRemoves(t *testing.T) {
	w := newWorld(t, shop("acme"))
	first := w.git("rev-parse", "HEAD")
	w.commit("more", files{"tenants/globex/tenant.yaml": tenantYAML("globex")})
	w.sync()
	for _, s := range []reconcile.Selection{{Revision: first}, {Tenants: []protocol.TenantID{"acme"}}} {
		r, closeAll := w.open()
		if _, err := r.Sync(t.Context(), s); err != nil {
			t.Error(err)
		}
		closeAll()
	}
	must(t, w.insertAs("globex", "ada"))
}

// A pass over an old revision heeds what that says of how long things are kept
// and of legal holds no more than of which tenants there are.
func TestOnlyTheBranchSaysWhatIsKept(t *testing.T) {
	content := shop("acme", "globex", "initech")
	content["fleet.yaml"] = "graceHours: 0\nretention: 0s\nbackup: {retention: 1h}\n"
	content["apps/shop/objects/customer.yaml"] = customerWithPhone
	w := newWorld(t, content)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	w.onTenant("globex", "INSERT INTO customer (id, name, phone) VALUES ('c1', 'Ada', '1')")
	w.commit("keep", files{
		"fleet.yaml":                      "graceHours: 0\nretention: 365d\nbackup: {retention: 365d}\n",
		"apps/shop/objects/customer.yaml": customer,
		"tenants/globex/tenant.yaml":      tenantYAML("globex") + "legalHold: {reason: case 7}\n",
	})
	w.passAt(now)
	w.without("acme")
	w.passAt(now)
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Now = func() time.Time { return now.Add(24 * time.Hour) } })
	_, err := r.Sync(t.Context(), reconcile.Selection{Revision: w.git("rev-parse", "HEAD~2"), Tenants: []protocol.TenantID{"globex"}})
	closeAll()
	must(t, err)
	if got := w.backups("acme"); len(got) != 1 || !got[0].ErasedAt.IsZero() {
		t.Errorf("got backups %+v, want one", got)
	}
	if got := w.tenants()["globex"].Spec.LegalHold; got == nil || got.Reason != "case 7" {
		t.Errorf("got legal hold %+v, want that of the branch", got)
	}
	if got := w.rows("globex", "SELECT count(phone) FROM customer"); got != "1" {
		t.Errorf("got %s phones, want 1", got)
	}
}

// A tenant that was renamed and has come to the database of its old name keeps
// it.
func TestRenamedTenantKeepsItsDatabase(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	w.commit("rename", files{
		"tenants/acme":              "",
		"tenants/acme2/tenant.yaml": tenantYAML("acme2") + "connectionConfig: {url: \"file:tenants/acme.db\"}\n",
	})
	w.passAt(now)
	w.passAt(now.Add(1000 * time.Hour))
	if got := w.rows("acme", countCustomers); got != "1" {
		t.Errorf("got %s rows, want 1", got)
	}
}

// So does one whose new directory is broken, which nothing was ever deployed to.
func TestRenamedTenantThatIsBrokenKeepsItsDatabase(t *testing.T) {
	for name, file := range map[string]string{
		"tenants/acme2/tenant.yaml": tenantYAML("acme2") + "connectionConfig: {url: \"file:tenants/acme.db\"}\nwrong: 1\n",
		"tenants/Acme/tenant.yaml":  tenantYAML("Acme"),
	} {
		w := newWorld(t, shop("acme", "globex"))
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		w.passAt(now)
		must(t, w.insertAs("acme", "ada"))
		w.commit("rename", files{"tenants/acme": "", name: file})
		w.passAt(now)
		got := tenantOf(t, w.passAt(now.Add(1000*time.Hour)), "acme")
		if !strings.Contains(got.Result.Message, "under another name") || !strings.Contains(got.Result.Next, filepath.Dir(name)) {
			t.Errorf("%s: got %+v", name, got.Result)
		}
		if !w.exists("acme") {
			t.Fatalf("%s: the database is gone", name)
		}
		w.commit("no tenant", files{filepath.Dir(name): ""})
		if got := tenantOf(t, w.passAt(now.Add(1000*time.Hour)), "acme"); got.Result.Reason != "Destroyed" {
			t.Errorf("%s: got %+v", name, got.Result)
		}
	}
}

func TestHooksOfFleet(t *testing.T) {
	const hooks = "databases:\n  lifecycle:\n    onTenantCreate: {autoCreate: %v}\n" +
		"    onTenantDelete: {immediate: %v, createBackup: %v}\n    onTenantSuspend: {readOnly: %v}\n"
	w := newWorld(t, shop("acme", "globex"))
	w.commit("no databases", files{"fleet.yaml": fmt.Sprintf(hooks, false, true, false, false)})
	if got := tenantOf(t, w.sync(), "acme"); got.Result.Reason != "Missing" || w.exists("acme") || !strings.Contains(got.Result.Message, "autoCreate") {
		t.Errorf("got %+v", got)
	}
	w.commit("databases", files{"fleet.yaml": fmt.Sprintf(hooks, true, true, false, false)})
	w.sync()
	w.commit("suspend", files{"tenants/globex/tenant.yaml": tenantYAML("globex") + "provisioningStatus: suspended\n"})
	w.sync()
	must(t, w.insertAs("globex", "ada"))
	w.without("acme")
	w.sync()
	if w.exists("acme") || len(w.backups("acme")) > 0 {
		t.Error("want the database destroyed at once and without a backup")
	}
}

func TestLegalHoldKeepsARemovedTenant(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.commit("case", files{"tenants/acme/tenant.yaml": tenantYAML("acme") + "legalHold: {reason: case 7}\n"})
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	w.without("acme")
	w.passAt(now)
	got := tenantOf(t, w.passAt(now.Add(10_000*time.Hour)), "acme")
	if got.Result.Reason != "LegalHold" || !strings.Contains(got.Result.Message, "case 7") || got.Result.Next == "" {
		t.Errorf("got %+v", got)
	}
	if got := w.rows("acme", countCustomers); got != "1" {
		t.Errorf("got %s rows, want 1", got)
	}
}

// A hold counts from the commit that sets it, whatever else is wrong with that.
func TestLegalHoldOfABrokenTenant(t *testing.T) {
	for name, broken := range map[string]files{
		"an object": {
			"tenants/acme/tenant.yaml":     tenantYAML("acme") + "legalHold: {reason: case 7}\n",
			"tenants/acme/objects/no.yaml": "name: no\n",
		},
		"its file": {"tenants/acme/tenant.yaml": tenantYAML("acme") + "legalHold: {reason: case 7}\nwrong: 1\n"},
	} {
		w := newWorld(t, shop("acme", "globex"))
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		w.passAt(now)
		w.commit("case", broken)
		w.passAt(now)
		w.without("acme")
		w.passAt(now)
		got := tenantOf(t, w.passAt(now.Add(10_000*time.Hour)), "acme")
		if got.Result.Reason != "LegalHold" || !strings.Contains(got.Result.Message, "case 7") || !w.exists("acme") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Purging what was retired waits for the end of a legal hold too.
func TestLegalHoldKeepsWhatIsRetired(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.commit("case", files{
		"tenants/acme/tenant.yaml":        tenantYAML("acme") + "legalHold: {reason: case 7}\n",
		"apps/shop/objects/customer.yaml": customerWithPhone,
	})
	w.passAt(now)
	for _, id := range []string{"acme", "globex"} {
		must(t, w.insertAs(id, "ada"))
		w.onTenant(id, "UPDATE customer SET phone = '1'")
	}
	w.commit("no phone", files{"apps/shop/objects/customer.yaml": customer})
	w.passAt(now)
	w.passAt(now.Add(1000 * time.Hour))
	const retired = "SELECT count(*) FROM pragma_table_info('customer') WHERE name LIKE '\\_retired%' ESCAPE '\\'"
	if diff := cmp.Diff([]string{"1", "0"}, []string{w.rows("acme", retired), w.rows("globex", retired)}); diff != "" {
		t.Errorf("columns that are kept (-want +got):\n%s", diff)
	}
}

// What was done through the service goes before what git says, until git says
// it too.
func TestPendingGoesBeforeGit(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.sync()
	r, closeAll := w.open()
	must(t, r.Life().SuspendTenant(t.Context(), "acme"))
	must(t, r.Life().MigrateTenantPlan(t.Context(), "acme", protocol.PlanFree))
	must(t, r.Life().DestroyTenant(t.Context(), "globex"))
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	report, err := r.Sync(t.Context(), reconcile.Selection{})
	must(t, err)
	closeAll()
	if got := tenantOf(t, report, "acme"); got.Health != state.Suspended {
		t.Errorf("acme: got %+v", got)
	}
	if got := tenantOf(t, report, "globex"); got.Result.Reason != "Removed" {
		t.Errorf("globex: got %+v", got)
	}
	if got := w.tenants()["acme"]; got.Spec.Plan != protocol.PlanFree || got.Pending != "status,plan" {
		t.Errorf("acme: got %+v", got)
	}
	w.commit("said", files{
		"tenants/acme/tenant.yaml": strings.Replace(tenantYAML("acme"), "pro", "free", 1) + "provisioningStatus: suspended\n",
		"tenants/globex":           "",
	})
	w.sync()
	if got := w.tenants()["acme"]; got.Pending != "" || got.Status != protocol.TenantSuspended {
		t.Errorf("acme: got %+v", got)
	}
	if got := w.tenants()["globex"]; got.Pending != "" || got.Status != protocol.TenantDestroying {
		t.Errorf("globex: got %+v", got)
	}
	w.commit("active", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
	w.sync()
	must(t, w.insertAs("acme", "ada"))
}

// broken is a provider whose disk is full.
type broken struct{ provision.Provider }

func (broken) Open(context.Context, provision.Database, bool) (database.Conn, error) {
	return nil, database.ErrFull
}

// A sign-up that did not come to its end, and one that git does not have, are
// carried on and never taken for removed.
func TestSignUpIsRecovered(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.commit("sign-ups", files{"fleet.yaml": "signUp: {apps: [{name: shop}]}\ndeletionGuard: {tenants: 100, percent: 100}\ngraceHours: 0\n"})
	w.sync()
	r, closeAll := w.open()
	well := r.Life().Provider
	r.Life().Provider = broken{well}
	result, err := r.Life().ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "beta"})
	must(t, err)
	if result.Status != protocol.TenantFailed || !strings.Contains(result.Error, "full") || result.Steps[0].Status != protocol.StepFailed {
		t.Errorf("got %+v", result)
	}
	closeAll()
	for range 2 {
		w.sync()
		if got := w.tenants()["beta"]; got.Status != protocol.TenantActive || !got.PendingCommit() {
			t.Errorf("got %+v", got)
		}
		must(t, w.insertAs("beta", fmt.Sprint("row", time.Now().UnixNano())))
	}
	commit := w.commit("beta", files{"tenants/beta/tenant.yaml": tenantYAML("beta") + "orgId: beta\n"})
	w.sync()
	if got := w.tenants()["beta"]; got.Revision != commit || got.PendingCommit() || got.Origin != state.FromSignUp {
		t.Errorf("got %+v", got)
	}
	if got := w.rows("beta", countCustomers); got != "2" {
		t.Errorf("got %s rows, want 2", got)
	}
}

// A hold keeps a tenant from being removed, and from being destroyed, until it
// ends.
func TestHeldTenantIsNotRemoved(t *testing.T) {
	w := newWorld(t, shop("acme", "globex", "hooli"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.passAt(now)
	must(t, w.insertAs("acme", "ada"))
	all := state.Hold{Owner: "ops", Reason: "freeze"}
	store, err := state.Open(t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	must(t, err)
	must(t, store.SetHold(t.Context(), all))
	holds, err := store.Holds(t.Context())
	must(t, err)
	must(t, store.Close())
	w.commit("remove one, break one", files{"tenants/acme": "", "tenants/globex/tenant.yaml": "id: [\n"})
	for _, at := range []time.Time{now, now.Add(1000 * time.Hour)} {
		report := w.passAt(at)
		if got := tenantOf(t, report, "acme"); got.Result.Reason != "Held" || got.Problem() {
			t.Errorf("got %+v", got)
		}
		if got := tenantOf(t, report, "globex"); got.Result.Reason != "InvalidBundle" {
			t.Errorf("got %+v", got)
		}
	}
	must(t, w.insertAs("acme", "bo"))
	store, err = state.Open(t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	must(t, err)
	_, err = store.EndHold(t.Context(), holds[0], state.Event{Kind: state.EventReleased})
	must(t, err)
	must(t, store.Close())
	if got := tenantOf(t, w.passAt(now), "acme"); got.Result.Reason != "Removed" {
		t.Errorf("got %+v", got)
	}
}

// A removal that git does not say yet is not carried to its end: git would have
// the tenant made anew.
func TestPendingRemovalWaitsForGit(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	w.commit("no grace", files{"fleet.yaml": "graceHours: 0\n"})
	w.sync()
	must(t, w.insertAs("acme", "ada"))
	r, closeAll := w.open()
	must(t, r.Life().DestroyTenant(t.Context(), "acme"))
	closeAll()
	got := tenantOf(t, w.sync(), "acme")
	if !strings.Contains(got.Result.Message, "once git no longer has it") || w.rows("acme", countCustomers) != "1" {
		t.Errorf("got %+v", got)
	}
	w.without("acme")
	if got := tenantOf(t, w.sync(), "acme"); got.Result.Reason != "Destroyed" || w.exists("acme") {
		t.Errorf("got %+v", got)
	}
}

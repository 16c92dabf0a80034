package reconcile_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// shopWithDrift is the shop with another reaction to drift.
func shopWithDrift(reaction string, tenants ...string) files {
	content := shop(tenants...)
	content["fleet.yaml"] = "drift: " + reaction + "\npolicy: {narrowing: allow, destructive: allow}\n"
	content["apps/shop/views/customers.yaml"] = "name: customers\nlist: {type: grid, data: {provider: object, object: customer}, columns: [name]}\n"
	return content
}

// drift looks for drift in every tenant, or in those named, as a process of
// its own would that has no repository.
func (w *world) drift(ids ...protocol.TenantID) map[string]reconcile.Drifted {
	w.t.Helper()
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Repo, c.ReadOnly = nil, true })
	defer closeAll()
	found, err := r.Drift(w.t.Context(), ids)
	if err != nil {
		w.t.Fatal(err)
	}
	byID := map[string]reconcile.Drifted{}
	for _, d := range found {
		byID[string(d.ID)] = d
	}
	return byID
}

// byHand is what people do to a tenant's database, and what it is in words.
var byHand = []struct{ name, do, want string }{
	{"a column dropped", "ALTER TABLE customer DROP COLUMN name", "column customer.name is missing"},
	{"an index dropped", "DROP INDEX uniq_customer_email", "index uniq_customer_email on customer is missing"},
	{"an index of another shape", "DROP INDEX uniq_customer_email; CREATE INDEX uniq_customer_email ON customer (name)", "index uniq_customer_email on customer was changed"},
	{"a table dropped", "DROP TABLE customer", "table customer is missing"},
	{"a column that takes nothing", "ALTER TABLE customer ALTER COLUMN name TO name TEXT", "column customer.name is TEXT in place of TEXT NOT NULL"},
	{"metadata edited", "UPDATE sys_metadata SET metadata = '{}' WHERE type = 'view'", "metadata of view customers was edited"},
	{"metadata renamed", "UPDATE sys_metadata SET name = 'x' WHERE type = 'view'", "metadata of view customers was edited"},
	{"metadata taken away", "DELETE FROM sys_metadata WHERE type = 'object'", "metadata of object customer is missing"},
	{"the registry dropped", "DROP TABLE sys_metadata", "table sys_metadata is missing; metadata of object customer is missing; metadata of view customers is missing"},
}

// What somebody did by hand is said in words, and put right by a deployment
// that says why it ran, where the fleet wants that. It is then gone.
func TestDriftInWords(t *testing.T) {
	for _, c := range byHand {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, shopWithDrift("report", "acme", "globex"))
			w.sync()
			before := w.rows("acme", "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '_reconciler%' ORDER BY 1, 2")
			w.onTenant("acme", strings.Split(c.do, "; ")...)
			seen := tenantOf(t, w.sync(), "acme")
			if seen.Sync != state.OutOfSync || seen.Health != state.Healthy || seen.Result.Reason != "Drift" || seen.Result.Changed ||
				!strings.HasSuffix(seen.Result.Message, ": "+c.want) || seen.Result.Next == "" {
				t.Errorf("report: got %s %s %q", seen.Sync, seen.Result.Reason, seen.Result.Message)
			}
			looked := w.drift()
			if got := deploy.Words(looked["acme"].Differences); got != c.want {
				t.Errorf("drift: got %q, want %q", got, c.want)
			}
			if d := looked["globex"]; len(d.Differences) > 0 || !d.Unchanged || d.Err != nil {
				t.Errorf("globex: got %+v, want it not to be opened", d)
			}
			w.commit("heal", files{"tenants/acme/tenant.yaml": tenantYAML("acme") + "drift: heal\n"})
			healed := tenantOf(t, w.sync(), "acme")
			if !healed.Result.Changed || healed.Sync != state.Synced {
				t.Fatalf("heal: got %s %s %v", healed.Sync, healed.Result.Reason, healed.Result.Err)
			}
			w.toldOfHealing("acme", c.want)
			if again := tenantOf(t, w.sync(), "acme"); again.Result.Changed || again.Sync != state.Synced {
				t.Errorf("afterwards: got %s %s", again.Sync, again.Result.Message)
			}
			after := w.rows("acme", "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '_reconciler%' ORDER BY 1, 2")
			if c.name == "metadata edited" && after != before {
				t.Errorf("the schema is another: %s", after)
			}
			if got := w.rows("acme", "SELECT count(*) FROM sys_metadata WHERE metadata LIKE '%customer%'"); got != "2" {
				t.Errorf("got %s definitions, want 2", got)
			}
		})
	}
}

// toldOfHealing looks for the reason in the newest deployment and its event.
func (w *world) toldOfHealing(id, words string) {
	w.t.Helper()
	if got := rowsOf(w.t, w.data+"/state.db", "SELECT reason, error FROM deployments ORDER BY started_at DESC LIMIT 1"); got != "heal " {
		w.t.Errorf("history: got reason %q", got)
	}
	got := rowsOf(w.t, w.data+"/state.db", "SELECT reason || ': ' || detail FROM events WHERE kind = 'deployed' ORDER BY rowid DESC LIMIT 1")
	if want := "heal: " + words; got != want {
		w.t.Errorf("event: got %q, want %q", got, want)
	}
}

// Rows, and what somebody else made, are no drift, nor is a row of the
// registry that is not ours.
func TestNoDrift(t *testing.T) {
	content := shopWithDrift("report", "acme")
	content["apps/shop/seed/customer.yaml"] = "object: customer\nexternalId: email\nrecords: [{name: Ada, email: ada@example.com}]\n"
	w := newWorld(t, content)
	w.sync()
	w.onTenant("acme", "DELETE FROM customer", "CREATE TABLE mine (a)", "ALTER TABLE customer ADD COLUMN note TEXT",
		"CREATE INDEX by_name ON customer (name)", "CREATE VIEW v AS SELECT name FROM customer",
		"INSERT INTO sys_metadata (id, name, type, scope, metadata) VALUES ('x', 'own', 'view', 'platform', '{}')")
	if d := w.drift()["acme"]; len(d.Differences) > 0 || d.Err != nil {
		t.Errorf("got %+v", d)
	}
	if seen := tenantOf(t, w.sync(), "acme"); seen.Sync != state.Synced || seen.Result.Changed {
		t.Errorf("got %s %s", seen.Sync, seen.Result.Message)
	}
	if got := w.rows("acme", "SELECT count(*) FROM customer"); got != "0" {
		t.Errorf("seed data came back")
	}
}

// A fleet that ignores drift has none to report; who asks is told all the same.
func TestIgnoredDrift(t *testing.T) {
	w := newWorld(t, shopWithDrift("ignore", "acme"))
	w.sync()
	w.onTenant("acme", byHand[0].do, byHand[5].do)
	if seen := tenantOf(t, w.sync(), "acme"); seen.Sync != state.Synced || seen.Result.Drift || seen.Result.Changed {
		t.Errorf("got %s %s", seen.Sync, seen.Result.Message)
	}
	if d := w.drift("acme")["acme"]; len(d.Differences) != 2 {
		t.Errorf("got %+v", d)
	}
}

// Drift of a tenant for which a newer bundle waits is told apart from what is
// new, and put right by the way.
func TestDriftBesideNewBundle(t *testing.T) {
	w := newWorld(t, shopWithDrift("report", "acme"))
	w.sync()
	w.onTenant("acme", "DROP INDEX uniq_customer_email")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	r, closeAll := w.open()
	report, err := r.Plan(t.Context(), reconcile.Selection{})
	closeAll()
	must(t, err)
	planned := tenantOf(t, report, "acme").Result
	if planned.Drift || planned.Action != deploy.Update || deploy.Words(planned.Differences) != byHand[1].want {
		t.Errorf("got action %s, drift %t, %v", planned.Action, planned.Drift, planned.Differences)
	}
	if done := tenantOf(t, w.sync(), "acme"); done.Sync != state.Synced || done.Result.Drift {
		t.Errorf("got %s %s", done.Sync, done.Result.Message)
	}
	got := rowsOf(t, w.data+"/state.db", "SELECT reason, detail FROM events WHERE kind = 'deployed' ORDER BY rowid DESC LIMIT 1")
	if want := " phone (and put drift right: " + byHand[1].want + ")"; got != want {
		t.Errorf("event: got %q, want %q", got, want)
	}
}

// A tenant that is held is compared with what it has, not with what git asks
// for, and is healed to that.
func TestDriftOfHeldTenant(t *testing.T) {
	w := newWorld(t, shopWithDrift("report", "acme"))
	w.sync()
	w.hold(state.Hold{Tenant: "acme", Owner: "ada"})
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.onTenant("acme", byHand[0].do)
	for _, look := range []string{"first", "second"} {
		seen := tenantOf(t, w.sync(), "acme")
		if seen.Sync != state.OutOfSync || seen.Result.Reason != "Held" || !strings.HasSuffix(seen.Result.Message, "it has drifted: "+byHand[0].want) {
			t.Errorf("%s look: got %s %s", look, seen.Sync, seen.Result.Message)
		}
	}
	if d := w.drift()["acme"]; !d.Waiting || deploy.Words(d.Differences) != byHand[0].want {
		t.Errorf("got %+v", d)
	}
	w.commit("heal", files{"fleet.yaml": "drift: heal\npolicy: {narrowing: allow, destructive: allow}\n"})
	healed := tenantOf(t, w.sync(), "acme")
	if !healed.Result.Changed || healed.Result.Reason != "Held" || strings.Contains(healed.Result.Message, "drifted") {
		t.Errorf("got %s %s", healed.Result.Reason, healed.Result.Message)
	}
	columns := w.rows("acme", "SELECT group_concat(name) FROM pragma_table_info('customer')")
	if !strings.Contains(columns, ",name") || strings.Contains(columns, "phone") {
		t.Errorf("got columns %s", columns)
	}
	w.toldOfHealing("acme", byHand[0].want)
	if again := tenantOf(t, w.sync(), "acme"); again.Result.Changed || again.Result.Action != reconcile.Held {
		t.Errorf("afterwards: got %s", again.Result.Action)
	}
}

// What is recorded of drift that waits for an approval says that it is drift, and
// of a held tenant who holds it.
func TestDriftThatNeedsApproval(t *testing.T) {
	content := shopWithDrift("heal", "acme")
	content["fleet.yaml"] = "drift: heal\n"
	w := newWorld(t, content)
	w.sync()
	w.onTenant("acme", byHand[1].do)
	w.sync()
	if got := w.observed("acme"); got.Reason != "AwaitingApproval" || !strings.HasPrefix(got.Message, "drift ("+byHand[1].want+") cannot be put right: ") {
		t.Errorf("got %s %s", got.Reason, got.Message)
	}
	w.hold(state.Hold{Tenant: "acme", Owner: "ada"})
	w.sync()
	if got := w.observed("acme"); got.Reason != "Held" || !strings.HasPrefix(got.Message, "ops holds") || !strings.Contains(got.Message, byHand[1].want) {
		t.Errorf("held: got %s %s", got.Reason, got.Message)
	}
}

// Where state has lost what was deployed, the tenant's own registry has it;
// where that was edited too, the names on record are left, and git.
func TestDriftWithoutState(t *testing.T) {
	w := newWorld(t, shopWithDrift("report", "acme"))
	w.sync()
	rowsOf(t, w.data+"/state.db", "DELETE FROM bundles")
	w.onTenant("acme", byHand[4].do)
	if got := deploy.Words(w.drift()["acme"].Differences); got != byHand[4].want {
		t.Errorf("from the registry: got %q, want %q", got, byHand[4].want)
	}
	w.onTenant("acme", byHand[5].do, byHand[1].do)
	want := []string{byHand[1].want, byHand[5].want}
	got := w.drift()["acme"]
	if words := strings.Split(deploy.Words(got.Differences), "; "); !slices.Equal(words, want) || got.Err != nil {
		t.Errorf("from names: got %q %v, want %q", words, got.Err, want)
	}
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.ReadOnly = true })
	defer closeAll()
	with, err := r.Drift(t.Context(), []protocol.TenantID{"acme"})
	must(t, err)
	if len(with[0].Differences) != 3 {
		t.Errorf("with git: got %+v", with[0])
	}
}

// A deployment knows what it has left, so the next pass need not look again;
// what somebody else writes meanwhile makes it look.
func TestDeployedTenantsAreNotLookedAtAgain(t *testing.T) {
	w := waves(t, "")
	inputs := func() map[protocol.TenantID]string {
		found := map[protocol.TenantID]string{}
		w.onStore(func(ctx context.Context, s *state.Store) error {
			rows, err := s.Observed(ctx)
			for id, row := range rows {
				found[id] = row.InputDigest
			}
			return err
		})
		return found
	}
	for _, change := range []string{"", customerWithPhone} {
		if change != "" {
			w.commit("phone", files{"apps/shop/objects/customer.yaml": change})
		}
		w.sync()
		deployed := inputs()
		w.sync()
		if diff := cmp.Diff(deployed, inputs()); diff != "" {
			t.Errorf("looked at again:\n%s", diff)
		}
	}
	before := inputs()
	rowsOf(t, w.tenantFile("t03"), "CREATE INDEX by_hand ON customer (name)")
	w.sync()
	for id, input := range inputs() {
		if (input != before[id]) != (id == "t03") {
			t.Errorf("%s was looked at: %v", id, input != before[id])
		}
	}
}

// A process dies after a deployment has committed and before state knows of
// it, and then somebody edits the database. The tenant has what git asks for
// all the same, and who waits for the commit is told so.
func TestDriftAfterADeploymentThatStateMissed(t *testing.T) {
	w := newWorld(t, shopWithDrift("report", "acme"))
	w.sync()
	before := w.observed("acme")
	w.commit("phone", files{"apps/shop/objects/customer.yaml": customerWithPhone})
	w.sync()
	want := w.observed("acme")
	store, err := state.Open(t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	must(t, err)
	must(t, store.SaveObserved(t.Context(), before))
	must(t, store.Close())
	w.onTenant("acme", "UPDATE sys_metadata SET metadata = '{}' WHERE type = 'view'")
	if seen := tenantOf(t, w.sync(), "acme"); seen.Result.Reason != "Drift" {
		t.Fatalf("got %s %s, want drift", seen.Sync, seen.Result.Reason)
	}
	got := w.observed("acme")
	if got.BundleDigest != want.BundleDigest || got.AppliedRevision != want.AppliedRevision || got.Deployment != want.Deployment || got.Target != want.Target {
		t.Errorf("got %+v, want the bundle of %+v", got, want)
	}
}

package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
)

const customerWithoutEmail = "name: customer\nlabel: Customer\nfields:\n  name: {type: text, required: true}\n"

// losing is a shop with values in a field, and in an object, that git has not
// any more.
func losing(t *testing.T, fleet string) *world {
	t.Helper()
	content := shop("acme", "globex")
	content["fleet.yaml"] = fleet
	content["apps/shop/objects/note.yaml"] = "name: note\nfields:\n  text: {type: text}\n"
	w := newWorld(t, content)
	w.sync()
	w.onTenant("acme", "INSERT INTO customer (id, name, email) VALUES ('c1', 'Ada', 'a@x'), ('c2', 'Bo', 'b@x'), ('c3', 'Cy', NULL)",
		"INSERT INTO note (id, text) VALUES ('n1', 'x')")
	w.commit("no email, no notes", files{"apps/shop/objects/customer.yaml": customerWithoutEmail, "apps/shop/objects/note.yaml": ""})
	return w
}

// What would lose values waits for an approval that says how many; with it
// they go, after a copy. A tenant without any does not wait.
func TestApprovalOfALoss(t *testing.T) {
	for name, c := range map[string]struct {
		retention string
		snapshots int
		kept      string
	}{
		"that drops":   {"0s", 1, ""},
		"that retires": {"7d", 0, "_retired_1_email"},
	} {
		t.Run(name, func(t *testing.T) {
			w := losing(t, "policy: {destructive: approve}\nretention: "+c.retention+"\n")
			digest := w.awaiting("acme")
			row := w.observed("acme")
			for _, want := range []string{
				"needs approval (plan " + digest[:12], "customer.email holds values, and its field is removed (2 rows: c1, c2)",
				`table "note" holds rows, and its object is removed (1 row: n1)`,
			} {
				if !strings.Contains(row.Message, want) {
					t.Errorf("got message %q, want %q", row.Message, want)
				}
			}
			if got := w.observed("globex"); got.Sync != "Synced" {
				t.Errorf("without values: got %+v", got)
			}
			if got := w.rows("acme", "SELECT count(email) FROM customer"); got != "2" {
				t.Errorf("before the approval: got %s values", got)
			}
			w.approve(digest, "bo")
			report := w.snapshotSync(time.Now())
			if result := tenantOf(t, report, "acme").Result; !result.Changed || result.Plan.Digest != digest {
				t.Fatalf("got %s: %s", result.Action, result.Message)
			}
			if found := w.listSnapshots("acme"); len(found) != c.snapshots {
				t.Errorf("got %d snapshots, want %d", len(found), c.snapshots)
			}
			if got := w.rows("acme", "SELECT name FROM customer ORDER BY name"); got != "Ada\nBo\nCy" {
				t.Errorf("got rows %q", got)
			}
			if c.kept != "" {
				if got := w.rows("acme", "SELECT count("+c.kept+") FROM customer"); got != "2" {
					t.Errorf("got %s values kept", got)
				}
			}
		})
	}
}

// Where it is denied nobody can agree to it, and an approval changes nothing.
func TestDeniedLoss(t *testing.T) {
	w := losing(t, "policy: {destructive: deny}\nretention: 0s\n")
	result := tenantOf(t, w.sync(), "acme").Result
	if result.Action != deploy.Blocked || result.Reason != "PreCheckFailed" {
		t.Fatalf("got %s, %s", result.Action, result.Reason)
	}
	w.approve(result.Plan.Digest, "bo")
	if again := tenantOf(t, w.sync(), "acme").Result; again.Reason != "PreCheckFailed" {
		t.Errorf("approved: got %s, %s", again.Action, again.Reason)
	}
}

// The rows that a plan cannot run over are in the way of an approved one too,
// and an approval of nothing to lose is none of what comes later.
func TestApprovalWaivesLossesAlone(t *testing.T) {
	w := losing(t, "policy: {destructive: approve, narrowing: allow}\nretention: 0s\n")
	w.onTenant("acme", "INSERT INTO customer (id, name) VALUES ('c4', 'Ada')")
	w.commit("unique names", files{"apps/shop/objects/customer.yaml": strings.Replace(customerWithoutEmail, "required: true", "required: true, unique: true", 1)})
	digest := w.awaiting("acme")
	w.approve(digest, "bo")
	result := tenantOf(t, w.sync(), "acme").Result
	if result.Reason != "PreCheckFailed" || !strings.Contains(result.Message, "the same value in name") || strings.Contains(result.Message, "holds") {
		t.Errorf("got %s: %s", result.Reason, result.Message)
	}
	if got := w.rows("acme", "SELECT count(email) FROM customer"); got != "2" {
		t.Errorf("got %s values", got)
	}
}

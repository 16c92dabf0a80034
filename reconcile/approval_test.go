package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

const (
	uniqueNames = "name: customer\nlabel: Customer\nfields:\n" +
		"  name: {type: text, required: true, unique: true}\n  email: {type: email, unique: true}\n"
	uniquePhones = uniqueNames + "  phone: {type: phone, unique: true}\n"
)

// guarded is a deployed shop whose policy is as given, with unique names in git.
func guarded(t *testing.T, policy string) *world {
	t.Helper()
	content := shop("acme", "globex")
	content["fleet.yaml"] = policy
	w := newWorld(t, content)
	w.sync()
	w.commit("unique names", files{"apps/shop/objects/customer.yaml": uniqueNames})
	return w
}

// awaiting syncs and returns the digest that the tenant waits for.
func (w *world) awaiting(id string) string {
	w.t.Helper()
	result := tenantOf(w.t, w.sync(), id).Result
	if result.Action != deploy.Blocked || result.Reason != "AwaitingApproval" {
		w.t.Fatalf("got %s, %s: %s", result.Action, result.Reason, result.Message)
	}
	if want := "reconciler approve " + result.Plan.Digest[:12]; !strings.Contains(result.Next, want) {
		w.t.Errorf("next step: got %q, want %q", result.Next, want)
	}
	return result.Plan.Digest
}

func (w *world) approve(digest, actor string) {
	w.t.Helper()
	w.inState(func(ctx context.Context, s *state.Store) error {
		if _, err := s.Plan(ctx, digest); err != nil {
			w.t.Errorf("the plan that waits cannot be approved: %v", err)
		}
		return s.Approve(ctx, state.Approval{Plan: digest, Actor: actor})
	})
}

// Tenants that need the same plan need one approval.
func TestApprovedPlanRuns(t *testing.T) {
	w := guarded(t, "policy: {narrowing: approve}\n")
	w.approve(w.awaiting("acme"), "bo")
	report := w.sync()
	for _, id := range []string{"acme", "globex"} {
		if result := tenantOf(t, report, id).Result; !result.Changed {
			t.Errorf("%s: got %s: %s", id, result.Action, result.Message)
		}
	}
}

// An approval is of a plan: what the next commit asks for needs another one,
// and so does the same commit where the schema is another.
func TestApprovalIsOfOnePlan(t *testing.T) {
	w := guarded(t, "policy: {narrowing: approve}\n")
	first := w.awaiting("acme")
	w.onTenant("globex", "CREATE TABLE somebody_elses (id TEXT)")
	w.approve(first, "bo")
	if other := w.awaiting("globex"); other == first {
		t.Error("another schema has the same plan")
	}
	w.commit("emails are required", files{"apps/shop/objects/customer.yaml": strings.Replace(
		uniqueNames, "{type: email", "{type: email, required: true", 1)})
	if second := w.awaiting("acme"); second == first {
		t.Error("another bundle has the same plan")
	}
}

func TestDeniedPlanCannotBeApproved(t *testing.T) {
	for name, c := range map[string]struct{ policy, object string }{
		"denied":                             {"policy: {narrowing: deny}\n", uniqueNames},
		"in part denied, in part to approve": {"policy: {additive: deny, narrowing: approve}\n", uniquePhones},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, shop("acme"))
			w.sync()
			w.commit("unique", files{"fleet.yaml": c.policy, "apps/shop/objects/customer.yaml": c.object})
			digest := tenantOf(t, w.sync(), "acme").Result.Plan.Digest
			w.approve(digest, "bo")
			result := tenantOf(t, w.sync(), "acme").Result
			if result.Action != deploy.Blocked || result.Reason != "PolicyDenied" || result.Plan.Digest != digest {
				t.Errorf("got %s, %s", result.Action, result.Reason)
			}
		})
	}
}

func TestAuthorDoesNotApprove(t *testing.T) {
	w := guarded(t, "policy: {narrowing: approve}\napproval: {notByAuthor: true}\n")
	digest := w.awaiting("acme")
	w.approve(digest, "ada@example.com")
	if again := w.awaiting("acme"); again != digest {
		t.Fatalf("another plan: %s", again)
	}
	if row := w.observed("acme"); !strings.Contains(row.Message, "somebody else than ada@example.com, the author") {
		t.Errorf("got message %q", row.Message)
	}
	w.approve(digest, "bo")
	if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed {
		t.Errorf("got %s: %s", result.Action, result.Message)
	}
}

// Of a merge, those who wrote what it merges do not approve it; who merged may,
// unless the merge has something of its own.
func TestAuthorsOfAMergeDoNotApprove(t *testing.T) {
	for name, own := range map[string]files{"pure": nil, "with a change of its own": {"apps/shop/objects/more.yaml": "name: more\nfields:\n  name: {type: text}\n"}} {
		t.Run(name, func(t *testing.T) {
			content := shop("acme")
			content["fleet.yaml"] = "policy: {narrowing: approve}\napproval: {notByAuthor: true}\n"
			w := newWorld(t, content)
			w.sync()
			w.git("checkout", "--quiet", "-b", "topic")
			w.commit("unique names", files{"apps/shop/objects/customer.yaml": uniqueNames})
			w.git("checkout", "--quiet", "main")
			w.git("merge", "--quiet", "--no-ff", "--no-commit", "topic")
			gittest.Write(t, w.repo, own)
			w.git("add", "--all")
			w.git("commit", "--quiet", "--message", "merge", "--author", "Mo <mo@example.com>")
			digest := w.awaiting("acme")
			w.approve(digest, "ada@example.com")
			w.awaiting("acme")
			w.approve(digest, "mo@example.com")
			if own != nil {
				w.awaiting("acme")
				w.approve(digest, "bo")
			}
			if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed {
				t.Errorf("got %s: %s", result.Action, result.Message)
			}
		})
	}
}

// After an approval the very next pass of a daemon runs the plan: tenants that
// wait for it do not wait for their turn as well.
func TestRunActsOnAnApproval(t *testing.T) {
	w := guarded(t, "policy: {narrowing: approve}\n")
	r, closeAll := w.open()
	defer closeAll()
	passes := make(chan reconcile.Report, 10)
	r.Poll = time.Hour
	r.OnPass = func(report reconcile.Report, _ error) { passes <- report }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()

	digest := tenantOf(t, <-passes, "acme").Result.Plan.Digest
	if err := r.Store.Approve(ctx, state.Approval{Plan: digest, Actor: "bo"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Notice(ctx); err != nil {
		t.Fatal(err)
	}
	report := <-passes
	for _, id := range []string{"acme", "globex"} {
		if result := tenantOf(t, report, id).Result; !result.Changed {
			t.Errorf("%s: got %s: %s", id, result.Action, result.Message)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A tenant may ask for an approval where its fleet does not, and is alone in
// waiting for it.
func TestTenantIsStricterThanItsFleet(t *testing.T) {
	content := shop("acme", "globex")
	content["fleet.yaml"] = "policy: {narrowing: allow}\n"
	content["tenants/acme/tenant.yaml"] += "policy: {narrowing: approve}\n"
	w := newWorld(t, content)
	w.sync()
	w.commit("unique names", files{"apps/shop/objects/customer.yaml": uniqueNames})
	report := w.sync()
	if got := actions(report); got["acme"] != deploy.Blocked || !tenantOf(t, report, "globex").Result.Changed {
		t.Fatalf("got %v", got)
	}
	w.approve(w.awaiting("acme"), "bo")
	if result := tenantOf(t, w.sync(), "acme").Result; !result.Changed {
		t.Errorf("got %s: %s", result.Action, result.Message)
	}
}

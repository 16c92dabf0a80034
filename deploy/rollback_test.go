package deploy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/state"
)

// newest returns acme's newest deployment.
func (x *tenantFiles) newest(t testing.TB) state.Deployment {
	t.Helper()
	found, err := x.store.Deployments(t.Context(), "acme", 1)
	if err != nil || len(found) == 0 {
		t.Fatalf("got %d deployments, error %v", len(found), err)
	}
	return found[0]
}

// rollBack rolls acme's newest deployment back in a pipeline that has not
// seen it.
func (x *tenantFiles) rollBack(t testing.TB) {
	t.Helper()
	if err := x.pipeline(t).RollbackDeployment(t.Context(), "acme", x.newest(t).ID); err != nil {
		t.Fatal(err)
	}
}

func TestRollbackIsADeployment(t *testing.T) {
	x := newTenants(t)
	p := x.pipeline(t)
	deployBundle(t, p, withTask(map[string]any{"title": text}))
	first := x.newest(t)
	deployBundle(t, p, withTask(map[string]any{"title": text, "due": text}))
	second := x.newest(t)
	x.rollBack(t)
	got := x.newest(t)
	if got.BundleDigest != first.BundleDigest || got.PreviousBundle != second.BundleDigest || got.Status != protocol.DeployReady {
		t.Errorf("got %+v, want the first bundle over the second", got)
	}
	if got.Transitions[0].Status != protocol.DeployRollingBack || got.Subject != "rollback of "+second.ID {
		t.Errorf("got %v and %q, want rolling_back first and the deployment named", got.Transitions, got.Subject)
	}
	err := p.RollbackDeployment(t.Context(), "acme", second.ID)
	if !errors.Is(err, protocol.ErrNotNewest) || !strings.Contains(err.Error(), got.ID) {
		t.Errorf("got error %v, want one that names the rollback", err)
	}
	x.insert(t, "task", map[string]string{"title": "between"})
	x.rollBack(t)
	if got := x.values(t, "task", "due"); !slices.Equal(got, []string{"<nil>"}) {
		t.Errorf("got due %q, want the column back once the rollback is rolled back", got)
	}
}

// desired is an object with one field of text.
func desired(t testing.TB, digest, object, field string) *bundle.Desired {
	t.Helper()
	definition := map[string]any{"name": object, "fields": map[string]any{field: text}}
	parsed, report := shape.Parse[protocol.Object](definition, shape.Keep)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return &bundle.Desired{
		Digest: digest,
		Bundle: protocol.DeployBundle{
			Manifest: protocol.DeployManifest{Version: "1.0.0", Objects: []string{object}},
			Objects:  []map[string]any{definition},
		},
		Objects: []bundle.Object{{Object: parsed}},
	}
}

func TestRollbackGivesNamesBack(t *testing.T) {
	x := newTenants(t)
	x.pipeline(t)
	deployer := deploy.New(deploy.Config{Store: x.store})
	request := func(d *bundle.Desired, p deploy.PlanPolicy) deploy.Request {
		owner := apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"}
		return deploy.Request{Owner: owner, Desired: d, Policy: deploy.Policy{Plan: p}}
	}
	put := func(d *bundle.Desired) {
		t.Helper()
		x.on(t, func(conn database.Conn) error { return deployer.Deploy(t.Context(), conn, request(d, policy)).Err })
	}
	put(desired(t, "one", "task", "title"))
	x.insert(t, "task", map[string]string{"title": "mine"})
	renamed := desired(t, "two", "todo", "heading")
	renamed.Objects[0].RenamedFrom = "task"
	renamed.Objects[0].FieldRenames = map[string]string{"heading": "title"}
	put(renamed)
	// A plan that is known already drops and adds: it is for a revert that
	// declares no renames, and must not be taken for the way back.
	x.on(t, func(conn database.Conn) error {
		return deployer.Assess(t.Context(), conn, request(desired(t, "one", "task", "title"), deploy.PlanPolicy{SeedMode: "strict"})).Err
	})
	for _, want := range []struct{ table, column string }{{"task", "title"}, {"todo", "heading"}, {"task", "title"}} {
		x.rollBack(t)
		if got := x.values(t, want.table, want.column); !slices.Equal(got, []string{"mine"}) {
			t.Fatalf("got %s.%s %q, want the row of before", want.table, want.column, got)
		}
	}
}

func TestRollbackKeepsWhatWasThereBefore(t *testing.T) {
	x := newTenants(t)
	p := x.pipeline(t)
	x.exec(t, "CREATE TABLE task (id TEXT NOT NULL PRIMARY KEY, created_at TEXT DEFAULT (datetime('now')), updated_at TEXT, title TEXT)")
	x.insert(t, "task", map[string]string{"title": "older than we are"})
	got := deployBundle(t, p, withTask(map[string]any{"title": text, "due": text}))
	err := p.RollbackDeployment(t.Context(), "acme", got.DeploymentID)
	var kept *deploy.NotAddedError
	if !errors.As(err, &kept) || !strings.Contains(fmt.Sprint(err), "did not add it") {
		t.Errorf("got error %v, want a NotAddedError", err)
	}
	if got := x.values(t, "task", "title"); !slices.Equal(got, []string{"older than we are"}) {
		t.Errorf("got rows %q, want the one of before", got)
	}
}

// State is lost, and git is not asked: the tenant's own database knows what it
// was.
func TestRollbackWithoutTheStoredBundle(t *testing.T) {
	x := newTenants(t)
	deployBundle(t, x.pipeline(t), withTask(map[string]any{"title": text}))
	id := deployBundle(t, x.pipeline(t), withTask(map[string]any{"title": text, "due": text})).DeploymentID
	x.insert(t, "task", map[string]string{"title": "mine"})
	lost := newTenants(t) // its state
	lost.pipeline(t)
	x.store = lost.store
	if err := x.pipeline(t).RollbackDeployment(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	if got := x.values(t, "task", "title"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("got titles %q, want the row", got)
	}
	if got := x.values(t, "task", "due"); got != nil {
		t.Errorf("got due %q, want no such column", got)
	}
}

func (x *tenantFiles) rollbackTo(t *testing.T, to string) deploy.Result {
	t.Helper()
	var result deploy.Result
	x.on(t, func(conn database.Conn) error {
		result = deploy.New(deploy.Config{Store: x.store}).Rollback(t.Context(), conn, deploy.RollbackRequest{Tenant: "acme", To: to})
		return nil
	})
	return result
}

// A rollback that is asked for again, because its answer was lost, has nothing
// to do: what the first one retired is still there.
func TestRollbackTwice(t *testing.T) {
	x := newTenants(t)
	p := x.pipeline(t)
	first := deployBundle(t, p, withTask(map[string]any{"title": text})).DeploymentID
	deployBundle(t, p, withTask(map[string]any{"title": text, "due": text}))
	x.insert(t, "task", map[string]string{"title": "mine", "due": "today"})
	if result := x.rollbackTo(t, first); result.Err != nil || !result.Changed {
		t.Fatalf("got %+v", result.Assessment)
	}
	if again := x.rollbackTo(t, first); again.Err != nil || again.Changed {
		t.Errorf("got %+v, changed %v, want nothing done", again.Assessment, again.Changed)
	}
	if got := x.values(t, "task", "_retired_1_due"); !slices.Equal(got, []string{"today"}) {
		t.Errorf("got due %q, want the value kept", got)
	}
}

// Several deployments are taken back in one go, in one transaction, and all
// that they brought goes with them, except what somebody has touched.
func TestRollbackOfSeveralDeployments(t *testing.T) {
	x := newTenants(t)
	p := x.pipeline(t)
	first := deployBundle(t, p, withTask(map[string]any{"title": text, "code": text}))
	x.insert(t, "task", map[string]string{"title": "mine", "code": "C"})
	seeded := withTask(map[string]any{"title": text, "code": text, "due": text})
	seeded.SeedData = []map[string]any{{"object": "task", "externalId": "title", "records": []any{
		map[string]any{"title": "seeded", "due": "today"}, map[string]any{"title": "touched"},
	}}}
	deployBundle(t, p, seeded)
	x.exec(t, "UPDATE task SET due = 'later' WHERE title = 'touched'")
	deployBundle(t, p, withTask(map[string]any{"title": text, "code": text, "due": text, "size": text}))

	result := x.rollbackTo(t, first.DeploymentID[:30])
	if result.Err != nil || !result.Changed {
		t.Fatalf("got %+v", result.Err)
	}
	if got, want := x.query(t, "SELECT title || ' ' || ifnull(code, '-') FROM task ORDER BY title"), []string{"mine C", "touched -"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := x.newest(t); got.BundleDigest == "" || got.Status != protocol.DeployReady || got.Transitions[0].Status != protocol.DeployRollingBack {
		t.Errorf("got %+v", got)
	}
	again := x.rollbackTo(t, "")
	if again.Err != nil {
		t.Fatal(again.Err)
	}
	if got := x.query(t, "SELECT ifnull(due, '-') FROM task ORDER BY title"); !slices.Equal(got, []string{"-", "later"}) {
		t.Errorf("got due %q, want the values that were there before the rollback", got)
	}
}

func TestRollbackThatCannotBe(t *testing.T) {
	x := newTenants(t)
	p := x.pipeline(t)
	if err := x.rollbackTo(t, "").Err; !errors.Is(err, protocol.ErrUnknownDeployment) {
		t.Errorf("a tenant without deployments: got %v", err)
	}
	first := deployBundle(t, p, withTask(map[string]any{"title": text})).DeploymentID
	if err := x.rollbackTo(t, "").Err; !errors.Is(err, deploy.ErrNoWayBack) {
		t.Errorf("the only deployment: got %v", err)
	}
	second := deployBundle(t, p, withTask(map[string]any{"title": text, "due": text})).DeploymentID
	if err := x.rollbackTo(t, second).Err; !errors.Is(err, deploy.ErrNoWayBack) {
		t.Errorf("the newest deployment: got %v", err)
	}
	if err := x.rollbackTo(t, "ffff").Err; !errors.Is(err, protocol.ErrUnknownDeployment) {
		t.Errorf("an unknown deployment: got %v", err)
	}
	if err := x.rollbackTo(t, first[:1]).Err; !errors.Is(err, protocol.ErrUnknownDeployment) {
		t.Errorf("an ambiguous beginning: got %v", err)
	}
	x.exec(t, "UPDATE sys_metadata SET metadata = '{}' WHERE type = 'object'")
	lost := newTenants(t)
	lost.pipeline(t)
	x.store = lost.store
	deployed := x.values(t, "_reconciler_journal", "deployment")
	x.exec(t, "UPDATE _reconciler_journal SET undo = replace(undo, 'title', 'tit')")
	err := x.rollbackTo(t, "").Err
	if !errors.Is(err, deploy.ErrNoWayBack) {
		t.Errorf("a journal that somebody edited: got %v", err)
	}
	if got := x.values(t, "_reconciler_journal", "deployment"); !slices.Equal(got, deployed) {
		t.Errorf("got deployments %q, want %q", got, deployed)
	}
}

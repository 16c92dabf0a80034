package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/state"
)

// titled is a bundle whose task has one field, and a query that no row may
// answer.
func titled(t testing.TB, field, sql string) *bundle.Desired {
	t.Helper()
	d := desired(t, "bundle with "+field, "task", field)
	return asking(d, sql)
}

func asking(d *bundle.Desired, sql string) *bundle.Desired {
	copied := *d
	copied.Verify, copied.VerifyDigest = []bundle.Verification{{App: "crm", Name: "none", SQL: sql}}, "queries: "+sql
	return &copied
}

// verifying deploys to acme.
func (x *tenantFiles) verifying(t testing.TB, d *bundle.Desired, rollBack bool) deploy.Result {
	t.Helper()
	var result deploy.Result
	x.on(t, func(conn database.Conn) error {
		result = x.deployer().Deploy(t.Context(), conn, verifyRequest(d, rollBack))
		return nil
	})
	return result
}

func (x *tenantFiles) deployer() *deploy.Deployer {
	return deploy.New(deploy.Config{Store: x.store, By: deploy.Doer{Actor: "reconciler", Via: "daemon"}})
}

func verifyRequest(d *bundle.Desired, rollBack bool) deploy.Request {
	p := keeping
	p.RollBack = rollBack
	return deploy.Request{Owner: acme, Desired: d, Policy: p}
}

// verifyStore is a tenant whose journal and history are at the first bundle.
func verifyStore(t *testing.T) *tenantFiles {
	t.Helper()
	x := newTenants(t)
	x.pipeline(t)
	if result := x.verifying(t, titled(t, "title", "SELECT id FROM task WHERE title = 'bad'"), true); result.Err != nil {
		t.Fatal(result.Err)
	}
	x.insert(t, "task", map[string]string{"title": "mine"})
	return x
}

// ids of the journal, and what history says of each.
func (x *tenantFiles) history(t *testing.T) []string {
	t.Helper()
	found, err := x.store.Deployments(t.Context(), "acme", 0)
	if err != nil {
		t.Fatal(err)
	}
	journal := x.values(t, "_reconciler_journal", "deployment")
	var told []string
	for _, d := range slices.Backward(found) {
		text := fmt.Sprintf("%s %s", d.Status, d.Reason)
		if !slices.Contains(journal, d.ID) {
			text += " not committed"
		}
		told = append(told, strings.TrimSpace(text))
	}
	return told
}

func (x *tenantFiles) holds(t *testing.T) []state.Hold {
	t.Helper()
	holds, err := x.store.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return holds
}

// A deployment after which a query gives rows is there, and the tenant is not
// well until the rows are.
func TestVerifyReports(t *testing.T) {
	x := verifyStore(t)
	second := titled(t, "due", "SELECT id FROM task WHERE due IS NULL")
	result := x.verifying(t, second, false)
	var failed *deploy.VerifyError
	if !errors.As(result.Err, &failed) || !result.Changed || result.RolledBack || result.Action != deploy.Failed || result.Reason != reason.VerifyFailed {
		t.Fatalf("got %+v", result)
	}
	if want := "after deployment " + result.DeploymentID + " crm/none gave 1 row"; result.Message != want {
		t.Errorf("got message %q, want %q", result.Message, want)
	}
	if got := x.history(t); !slices.Equal(got, []string{"ready", "failed VerifyFailed"}) {
		t.Errorf("got history %q", got)
	}
	if again := x.verifying(t, second, false); again.Reason != reason.VerifyFailed || again.Changed {
		t.Errorf("asked again: got %+v", again)
	}
	if got := x.history(t); !slices.Equal(got, []string{"ready", "failed VerifyFailed"}) {
		t.Errorf("got history %q", got)
	}
	x.exec(t, "UPDATE task SET due = 'today'")
	if cured := x.verifying(t, second, false); cured.Err != nil || cured.Changed || cured.Action != deploy.None {
		t.Errorf("cured: got %+v", cured)
	}
	if got := x.history(t); !slices.Equal(got, []string{"ready", "ready"}) {
		t.Errorf("got history %q", got)
	}
	events, err := x.store.Events(t.Context(), state.EventQuery{})
	if err != nil || events[0].Kind != state.EventVerified || events[1].Kind != state.EventFailed || events[1].Reason != reason.VerifyFailed {
		t.Errorf("got events %+v, error %v", events, err)
	}
}

// With onFailedVerify: rollback it is taken back with what it brought, rows
// stay, and its bundle is held back.
func TestVerifyRollsBack(t *testing.T) {
	x := verifyStore(t)
	second := titled(t, "due", "SELECT id FROM task WHERE due IS NULL")
	result := x.verifying(t, second, true)
	var failed *deploy.VerifyError
	if !errors.As(result.Err, &failed) || !result.RolledBack || failed.Back != result.DeploymentID || result.Plan.Bundle != "bundle with title" {
		t.Fatalf("got %+v", result)
	}
	if !strings.Contains(result.Next, "reconciler release acme") {
		t.Errorf("got next %q", result.Next)
	}
	if got := x.values(t, "task", "title"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("got titles %q", got)
	}
	if got := x.history(t); !slices.Equal(got, []string{"ready", "failed VerifyFailed", "ready"}) {
		t.Errorf("got history %q", got)
	}
	holds := x.holds(t)
	if len(holds) != 1 || holds[0].Tenant != "acme" || holds[0].Bundle != "bundle with due" || holds[0].Owner != "reconciler" ||
		!strings.Contains(holds[0].Reason, "crm/none gave 1 row") {
		t.Errorf("got holds %+v", holds)
	}
	events, err := x.store.Events(t.Context(), state.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range events[:3] {
		kinds = append(kinds, e.Kind+" "+e.Actor)
	}
	if want := []string{"held reconciler", "rolled_back reconciler", "failed reconciler"}; !slices.Equal(kinds, want) {
		t.Errorf("got events %q, want %q", kinds, want)
	}
	if !strings.Contains(events[1].Reason, "crm/none gave 1 row") {
		t.Errorf("got %+v", events[1])
	}
}

// What is no fault of the deployment takes nothing back.
func TestVerifyTakesNothingBack(t *testing.T) {
	bad := "SELECT id FROM task"
	for name, c := range map[string]struct {
		deploy func(t *testing.T, x *tenantFiles) deploy.Result
		why    string
	}{
		"a query that cannot be asked": {func(t *testing.T, x *tenantFiles) deploy.Result {
			return x.verifying(t, titled(t, "due", "SELECT id FROM nowhere"), true)
		}, "crm/none could not be asked: no such table: nowhere"},
		"a newer query": {func(t *testing.T, x *tenantFiles) deploy.Result {
			return x.verifying(t, titled(t, "title", bad), true)
		}, "it was not rolled back: the query is newer than the deployment"},
		"queries where there were none": {func(t *testing.T, x *tenantFiles) deploy.Result {
			plain := desired(t, "plain", "task", "due")
			if result := x.verifying(t, plain, true); result.Err != nil {
				t.Fatal(result.Err)
			}
			return x.verifying(t, asking(plain, bad), true)
		}, "the query is newer than the deployment"},
	} {
		t.Run(name, func(t *testing.T) {
			x := verifyStore(t)
			result := c.deploy(t, x)
			if result.Reason != reason.VerifyFailed || result.RolledBack || !strings.Contains(result.Message, c.why) {
				t.Errorf("got %q, rolled back %v; want %q", result.Message, result.RolledBack, c.why)
			}
			if holds := x.holds(t); len(holds) > 0 {
				t.Errorf("got holds %+v", holds)
			}
		})
	}
	t.Run("the first deployment", func(t *testing.T) {
		x := newTenants(t)
		x.pipeline(t)
		result := x.verifying(t, titled(t, "title", "SELECT 1"), true)
		if result.RolledBack || !strings.Contains(result.Message, "it is the tenant's first deployment") {
			t.Errorf("got %+v", result)
		}
	})
}

// verifiedAtLast makes sure that the next look verifies the second deployment.
func (x *tenantFiles) verifiedAtLast(t *testing.T, second *bundle.Desired) {
	t.Helper()
	if result := x.verifying(t, second, true); result.Err != nil || result.Action != deploy.None {
		t.Errorf("the next look: got %+v", result)
	}
	if got := x.history(t); !slices.Equal(got, []string{"ready", "ready"}) {
		t.Errorf("got history %q", got)
	}
}

// interrupted is a connection that is lost when a query is asked.
type interrupted struct{ database.Conn }

func (interrupted) Examine(context.Context, string, int) (int, error) { return 0, database.ErrBusy }

// A database that is busy is verified at the next look; the deployment is
// neither ready nor taken back before.
func TestVerifyWaits(t *testing.T) {
	x := verifyStore(t)
	second := titled(t, "due", "SELECT id FROM task WHERE due = 'bad'")
	x.on(t, func(conn database.Conn) error {
		result := x.deployer().Deploy(t.Context(), interrupted{conn}, verifyRequest(second, true))
		if result.Reason != reason.VerifyFailed || result.RolledBack {
			t.Errorf("got %+v", result)
		}
		return nil
	})
	x.verifiedAtLast(t, second)
}

// ended is a connection whose process is told to end as a query is asked.
type ended struct {
	database.Conn
	end func()
}

func (c ended) Examine(ctx context.Context, sql string, most int) (int, error) {
	c.end()
	return c.Conn.Examine(ctx, sql, most)
}

// Queries that the end of the process kept from being asked have found nothing.
func TestVerifyInterrupted(t *testing.T) {
	x := verifyStore(t)
	second := titled(t, "due", "SELECT id FROM task WHERE due = 'bad'")
	x.on(t, func(conn database.Conn) error {
		ctx, end := context.WithCancel(t.Context())
		result := x.deployer().Deploy(ctx, ended{conn, end}, verifyRequest(second, true))
		if result.Reason != reason.Interrupted || !result.Changed || result.RolledBack {
			t.Errorf("got %+v", result)
		}
		return nil
	})
	x.verifiedAtLast(t, second)
}

// dying is a connection on which the process dies as a query is asked, as far
// as anybody can see from outside, or as the rollback begins.
type dying struct {
	database.Conn
	inRollback bool
	asked      bool
}

func (c *dying) Examine(ctx context.Context, sql string, limit int) (int, error) {
	if c.asked = true; !c.inRollback {
		runtime.Goexit()
	}
	return c.Conn.Examine(ctx, sql, limit)
}

func (c *dying) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if c.asked && sql == "BEGIN IMMEDIATE" {
		runtime.Goexit()
	}
	return c.Conn.Exec(ctx, sql, args...)
}

// A process that dies between the commit and the end of the verification, or of
// the rollback, leaves it to the next pass.
func TestVerifyAfterACrash(t *testing.T) {
	for name, inRollback := range map[string]bool{"before the query": false, "before the rollback": true} {
		t.Run(name, func(t *testing.T) {
			x := verifyStore(t)
			second := titled(t, "due", "SELECT id FROM task WHERE due IS NULL")
			x.on(t, func(conn database.Conn) error {
				var process sync.WaitGroup
				process.Go(func() {
					x.deployer().Deploy(t.Context(), &dying{Conn: conn, inRollback: inRollback}, verifyRequest(second, true))
				})
				process.Wait()
				return nil
			})
			if got := x.values(t, "_reconciler_journal", "bundle"); len(got) != 2 {
				t.Fatalf("got journal %q, want the deployment", got)
			}
			if result := x.verifying(t, second, true); !result.RolledBack {
				t.Errorf("the next pass: got %+v", result)
			}
			if got := x.history(t); !slices.Equal(got, []string{"ready", "failed VerifyFailed", "ready"}) {
				t.Errorf("got history %q", got)
			}
			if holds := x.holds(t); len(holds) != 1 || holds[0].Bundle != "bundle with due" {
				t.Errorf("got holds %+v", holds)
			}
		})
	}
}

// Before it is known whether there is a way back to go, nothing that is on it
// is dropped.
func TestVerifyComesBeforeAPurge(t *testing.T) {
	x := verifyStore(t)
	second := titled(t, "due", "SELECT id FROM task WHERE due IS NULL")
	p := verifyRequest(second, false)
	p.Policy.Retention = 1
	for range 2 {
		x.on(t, func(conn database.Conn) error {
			if result := x.deployer().Deploy(t.Context(), conn, p); result.Reason != reason.VerifyFailed {
				t.Errorf("got %+v", result)
			}
			return nil
		})
	}
	if got := x.values(t, "task", "_retired_1_title"); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("got %q", got)
	}
}

func TestReadable(t *testing.T) {
	objects := desired(t, "d", "task", "title").Objects
	var queries []bundle.Verification
	for _, sql := range []string{
		"SELECT id FROM task WHERE title IS NULL AND created_at < updated_at", "SELECT name FROM sys_metadata",
		"SELECT titel FROM task", "DELETE FROM task", "SELECT * FROM pragma_table_info('task')",
	} {
		queries = append(queries, bundle.Verification{SQL: sql})
	}
	got := deploy.Readable(t.Context(), objects, queries)
	for i, want := range []string{"", "", "no such column: titel", "not authorized", "prohibited"} {
		if text := fmt.Sprint(got[i]); want == "" && got[i] != nil || !strings.Contains(text, want) {
			t.Errorf("%s: got %v, want %q", queries[i].SQL, got[i], want)
		}
	}
}

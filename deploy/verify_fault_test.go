package deploy_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/state"
)

// Whatever happens to a pass that verifies a deployment and takes it back, and
// at whichever call from its commit on: after the passes that follow, until the
// bundle is held back, the tenant is what it was, with its rows, and is held.
func TestFaultsOfAVerification(t *testing.T) {
	databasetest.Each(t, strikeVerification, databasetest.File, databasetest.Server)
}

func strikeVerification(t *testing.T, kind databasetest.Kind) {
	first := newPlace(t, kind)
	deployed := func(d *bundle.Desired) func(testing.TB, *deploy.Deployer, database.Conn) deploy.Result {
		return func(t testing.TB, d2 *deploy.Deployer, conn database.Conn) deploy.Result {
			return d2.Deploy(t.Context(), conn, verifyRequest(d, true))
		}
	}
	if result := first.pass(deployed(titled(t, "title", "SELECT id FROM task WHERE title = 'bad'")), quiet); result.Err != nil {
		t.Fatal(result.Err)
	}
	conn := first.conn()
	if _, err := conn.Exec(t.Context(), "INSERT INTO task (id, title) VALUES ('t1', 'mine')"); err != nil {
		t.Fatal(err)
	}
	first.close(conn)
	bad := deployed(titled(t, "due", "SELECT id FROM task WHERE due IS NULL"))
	var calls []string
	if clean := first.copied(t); !clean.pass(bad, func(_ int, sql string, do func() error) error {
		calls = append(calls, sql)
		return do()
	}).RolledBack {
		t.Fatal("without a fault it is not rolled back")
	}
	tries, many := 0, databasetest.NewTries(t, kind)
	commit := slices.Index(calls, "COMMIT")
	for n := commit; n < len(calls); n++ {
		if kind == databasetest.Server && os.Getenv("FAULT_ALL") == "" && n > commit+1 && n < len(calls)-2 {
			continue
		}
		for _, strike := range strikes {
			tries++
			many.Run(fmt.Sprintf("%s at call %d of %d, %.60q", strike.name, n, len(calls), calls[n]), func(t *testing.T) {
				p := first.copied(t)
				p.pass(bad, func(i int, _ string, do func() error) error { return strike.call(p, n, i, do) })
				for range 3 {
					if p.heldBack("bundle with due") {
						break
					}
					p.pass(bad, quiet)
				}
				if why := p.wrong(); why != "" {
					t.Error(why)
				}
			})
		}
	}
	many.Wait()
	t.Logf("%d tries", tries)
}

func (p *place) heldBack(digest string) bool {
	p.t.Helper()
	p.open()
	defer p.close(p.store)
	holds, err := p.store.Holds(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.ContainsFunc(holds, func(h state.Hold) bool { return h.Tenant == "acme" && h.Bundle == digest })
}

// wrong says what is not as it should be after a deployment was taken back.
func (p *place) wrong() string {
	p.t.Helper()
	if !p.heldBack("bundle with due") {
		return "the bundle is not held back"
	}
	conn := p.conn()
	defer p.close(conn)
	journal, err := apply.Journal(p.t.Context(), conn)
	if err != nil {
		return err.Error()
	}
	if last := journal[len(journal)-1]; last.Bundle != "bundle with title" || last.BackTo == "" {
		return fmt.Sprintf("the newest deployment is to %q, back to %q", last.Bundle, last.BackTo)
	}
	rows, err := conn.Query(p.t.Context(), "SELECT id || ' ' || title FROM task")
	if err != nil || fmt.Sprint(rows.Values) != "[[t1 mine]]" {
		return fmt.Sprintf("the rows are %v (%v)", rows.Values, err)
	}
	return ""
}

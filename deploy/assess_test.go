package deploy_test

import (
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/state/statetest"
)

// A plan is foreseen for what is going to be deployed, and not for what has been
// by the time that the database is looked at.
func TestForesee(t *testing.T) {
	x := newTenants(t)
	x.pipeline(t)
	r := func(fields field) deploy.Request { return verifyRequest(compiled(t, withTask(fields)), false) }
	first := field{"title": text}
	both := field{"title": text, "note": text}
	deployed := func(fields field) func(database.Conn) error {
		return func(conn database.Conn) error { return x.deployer().Deploy(t.Context(), conn, r(fields)).Err }
	}
	foreseen := func(fields field) func(database.Conn) error {
		return func(conn database.Conn) error {
			x.deployer().Foresee(t.Context(), conn, r(fields))
			return nil
		}
	}
	for i, step := range []struct {
		do   func(database.Conn) error
		want int
	}{
		{foreseen(first), 0}, // there is nothing to go by yet
		{deployed(first), 1},
		{foreseen(first), 1},
		{foreseen(both), 2},
		{deployed(both), 2},
		{foreseen(both), 2},
	} {
		x.on(t, step.do)
		if got := statetest.PlanClasses(t, filepath.Join(x.Dir, "state.db")); got != step.want {
			t.Errorf("step %d: got %d plans, want %d", i, got, step.want)
		}
	}
}

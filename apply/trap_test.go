package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ariga.io/atlas/sql/sqlite"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// traps are changes by which a plan that is right in itself takes away what
// somebody else has put there. A field of task is made required; Atlas plans a
// new table, into which the rows are copied.
var traps = []struct {
	name    string
	foreign []string // what is somebody else's
	query   string   // asks for it
	kept    string   // the answer before
	naive   string   // the answer after a naive apply
	fails   string   // or the error of one
	live    string   // a statement that goes on working
	then    string   // the answer after it
}{
	{
		name: "dropping a parent deletes its children",
		foreign: []string{
			"CREATE TABLE step (id INTEGER PRIMARY KEY, task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE)",
			"INSERT INTO step (task) VALUES ('t1'), ('t1'), ('t2')",
		},
		query: "SELECT group_concat(task) FROM step", kept: "t1,t1,t2", naive: "<nil>",
		live: "DELETE FROM task WHERE id = 't2'", then: "t1,t1",
	},
	{
		name: "dropping a parent makes its children orphans",
		foreign: []string{
			"CREATE TABLE step (id INTEGER PRIMARY KEY, task TEXT REFERENCES task (id) ON DELETE SET NULL)",
			"INSERT INTO step (task) VALUES ('t1'), ('t2')",
		},
		query: "SELECT group_concat(ifnull(task, '-')) FROM step", kept: "t1,t2", naive: "-,-",
		live: "DELETE FROM task WHERE id = 't2'", then: "t1,-",
	},
	{
		name: "a trigger goes with its table",
		foreign: []string{
			"CREATE TABLE log (task TEXT)",
			"CREATE TRIGGER logs AFTER INSERT ON task BEGIN INSERT INTO log VALUES (new.id); END",
		},
		query: "SELECT (SELECT count(*) FROM sqlite_master WHERE type = 'trigger'), (SELECT group_concat(task) FROM log)",
		kept:  "1|<nil>", naive: "0|<nil>",
		live: "INSERT INTO task (id) VALUES ('t3')", then: "1|t3",
	},
	{
		name:    "a view breaks the rename",
		foreign: []string{"CREATE VIEW open_tasks AS SELECT id FROM task WHERE state = 'open'"},
		query:   "SELECT group_concat(id) FROM open_tasks", kept: "t1",
		fails: "error in view open_tasks",
		live:  "UPDATE task SET state = 'open'", then: "t1,t2",
	},
	{
		name: "a trigger of another table breaks the rename",
		foreign: []string{
			"CREATE TABLE log (task TEXT)",
			"CREATE TRIGGER closes AFTER INSERT ON log BEGIN UPDATE task SET state = 'done' WHERE id = new.task; END",
		},
		query: "SELECT group_concat(state) FROM task", kept: "open,done",
		fails: "error in trigger closes",
		live:  "INSERT INTO log VALUES ('t1')", then: "done,done",
	},
}

// Each trap takes something from a naive apply, which is Atlas's plan in one
// transaction, and nothing from ours.
func TestTraps(t *testing.T) {
	forms := []struct{ name, state string }{
		{"where ours copies the table as well", "state TEXT CHECK (state IN ('open', 'done'))"}, // the comma, see plan
		{"where ours changes it in place", "state TEXT"},
	}
	for _, trap := range traps {
		for _, form := range forms {
			t.Run(trap.name+" "+form.name, func(t *testing.T) {
				const from = `{"task": {"fields": {"state": {"type": "text", "defaultValue": "open"}}}}`
				const to = `{"task": {"fields": {"state": {"type": "text", "defaultValue": "open", "required": true}}}}`
				start := func() *tenant {
					x := newTenant(t)
					x.exec("CREATE TABLE task (id TEXT PRIMARY KEY NOT NULL, created_at TEXT, updated_at TEXT, " + form.state + " DEFAULT 'open')")
					x.mustDeploy(from)
					x.exec("INSERT INTO task (id, state) VALUES ('t1', 'open'), ('t2', 'done')")
					x.exec(trap.foreign...)
					expect(t, x.query(trap.query), trap.kept)
					return x
				}

				x := start()
				err := x.naive(to)
				switch {
				case trap.fails != "":
					if err == nil || !strings.Contains(err.Error(), trap.fails) {
						t.Errorf("a naive apply gave %v, want %s: the trap is none", err, trap.fails)
					}
				case err != nil:
					t.Errorf("a naive apply: %v", err)
				default:
					expect(t, x.query(trap.query), trap.naive)
				}

				x = start()
				p := x.mustDeploy(to)
				expect(t, x.query(trap.query), trap.kept)
				expect(t, x.query(`SELECT "notnull" FROM pragma_table_info('task') WHERE name = 'state'`), "1")
				x.exec(trap.live)
				expect(t, x.query(trap.query), trap.then)
				copied := strings.Contains(fmt.Sprint(p.Migration.Statements), "DROP TABLE")
				if copied != strings.Contains(form.state, ",") {
					t.Errorf("got a copied table: %v", copied)
				}
			})
		}
	}
}

// naive lets Atlas compare and plan, and runs its statements in one
// transaction on a connection as the engine gives it: with foreign keys
// enforced, which Atlas's own PRAGMA cannot change inside.
func (x *tenant) naive(objects string) error {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	ctx := x.t.Context()
	live, err := schema.Inspect(ctx, conn)
	if err != nil {
		return err
	}
	desired, _ := schema.Desired(parse(x.t, objects), schema.Options{})
	var managed []schema.Table
	for _, t := range live {
		if t.Name == desired[0].Name {
			managed = append(managed, t)
		}
	}
	changes, err := sqlite.DefaultDiff.SchemaDiff(schema.Atlas(managed), schema.Atlas(desired))
	if err != nil {
		return err
	}
	planned, err := sqlite.DefaultPlan.PlanChanges(ctx, "naive", changes)
	if err != nil {
		return err
	}
	statements := []string{"BEGIN"}
	for _, c := range planned.Changes {
		statements = append(statements, c.Cmd)
	}
	return each(ctx, conn, append(statements, "COMMIT"))
}

func each(ctx context.Context, conn database.Conn, statements []string) error {
	for _, sql := range statements {
		if _, err := conn.Query(ctx, sql); err != nil {
			_, rollback := conn.Query(ctx, "ROLLBACK")
			return fmt.Errorf("%s: %w", sql, errors.Join(err, rollback))
		}
	}
	return nil
}

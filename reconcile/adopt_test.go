package reconcile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// Databases that the published runtimes made are taken over as they are: the
// plan adds at most, and rewrites nothing.
func TestAdoption(t *testing.T) {
	cases := []struct{ tables, bundle, object, field string }{
		{"crm-03-runtime-4.sql", "app-crm/03-41791d50.json", "account", "number_of_employees"},
		{"todo-02-runtime-4-remote.sql", "app-todo/02-41791d50.json", "task", "progress_percent"},
		{"crm-09-runtime-17.sql", "app-crm/09-a112b7d9.json", "crm_account", "annual_revenue"},
	}
	for _, c := range cases {
		t.Run(c.tables, func(t *testing.T) {
			x := newSubject(t)
			x.script(filepath.Join("..", "testdata", "runtimes", c.tables))
			file := filepath.Join(corpusDir(t), c.bundle)
			table := schema.Quote(c.object)
			x.exec(
				"ALTER TABLE "+table+" ADD COLUMN hand_made TEXT COLLATE NOCASE DEFAULT 'it''s'",
				"CREATE INDEX hand_index ON "+table+" (hand_made)",
				"CREATE TABLE hand_log (id TEXT)",
				"CREATE TRIGGER hand_trigger AFTER UPDATE ON "+table+" BEGIN INSERT INTO hand_log VALUES (new.id); END",
			)
			rows := x.insertRows("before")
			policy := everyClassAllowed()
			policy.Plan.NullableRequired = false
			result := x.deploy(compile(t, file), policy)
			if result.Err != nil {
				t.Fatal(result.Reason, result.Err)
			}
			for _, step := range result.Plan.Steps {
				if step.Class != diff.Additive && !strings.HasPrefix(step.Change, "add index") {
					t.Errorf("the adoption is not additive: %s (%s)", step.Change, step.Class)
				}
			}
			if again := x.assess(compile(t, file), policy); again.Action != deploy.None {
				t.Errorf("a second plan is not empty: %s %v", again.Action, again.Err)
			}
			x.stillThere(rows)

			// A change of type rebuilds the adopted table.
			changed := retyped(t, file, c.object, c.field)
			result = x.deploy(changed, policy)
			if result.Err != nil {
				t.Fatal(result.Reason, result.Err)
			}
			if result.Plan.Class() < diff.Rewrite {
				t.Fatalf("no rebuild was needed: %s", result.Plan.Class())
			}
			kept := x.query("SELECT name FROM sqlite_master WHERE name LIKE 'hand_%' ORDER BY name")
			if len(kept) != 3 {
				t.Errorf("of what was made by hand only %v is left", kept)
			}
			x.stillThere(rows)
			if sql := x.query("SELECT sql FROM sqlite_master WHERE name = ?", c.object)[0][0].(string); !strings.Contains(sql, "COLLATE NOCASE DEFAULT 'it''s'") {
				t.Errorf("the hand-made column is not what it was: %s", sql)
			}
			if log := x.query("SELECT * FROM hand_log WHERE id NOT LIKE 'row%'"); len(log) != 0 {
				t.Errorf("the trigger ran for the rebuild: %v", log)
			}
		})
	}
}

// A table that could only be taken over by changing it is left alone.
func TestAdoptionReview(t *testing.T) {
	x := newSubject(t)
	x.exec("CREATE TABLE crm_account (id INTEGER PRIMARY KEY, name TEXT, annual_revenue TEXT)",
		"INSERT INTO crm_account VALUES (1, 'Acme', 'much')")
	before := x.fingerprint()
	result := x.deploy(compile(t, filepath.Join(corpusDir(t), "app-crm", "09-a112b7d9.json")), everyClassAllowed())
	if result.Action != deploy.Blocked || result.Reason != "AdoptionReview" || result.Next == "" {
		t.Errorf("got %s %s %v", result.Action, result.Reason, result.Err)
	}
	if x.fingerprint() != before {
		t.Error("the database was changed")
	}
}

func (x *subject) exec(statements ...string) {
	x.t.Helper()
	for _, sql := range statements {
		if _, err := x.conn.Exec(x.t.Context(), sql); err != nil {
			x.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (x *subject) script(file string) {
	x.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		x.t.Fatal(err)
	}
	statements, err := database.Split(string(text))
	if err != nil {
		x.t.Fatal(err)
	}
	x.exec(statements...)
}

// retyped is a bundle in which one number field holds text.
func retyped(t *testing.T, file, object, field string) *bundle.Desired {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, o := range raw["objects"].([]any) {
		o := o.(map[string]any)
		if f, ok := o["fields"].(map[string]any)[field]; ok && o["name"] == object {
			f := f.(map[string]any)
			f["type"], found = "text", true
			delete(f, "defaultValue")
		}
	}
	if !found {
		t.Fatalf("%s has no field %s.%s", file, object, field)
	}
	changed := filepath.Join(t.TempDir(), "changed.json")
	data, err = json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(changed, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return compile(t, changed)
}

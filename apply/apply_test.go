package apply_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/plan"
)

const account = `{"account": {"fields": {
	"name": {"type": "text", "required": true},
	"code": {"type": "text", "unique": true},
	"size": {"type": "text"},
	"since": {"type": "date"}}}}`

func TestDeploy(t *testing.T) {
	steps := []struct {
		name, objects, check, want string
	}{
		{
			"field added", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}, "fax": {"type": "phone"}}}}`,
			"SELECT id, name, code, size, fax FROM account ORDER BY id", "a1|Acme|A|10|<nil>\na2|Beta|B|20|<nil>",
		},
		{
			"required field with a literal default fills rows", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}, "tier": {"type": "select", "required": true, "defaultValue": "it's"}}}}`,
			"SELECT id, tier FROM account ORDER BY id", "a1|it's\na2|it's",
		},
		{
			"required field with an expression default fills rows", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}, "seen": {"type": "datetime", "required": true, "defaultValue": "NOW()"}}}}`,
			"SELECT id, seen IS NOT NULL AND length(seen) = 24 FROM account ORDER BY id", "a1|1\na2|1",
		},
		{
			"type changed by a rebuild", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "number"}, "since": {"type": "date"}}}}`,
			"SELECT id, name, size, typeof(size) FROM account ORDER BY id", "a1|Acme|10|real\na2|Beta|20|real",
		},
		{
			"field renamed", `{"account": {"fields": {"title": {"type": "text", "required": true, "renamedFrom": "name"}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`,
			"SELECT id, title FROM account ORDER BY id", "a1|Acme\na2|Beta",
		},
		{
			"object renamed", `{"company": {"renamedFrom": "account", "fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`,
			"SELECT id, name, code FROM company ORDER BY id", "a1|Acme|A\na2|Beta|B",
		},
		{
			"field removed", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true}}}}`,
			"SELECT * FROM (SELECT id, name, code FROM account ORDER BY id)", "a1|Acme|A\na2|Beta|B",
		},
		{
			"unique taken back and index added", `{"account": {"fields": {"name": {"type": "text", "required": true, "index": true}, "code": {"type": "text"},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`,
			"SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = 'account'", "idx_account_name",
		},
		{
			"required taken back", `{"account": {"fields": {"name": {"type": "text"}, "code": {"type": "text", "unique": true}, "size": {"type": "text"}, "since": {"type": "date"}}}}`,
			"SELECT \"notnull\" FROM pragma_table_info('account') WHERE name = 'name'", "0",
		},
		{
			"made required", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true, "required": true},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`,
			"SELECT \"notnull\" FROM pragma_table_info('account') WHERE name = 'code'", "1",
		},
		{
			"object added", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true}, "size": {"type": "text"}, "since": {"type": "date"}}},
			"contact": {"fields": {"account": {"type": "master_detail", "reference": "account"}, "tags": {"type": "tags"}, "score": {"type": "number", "defaultValue": 1.5}}}}`,
			"SELECT name FROM sqlite_master WHERE tbl_name = 'contact' AND sql IS NOT NULL ORDER BY name", "contact\nidx_contact_account",
		},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			x := newTenant(t)
			x.mustDeploy(account)
			x.exec(`INSERT INTO account (id, name, code, size) VALUES ('a1', 'Acme', 'A', '10'), ('a2', 'Beta', 'B', '20')`)
			p := x.mustDeploy(s.objects)
			for _, w := range p.Warnings {
				t.Log(w.Code, w.Message)
			}
			for _, sql := range p.Migration.Statements {
				t.Log(sql.SQL)
			}
			if got := x.query(s.check); got != s.want {
				t.Errorf("got\n%s\nwant\n%s", got, s.want)
			}
		})
	}
}

func TestBlocked(t *testing.T) {
	cases := []struct{ name, objects, code string }{
		{"required without a value", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date", "required": true}}}}`, "null_values"},
		{"new required field without a default", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}, "vat": {"type": "text", "required": true}}}}`, "not_null_without_default"},
		{"duplicates", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text", "unique": true}, "since": {"type": "date"}}}}`, "duplicate_values"},
		{"text that is no number", `{"account": {"fields": {"name": {"type": "number", "required": true}, "code": {"type": "text", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`, "conversion_damages"},
		{"number that would come back as another text", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "number", "unique": true},
			"size": {"type": "text"}, "since": {"type": "date"}}}}`, "conversion_damages"},
		{"values in a removed field", `{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true}, "since": {"type": "date"}}}}`, "column_not_empty"},
		{"rows in a removed object", `{"other": {"fields": {}}}`, "table_not_empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x := newTenant(t)
			x.keep = true
			x.mustDeploy(account)
			x.exec(`INSERT INTO account (id, name, code, size) VALUES ('a1', 'Acme', '007', '10'), ('a2', 'Beta', '8', '10')`)
			before := x.dump()
			_, err := x.deploy(c.objects)
			var blocked *apply.BlockedError
			if !errors.As(err, &blocked) {
				t.Fatalf("got error %v, want a BlockedError", err)
			}
			if got := blocked.Findings[0].Code; got != c.code {
				t.Errorf("got code %q, want %q: %v", got, c.code, err)
			}
			if blocked.Findings[0].Count == 0 || len(blocked.Findings[0].IDs) == 0 || blocked.Next() == "" {
				t.Errorf("the finding is incomplete: %+v", blocked.Findings[0])
			}
			if after := x.dump(); after != before {
				t.Errorf("the database changed:\n%s", after)
			}
		})
	}
}

// What somebody has agreed to lose goes, and nothing else is waived with it:
// the same checks are asked again under the lock.
func TestWaived(t *testing.T) {
	const without = `{"account": {"fields": {"name": {"type": "text", "required": true, "unique": true}, "code": {"type": "text", "unique": true}, "since": {"type": "date"}}}}`
	x := newTenant(t)
	x.keep = true
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code, size) VALUES ('a1', 'Acme', '7', '10'), ('a2', 'Acme', '8', '10')`)
	p, err := x.plan(without)
	if err != nil {
		t.Fatal(err)
	}
	run := func(waived bool) error {
		conn := x.open()
		x.n++
		_, err := apply.Run(t.Context(), conn, p, apply.Deployment{
			ID: fmt.Sprint("w", x.n), Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
			Waives: func(c plan.PreCheck) bool { _, can := c.Waivable(); return can && waived },
		})
		return errors.Join(err, conn.Close())
	}
	var blocked *apply.BlockedError
	if err := run(true); !errors.As(err, &blocked) || len(blocked.Findings) != 1 || blocked.Findings[0].Code != "duplicate_values" {
		t.Fatalf("rows that cannot be: got %v", err)
	}
	x.exec(`UPDATE account SET name = 'Beta' WHERE id = 'a2'`)
	if err := run(false); !errors.As(err, &blocked) || blocked.Findings[0].Code != "column_not_empty" {
		t.Fatalf("not waived: got %v", err)
	}
	if err := run(true); err != nil {
		t.Fatal(err)
	}
	if got, want := x.query("SELECT name FROM account ORDER BY name"), "Acme\nBeta"; got != want {
		t.Errorf("got rows %q, want %q", got, want)
	}
}

// What others have made on our tables stays through a rebuild, to the letter.
func TestRebuildKeepsForeignThings(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(
		`ALTER TABLE account ADD COLUMN note TEXT COLLATE NOCASE DEFAULT 'n''1' CHECK (note <> 'bad')`,
		`CREATE INDEX hand_made ON account (note COLLATE NOCASE DESC) WHERE note IS NOT NULL`,
		`CREATE TABLE log (at TEXT, account TEXT REFERENCES account(id) ON DELETE CASCADE)`,
		`CREATE TRIGGER hand_trigger AFTER UPDATE ON account BEGIN INSERT INTO log VALUES ('now', CASE WHEN new.id = 'a1' THEN new.id ELSE NULL END); END`,
		`CREATE VIEW hand_view AS SELECT id, size || 'x' AS y FROM account`,
		`INSERT INTO account (id, name, code, size, note) VALUES ('a1', 'Acme', 'A', '10', 'hello')`,
		`INSERT INTO log VALUES ('then', 'a1')`,
	)
	kept := `SELECT type, name, sql FROM sqlite_master WHERE name IN ('hand_made', 'hand_trigger', 'hand_view', 'log') ORDER BY name`
	before := x.query(kept)
	p := x.mustDeploy(strings.Replace(account, `"size": {"type": "text"}`, `"size": {"type": "number"}`, 1))
	if got := x.query(kept); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
	if got, want := x.query("SELECT * FROM log"), "then|a1"; got != want {
		t.Errorf("child rows: got %q, want %q", got, want)
	}
	if got, want := x.query("SELECT id, size, note FROM account"), "a1|10|hello"; got != want {
		t.Errorf("rows: got %q, want %q", got, want)
	}
	text := x.query("SELECT sql FROM sqlite_master WHERE name = 'account'")
	for _, part := range []string{"COLLATE NOCASE", "CHECK (note <> 'bad')"} {
		if !strings.Contains(text, part) {
			t.Errorf("the table lost %q: %s", part, text)
		}
	}
	if len(p.WayBack) == 0 {
		t.Errorf("there is no way back: %v", p.Warnings)
	}
}

func TestForeignDependent(t *testing.T) {
	cases := []struct{ name, foreign, objects string }{
		{
			"a view reads a removed column", `CREATE VIEW tr AS SELECT size FROM account`,
			`{"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true}, "since": {"type": "date"}}}}`,
		},
		{
			"a view reads a renamed column", `CREATE VIEW tr AS SELECT size FROM account`,
			strings.Replace(account, `"size": {"type": "text"}`, `"extent": {"type": "text", "renamedFrom": "size"}`, 1),
		},
		{"a trigger names a removed column", `CREATE TRIGGER tr AFTER UPDATE OF code ON account BEGIN SELECT 1; END`, withoutCode},
		{"a view reads a removed table", `CREATE VIEW tr AS SELECT id FROM account`, nothing},
		{"a trigger on a removed table", `CREATE TRIGGER tr AFTER INSERT ON account BEGIN SELECT 1; END`, `{"other": {"fields": {}}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x := newTenant(t)
			x.mustDeploy(account)
			x.exec(c.foreign)
			before := x.dump()
			_, err := x.deploy(c.objects)
			var conflict *plan.ConflictError
			if !errors.As(err, &conflict) || conflict.Reason() != "ForeignDependent" {
				t.Fatalf("got error %v, want ForeignDependent", err)
			}
			if !strings.Contains(err.Error(), `"tr"`) {
				t.Errorf("got error %v, want it to name what depends", err)
			}
			if after := x.dump(); after != before {
				t.Errorf("the database changed:\n%s", after)
			}
		})
	}
}

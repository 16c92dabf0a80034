package apply_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/plan"
)

// Objects with a field or an object less than account.
const (
	withoutCode = `{"account": {"fields": {"name": {"type": "text", "required": true}, "size": {"type": "text"}, "since": {"type": "date"}}}}`
	withoutName = `{"account": {"fields": {"code": {"type": "text", "unique": true}, "size": {"type": "text"}, "since": {"type": "date"}}}}`
	nothing     = `{}`
)

func TestRetiredFieldComesBack(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'A'), ('a2', 'Beta', 'B')`)

	x.mustDeploy(withoutCode)
	expect(t, x.query("SELECT id, _retired_1_code FROM account ORDER BY id"), "a1|A\na2|B")
	expect(t, x.query("SELECT count(*) FROM sqlite_master WHERE name = 'uniq_account_code'"), "0")
	x.exec(`INSERT INTO account (id, name) VALUES ('a3', 'Gamma')`)

	x.mustDeploy(account)
	expect(t, x.query("SELECT id, name, code FROM account ORDER BY id"), "a1|Acme|A\na2|Beta|B\na3|Gamma|<nil>")
	expect(t, x.query("SELECT count(*) FROM sqlite_master WHERE name = 'uniq_account_code'"), "1")
	expect(t, x.query("SELECT count(*) FROM pragma_table_info('account') WHERE name LIKE '\\_%' ESCAPE '\\'"), "0")
}

func TestRetiredRequiredField(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'A')`)
	x.mustDeploy(withoutName)
	expect(t, x.query(`SELECT "notnull" FROM pragma_table_info('account') WHERE name = '_retired_1_name'`), "0")
	x.exec(`INSERT INTO account (id, code) VALUES ('a2', 'B')`) // as applications do that never heard of it

	t.Run("rows without a value hold it up", func(t *testing.T) {
		_, err := x.deploy(account)
		var blocked *apply.BlockedError
		if !errors.As(err, &blocked) {
			t.Fatalf("got error %v, want a BlockedError", err)
		}
		if f := blocked.Findings[0]; f.Code != "null_values" || f.Count != 1 || f.IDs[0] != "a2" {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("a default fills them", func(t *testing.T) {
		x.mustDeploy(strings.Replace(account, `"name": {"type": "text", "required": true}`,
			`"name": {"type": "text", "required": true, "defaultValue": "none"}`, 1))
		expect(t, x.query("SELECT id, name FROM account ORDER BY id"), "a1|Acme\na2|none")
	})
}

func TestRetiredFieldWithADefaultComesBackWithoutAsking(t *testing.T) {
	const tiered = `{"account": {"fields": {"name": {"type": "text"}, "tier": {"type": "select", "required": true, "defaultValue": "free"}}}}`
	x := newTenant(t)
	x.mustDeploy(tiered)
	x.exec(`INSERT INTO account (id, tier) VALUES ('a1', 'gold')`)
	x.mustDeploy(`{"account": {"fields": {"name": {"type": "text"}}}}`)
	x.exec(`INSERT INTO account (id) VALUES ('a2')`)
	p := x.mustDeploy(tiered)
	expect(t, x.query("SELECT id, tier FROM account ORDER BY id"), "a1|gold\na2|free")
	expect(t, p.Class().String(), "additive")
}

func TestRetiredObjectComesBack(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code, size) VALUES ('a1', 'Acme', 'A', '10')`,
		`ALTER TABLE account ADD COLUMN mine TEXT DEFAULT 'kept'`)
	p := x.mustDeploy(nothing)
	expect(t, x.query("SELECT id, name, mine FROM _retired_1_account"), "a1|Acme|kept")
	expect(t, strings.Join(p.Retired, " "), "_retired_1_account")

	x.exec("CREATE TABLE account (other TEXT)", "DROP TABLE account") // the name is free, and so are those of its indexes
	x.mustDeploy(account)
	expect(t, x.query("SELECT id, name, code, size, mine FROM account"), "a1|Acme|A|10|kept")
	expect(t, x.query("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = 'account'"), "uniq_account_code")
	expect(t, x.query("SELECT count(*) FROM sqlite_master WHERE name LIKE '%retired%'"), "0")
}

// A type change keeps the old values: going back, a row that nobody touched
// has the very value it had, and one that somebody did has the new one.
func TestRetypedFieldGoesBack(t *testing.T) {
	text := `{"account": {"fields": {"name": {"type": "text"}, "size": {"type": "text", "index": true}, "ok": {"type": "text"}}}}`
	number := `{"account": {"fields": {"name": {"type": "text"}, "size": {"type": "number", "index": true}, "ok": {"type": "boolean"}}}}`
	x := newTenant(t)
	x.mustDeploy(text)
	x.exec(`INSERT INTO account (id, size, ok) VALUES ('a1', '10', 'TRUE'), ('a2', '20.0', 'false'), ('a3', NULL, '1'), ('a4', '40', NULL)`,
		`CREATE TRIGGER hand AFTER UPDATE ON account BEGIN SELECT RAISE(ABORT, 'a conversion is not an event'); END`,
		`CREATE VIEW sizes AS SELECT id, size FROM account`)
	p := x.mustDeploy(number)
	expect(t, x.query("SELECT id, size, typeof(size), ok FROM account ORDER BY id"),
		"a1|10|real|1\na2|20|real|0\na3|<nil>|null|1\na4|40|real|<nil>")
	expect(t, x.query("SELECT sql FROM sqlite_master WHERE name = 'idx_account_size'"), "CREATE INDEX `idx_account_size` ON `account` (`size`)")
	if !p.Migration.Reversible || len(p.WayBack) == 0 {
		t.Errorf("there is no way back: %+v", p.Warnings)
	}

	x.exec("DROP TRIGGER hand", "UPDATE account SET size = 11.5, ok = 0 WHERE id = 'a1'", "UPDATE account SET size = NULL WHERE id = 'a4'",
		"INSERT INTO account (id, size, ok) VALUES ('a5', 50, 1)")
	x.mustDeploy(text)
	expect(t, x.query("SELECT id, size, ok FROM account ORDER BY id"), "a1|11.5|0\na2|20.0|false\na3|<nil>|1\na4|<nil>|<nil>\na5|50|1")

	x.mustDeploy(number)
	expect(t, x.query("SELECT id, size, ok FROM account ORDER BY id"), "a1|11.5|0\na2|20|0\na3|<nil>|1\na4|<nil>|<nil>\na5|50|1")
	expect(t, x.query("SELECT count(*) FROM pragma_table_info('account') WHERE name LIKE '\\_retired%' ESCAPE '\\'"), "2")
}

func TestRetiredNamesAreShortAndFree(t *testing.T) {
	long := "a_field_with_a_name_of_sixty_characters_that_is_hard_to_keep_"
	fields := func(names ...string) string {
		var parts []string
		for _, n := range names {
			parts = append(parts, `"`+n+`": {"type": "text"}`)
		}
		return `{"account": {"fields": {` + strings.Join(parts, ", ") + `}}}`
	}
	x := newTenant(t)
	x.mustDeploy(fields("keep", long+"x", long+"y", "z"))
	p := x.mustDeploy(fields("keep", "z"))
	if len(p.Retired) != 2 || p.Retired[0] == p.Retired[1] {
		t.Fatalf("got %q, want two names", p.Retired)
	}
	for _, name := range p.Retired {
		if len(name) > 63 {
			t.Errorf("%q has %d bytes", name, len(name))
		}
	}
	x.mustDeploy(fields("keep", "z", long+"x")) // number 1 is free again
	p = x.mustDeploy(fields("keep", long+"x"))
	expect(t, strings.Join(p.Retired, " "), "_retired_1_z")
}

func TestRetireKeepsForeignThings(t *testing.T) {
	t.Run("a column with a constraint of somebody else's", func(t *testing.T) {
		x := newTenant(t)
		x.exec("CREATE TABLE account (id TEXT PRIMARY KEY NOT NULL, created_at TEXT, updated_at TEXT, name TEXT, code TEXT CHECK (code <> ''))")
		x.mustDeploy(`{"account": {"fields": {"name": {"type": "text"}, "code": {"type": "text"}}}}`)
		_, err := x.deploy(`{"account": {"fields": {"name": {"type": "text"}}}}`)
		if !errors.Is(err, plan.ErrConflict) || !strings.Contains(err.Error(), "CHECK") {
			t.Errorf("got error %v, want a conflict that names the CHECK", err)
		}
	})
	t.Run("a trigger on other fields goes on working", func(t *testing.T) {
		x := newTenant(t)
		x.mustDeploy(account)
		x.exec("CREATE TABLE log (id TEXT)", "CREATE TRIGGER tr AFTER UPDATE OF name ON account BEGIN INSERT INTO log VALUES (new.id); END",
			"INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'A')")
		x.mustDeploy(withoutCode)
		x.exec("UPDATE account SET name = 'Other'")
		expect(t, x.query("SELECT * FROM log"), "a1")
	})
}

func TestPurge(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'A')`)
	x.mustDeploy(withoutCode)

	record := x.record()
	at := record.Retired["_retired_1_code"]
	if at.Deployment != "d002" || !at.At.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("got %+v, want when it was retired and by what", at)
	}
	if due := record.Due(24*time.Hour, at.At.Add(24*time.Hour-1)); due != nil {
		t.Errorf("got %q due a moment too early", due)
	}
	x.due = record.Due(24*time.Hour, at.At.Add(24*time.Hour))
	expect(t, strings.Join(x.due, " "), "_retired_1_code")

	p := x.mustDeploy(withoutCode)
	expect(t, p.Class().String(), "destructive")
	expect(t, x.query("SELECT count(*) FROM pragma_table_info('account') WHERE name LIKE '%code'"), "0")
	expect(t, x.query("SELECT id, name FROM account"), "a1|Acme")
	if left := x.record().Retired; len(left) > 0 {
		t.Errorf("got %+v, want nothing retired", left)
	}

	x.due = nil
	x.mustDeploy(nothing)
	x.due = []string{"_retired_1_account"}
	x.mustDeploy(nothing)
	expect(t, x.query("SELECT count(*) FROM sqlite_master WHERE name LIKE '%account%'"), "0")
}

// A retired object keeps what was retired of it, and both come back.
func TestRetiredFieldOfARetiredObject(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	x.exec(`INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'A')`)
	x.mustDeploy(withoutCode)
	x.mustDeploy(nothing)
	x.mustDeploy(account)
	expect(t, x.query("SELECT id, name, code FROM account"), "a1|Acme|A")
}

// record is what the database says about itself.
func (x *tenant) record() apply.Record {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	seen, err := apply.Read(x.t.Context(), conn)
	if err != nil {
		x.t.Fatal(err)
	}
	return seen.Record
}

func TestKeepsSaysWhatIsRetired(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(`{"account": {"fields": {"name": {"type": "text"}, "code": {"type": "text"}}}, "old": {"fields": {"name": {"type": "text"}}}}`)
	x.exec(`INSERT INTO account (id, name, code) VALUES ('a1', 'Acme', 'ÄB'), ('a2', 'Beta', NULL)`, `INSERT INTO old (id, name) VALUES ('o1', 'one')`)
	x.mustDeploy(`{"account": {"fields": {"name": {"type": "text"}}}}`)
	conn := x.open()
	defer conn.Close()
	kept, err := apply.Keeps(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != 2 {
		t.Fatalf("got %+v, want a column and a table", kept)
	}
	if c := kept[0]; c.Name != "_retired_1_code" || c.Was != "account.code" || c.Rows != 1 || c.Bytes != 3 || c.Deployment != "d002" {
		t.Errorf("got %+v for the column", c)
	}
	if o := kept[1]; o.Name != "_retired_2_old" || o.Was != "old" || o.Rows != 1 || o.Bytes < int64(len("o1one")) {
		t.Errorf("got %+v for the table", o)
	}
}

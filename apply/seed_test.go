package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

const company = `{
	"account": {"fields": {
		"name": {"type": "text", "required": true},
		"code": {"type": "text", "unique": true, "columnName": "short_code"},
		"revenue": {"type": "currency"},
		"stage": {"type": "select", "defaultValue": "new"},
		"tags": {"type": "tags"},
		"active": {"type": "boolean"},
		"since": {"type": "date"},
		"seen": {"type": "datetime"},
		"parent": {"type": "tree"}}},
	"contact": {"fields": {
		"email": {"type": "email", "required": true},
		"account": {"type": "lookup", "reference": "account", "required": true},
		"manager": {"type": "lookup", "reference": "contact"},
		"accounts": {"type": "lookup", "reference": "account", "multiple": true}}}}`

// seeded is a tenant whose bundle has seed sets.
type seeded struct {
	*tenant
	outcome apply.Outcome
}

// seed deploys objects with seed sets, given as JSON.
func (x *seeded) seed(objects, sets, mode string) error {
	x.t.Helper()
	return x.seedAll(parse(x.t, objects), parseSets(x.t, sets), mode)
}

func (x *seeded) seedAll(objects []schema.Object, sets []plan.SeedSet, mode string) error {
	x.t.Helper()
	conn := x.open()
	defer conn.Close()
	p, err := planFor(x.t.Context(), conn, objects, false, nil, func(record apply.Record, in *plan.Input) {
		in.SeedMode = mode
		in.Seeds = plan.CompileSeeds(plan.SeedInput{
			Sets: sets, Objects: objects, Tables: in.Desired, Applied: record.SeedDigests,
		})
	})
	if err != nil {
		return err
	}
	x.n++
	x.outcome, err = apply.Run(x.t.Context(), conn, p, apply.Deployment{
		ID: fmt.Sprintf("d%03d", x.n), Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Adopt: true,
	})
	return err
}

func (x *seeded) mustSeed(sets string) {
	x.t.Helper()
	if err := x.seed(company, sets, "strict"); err != nil {
		x.t.Fatal(err)
	}
}

func parseSets(t testing.TB, text string) []plan.SeedSet {
	t.Helper()
	var sets []plan.SeedSet
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&sets); err != nil {
		t.Fatal(err)
	}
	for i := range sets {
		if sets[i].ExternalID == "" {
			sets[i].ExternalID = "name"
		}
		if sets[i].Mode == "" {
			sets[i].Mode = "upsert"
		}
	}
	return sets
}

func lines(issues []plan.SeedIssue) string {
	text := make([]string, len(issues))
	for i, issue := range issues {
		text[i] = issue.String()
	}
	return strings.Join(text, "\n")
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
}

func TestSeedValuesAreStoredInTheFormOfTheirColumn(t *testing.T) {
	x := &seeded{tenant: newTenant(t)}
	x.mustSeed(`[{"object": "account", "records": [
		{"name": "it's 42", "code": 7, "revenue": "1e3", "tags": ["a", {"b": "<c>"}], "active": true, "since": "2026-01-02"},
		{"name": "Beta", "revenue": 12345678901234567890, "active": "false", "tags": "x", "stage": null,
		 "since": {"dialect": "cel", "source": "daysAgo(2)"}, "seen": "daysFromNow( 3 )"},
		{"name": "Gamma", "since": "today()", "seen": {"dialect": "cel", "source": "now()"}}]}]`)
	expect(t, x.query(`SELECT name, short_code, revenue, typeof(revenue), stage, tags, active, since FROM account ORDER BY name LIMIT 1 OFFSET 2`),
		`it's 42|7|1000|real|new|["a",{"b":"<c>"}]|1|2026-01-02`)
	expect(t, x.query(`SELECT revenue, active, tags, stage, since = date('now', '-2 days'), seen = date('now', '+3 days') || 'T00:00:00.000Z' FROM account WHERE name = 'Beta'`),
		`1.2345678901234567e+19|0|"x"|<nil>|1|1`)
	expect(t, x.query(`SELECT since = date('now'), length(seen), abs(julianday(seen) - julianday('now')) < 0.01, length(created_at) FROM account WHERE name = 'Gamma'`),
		`1|24|1|24`)
	expect(t, x.query("SELECT id FROM account WHERE name = 'Gamma'"), plan.RowID("account", "Gamma"))
	if x.outcome.Seeded != 3 {
		t.Errorf("got %d records seeded, want 3", x.outcome.Seeded)
	}
}

func TestSeedReferences(t *testing.T) {
	t.Run("keys become ids, whatever the order of the sets", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(`[
			{"object": "contact", "externalId": "email", "records": [
				{"email": "a@x", "account": "Beta", "manager": "b@x", "accounts": ["Acme", {"externalId": "Beta"}]},
				{"email": "b@x", "account": {"externalId": "Acme"}, "manager": "0123456789abcdef01234567"}]},
			{"object": "account", "records": [{"name": "Acme", "parent": "Beta"}, {"name": "Beta"}]}]`)
		expect(t, x.query(`SELECT c.email, a.name, m.email, c.accounts = json_array(b.id, a.id) FROM contact c
			JOIN account a ON a.id = c.account JOIN account b ON b.name = 'Acme' LEFT JOIN contact m ON m.id = c.manager ORDER BY 1`),
			"a@x|Beta|b@x|1\nb@x|Acme|<nil>|<nil>")
		expect(t, x.query("SELECT manager FROM contact WHERE email = 'b@x'"), "0123456789abcdef01234567")
		expect(t, x.query("SELECT p.name FROM account a JOIN account p ON p.id = a.parent"), "Beta")
		if x.outcome.Seeded != 4 || len(x.outcome.SeedIssues) > 0 {
			t.Errorf("got %d seeded, issues %v", x.outcome.Seeded, x.outcome.SeedIssues)
		}
	})
	t.Run("a key that nothing has leaves an optional field empty", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(`[{"object": "account", "records": [{"name": "Acme", "parent": "Nobody"}]}]`)
		expect(t, lines(x.outcome.SeedIssues), `account record 1 (Acme), field parent: no account has the name "Nobody"`)
		expect(t, x.query("SELECT name, parent FROM account"), "Acme|<nil>")
	})
	t.Run("a key that nothing has leaves out a record that requires it", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		if err := x.seed(company, `[{"object": "contact", "externalId": "email", "records": [
			{"email": "a@x", "account": "Nobody", "manager": "a@x"}]}]`, "skip"); err != nil {
			t.Fatal(err)
		}
		expect(t, lines(x.outcome.SeedIssues), `contact record 1 (a@x), field account: no account has the name "Nobody"`)
		expect(t, x.query("SELECT count(*) FROM contact"), "0")
	})
	t.Run("a renamed row is still found by what it was seeded as", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		accounts := `{"object": "account", "records": [{"name": "Acme"}]}`
		x.mustSeed("[" + accounts + "]")
		x.exec("UPDATE account SET name = 'Acme Inc'")
		x.mustSeed("[" + accounts + `, {"object": "contact", "externalId": "email", "records": [{"email": "a@x", "account": "Acme"}]}]`)
		expect(t, x.query("SELECT a.name FROM contact c JOIN account a ON a.id = c.account"), "Acme Inc")
	})
}

func TestSeedModes(t *testing.T) {
	set := func(mode, records string) string {
		return `[{"object": "account", "mode": "` + mode + `", "records": [` + records + `]}]`
	}
	first := `{"name": "Acme", "revenue": 1, "stage": "won"}`
	second := `{"name": "Acme", "revenue": 2, "stage": "won", "code": "A"}`
	state := "SELECT name, revenue, short_code FROM account"
	tests := []struct {
		name, before, mode, after, want string
		seeded                          int
	}{
		{"upsert changes what an earlier seed wrote", "", "upsert", second, "Acme|2|A", 1},
		{"upsert keeps a row that somebody changed", "UPDATE account SET revenue = 9", "upsert", second, "Acme|9|<nil>", 0},
		{"upsert keeps a value that no seed wrote", "UPDATE account SET short_code = 'Z'", "upsert", second, "Acme|1|Z", 0},
		{"upsert looks only at what it would change", "UPDATE account SET tags = '[1]'", "upsert", second, "Acme|2|A", 1},
		{"upsert puts back a row that is gone", "DELETE FROM account", "upsert", second, "Acme|2|A", 1},
		{"upsert does not touch a row that is right", "", "upsert", first + `,{"name": "Beta"}`, "Acme|1|<nil>\nBeta|<nil>|<nil>", 1},
		{"update changes what an earlier seed wrote", "", "update", second, "Acme|2|A", 1},
		{"update makes no row", "DELETE FROM account", "update", second, "", 0},
		{"insert keeps a row that is there", "", "insert", second, "Acme|1|<nil>", 0},
		{"insert puts back a row that is gone", "DELETE FROM account", "insert", second, "Acme|2|A", 1},
		{"replace clears nothing", "", "replace", `{"name": "Beta"}`, "Acme|1|<nil>\nBeta|<nil>|<nil>", 1},
		{"ignore keeps a row that is there", "", "ignore", second, "Acme|1|<nil>", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x := &seeded{tenant: newTenant(t)}
			x.mustSeed(set("upsert", first))
			if test.before != "" {
				x.exec(test.before)
			}
			x.mustSeed(set(test.mode, test.after))
			expect(t, x.query(state+" ORDER BY name"), test.want)
			if x.outcome.Seeded != test.seeded {
				t.Errorf("got %d records seeded, want %d", x.outcome.Seeded, test.seeded)
			}
		})
	}
	t.Run("a row of somebody else's with the same key is kept", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(`[]`)
		x.exec("INSERT INTO account (id, name, revenue) VALUES ('theirs', 'Acme', NULL)")
		x.mustSeed(set("upsert", first))
		x.mustSeed(set("upsert", second))
		expect(t, x.query("SELECT id, revenue FROM account"), "theirs|<nil>")
	})
	t.Run("overwrite changes a row whatever it holds", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(set("upsert", first))
		x.exec("UPDATE account SET revenue = 9, name = 'Acme Inc'")
		x.mustSeed(`[{"object": "account", "mode": "upsert", "overwrite": true, "records": [` + second + `]}]`)
		expect(t, x.query(state), "Acme|2|A")
	})
	t.Run("a set that has not changed does not run again", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(set("upsert", first))
		x.exec("DELETE FROM account")
		x.mustSeed(set("upsert", first))
		expect(t, x.query(state), "")
	})
	t.Run("of two sets of an object the second goes over the first", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed(`[{"object": "account", "records": [` + first + `]}, {"object": "account", "records": [` + second + `]}]`)
		expect(t, x.query(state), "Acme|2|A")
	})
}

func TestSeedKeepsImages(t *testing.T) {
	x := &seeded{tenant: newTenant(t)}
	id := func(name string) string { return `"id":"` + plan.RowID("account", name) + `"` }
	after := func(name, values string) string {
		return `"after":{"id":"'` + plan.RowID("account", name) + `'","name":"'` + strings.ReplaceAll(name, "'", "''") + `'"` + values + `,"stage":"'new'"}`
	}
	x.mustSeed(`[{"object": "account", "records": [{"name": "it's", "revenue": 1.5}]}]`)
	expect(t, x.query("SELECT images FROM _reconciler_journal"),
		`[{"object":"account","key":"it's","table":"account",`+id("it's")+`,"values":null,`+after("it's", `,"revenue":"1.5"`)+`}]`)
	x.exec("UPDATE account SET updated_at = 'then'")
	x.mustSeed(`[{"object": "account", "records": [{"name": "it's", "revenue": 2, "code": "A"}]}]`)
	expect(t, x.query("SELECT images FROM _reconciler_journal WHERE seq = 2"),
		`[{"object":"account","key":"it's","table":"account",`+id("it's")+
			`,"values":{"name":"'it''s'","revenue":"1.5","short_code":"NULL","updated_at":"'then'"},"noted":{"name":"'it''s'","revenue":"1.5"},`+
			after("it's", `,"revenue":"2.0","short_code":"'A'"`)+`}]`)
}

func TestSeedIssues(t *testing.T) {
	const sets = `[{"object": "account", "records": [
		{"name": "Acme", "code": "A"}, {"name": "Beta", "code": "A", "parent": "Acme"}, {"name": "Gamma"}]}]`
	want := "account record 2 (Beta), field code: another row has the same value, which must be unique"
	t.Run("skip leaves the record out and says so", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		if err := x.seed(company, sets, "skip"); err != nil {
			t.Fatal(err)
		}
		expect(t, lines(x.outcome.SeedIssues), want)
		expect(t, x.query("SELECT name FROM account ORDER BY name"), "Acme\nGamma")
		expect(t, x.query("SELECT key FROM _reconciler_seed ORDER BY key"), "Acme\nGamma")
	})
	t.Run("strict changes nothing and says so", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed("[]")
		before := x.dump()
		err := x.seed(company, sets, "strict")
		var refused *apply.SeedError
		if !errors.As(err, &refused) {
			t.Fatalf("got %v, want a SeedError", err)
		}
		expect(t, lines(refused.Issues), want)
		expect(t, x.dump(), before)
	})
	t.Run("strict stops at issues that are known before", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		err := x.seed(company, `[{"object": "account", "records": [{"name": "Acme", "size": 1}, {"code": "B"}]}]`, "strict")
		var refused *apply.SeedError
		if !errors.As(err, &refused) {
			t.Fatalf("got %v, want a SeedError", err)
		}
		expect(t, lines(refused.Issues), "account record 1 (Acme), field size: account has no such field; add it, or take the value out\n"+
			"account record 2, field name: the record is matched by this field and has no text or number in it")
	})
	t.Run("somebody's trigger that ends the transaction fails the deployment", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed("[]")
		x.exec("CREATE TRIGGER no_beta BEFORE INSERT ON account WHEN NEW.name = 'Beta' BEGIN SELECT RAISE(ROLLBACK, 'no beta'); END")
		before := x.dump()
		if err := x.seed(company, sets, "skip"); err == nil {
			t.Fatal("got no error")
		}
		expect(t, x.dump(), before)
	})
	t.Run("somebody's trigger that refuses a row is an issue", func(t *testing.T) {
		x := &seeded{tenant: newTenant(t)}
		x.mustSeed("[]")
		x.exec("CREATE TRIGGER no_beta BEFORE INSERT ON account WHEN NEW.name = 'Beta' BEGIN SELECT RAISE(ABORT, 'no beta'); END")
		if err := x.seed(company, sets, "skip"); err != nil {
			t.Fatal(err)
		}
		expect(t, lines(x.outcome.SeedIssues), "account record 2 (Beta): no beta")
	})
}

// TestSeedOfAWideObject goes over the engine's limit of arguments.
func TestSeedOfAWideObject(t *testing.T) {
	fields, record := []string{`"name": {"type": "text"}`}, []string{`"name": "Acme"`}
	for i := range 130 {
		fields = append(fields, fmt.Sprintf(`"f%d": {"type": "number"}`, i))
		record = append(record, fmt.Sprintf(`"f%d": %d`, i, i))
	}
	objects := `{"wide": {"fields": {` + strings.Join(fields, ",") + `}}}`
	set := func(last string) string {
		return `[{"object": "wide", "records": [{` + strings.Join(record, ",") + `, "f129": ` + last + `}]}]`
	}
	x := &seeded{tenant: newTenant(t)}
	for _, last := range []string{"129", "0"} {
		if err := x.seed(objects, set(last), "strict"); err != nil {
			t.Fatal(err)
		}
		expect(t, x.query("SELECT name, f0, f128, f129 FROM wide"), "Acme|0|128|"+last)
	}
}

// FuzzSeedText holds that text comes out of the database as it went in, and
// that what cannot is an issue.
func FuzzSeedText(f *testing.F) {
	for _, text := range []string{"it's", "`; DROP TABLE account; --", "today()", "é\n\t\"\\", "a\x00b", "\xff", "1e5", " "} {
		f.Add(text)
	}
	objects := parse(f, `{"account": {"fields": {"name": {"type": "text"}, "note": {"type": "textarea"}, "data": {"type": "json"}}}}`)
	tables, _ := schema.Desired(objects, schema.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		record := map[string]any{"name": "k" + text, "note": text, "data": []any{text}}
		sets := parseSets(t, `[{"object": "account"}]`)
		sets[0].Records = []map[string]any{record}
		compiled := plan.CompileSeeds(plan.SeedInput{Sets: sets, Objects: objects, Tables: tables})
		if len(compiled.Issues) > 0 {
			return
		}
		statements, err := database.Split(compiled.Seeds[0].SQL)
		if err != nil || len(statements) != 1 {
			t.Fatalf("got %d statements, %v", len(statements), err)
		}
		x := &seeded{tenant: newTenant(t)}
		if err := x.seedAll(objects, sets, "strict"); err != nil {
			t.Fatal(err)
		}
		expect(t, x.query("SELECT hex(name) = '"+fmt.Sprintf("%X", "k"+text)+"', hex(note) = '"+fmt.Sprintf("%X", text)+"', json_valid(data) FROM account"), "1|1|1")
	})
}

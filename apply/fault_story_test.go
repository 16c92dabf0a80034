package apply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/plan"
)

// The objects of a tenant in which every kind of plan has something to do.
// The table of task is older than we are.
const (
	shopAccount = `"account": {"fields": {"name": {"type": "text", "required": true}, "code": {"type": "text", "unique": true},
		"size": {"type": "text"}, "tier": {"type": "text"}, "since": {"type": "date"}}}`
	shopContact = `"contact": {"fields": {"email": {"type": "text", "index": true}, "account": {"type": "lookup", "reference": "account"}}}`
	shopTask    = `"task": {"fields": {"state": {"type": "text"}}}`
	shop        = "{" + shopAccount + ", " + shopContact + ", " + shopTask + "}"
)

// edited is shop with texts replaced, given as pairs of old and new.
func edited(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(shop, pairs[i]) {
			panic("shop has no " + pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(shop)
}

const (
	shopSeeds = `[{"name": "accounts", "object": "account", "externalId": "code", "records": [
		{"code": "S1", "name": "Seeded", "tier": "gold"}, {"code": "S2", "name": "Second", "tier": "gold"}]}]`
	shopSeedsLater = `[{"name": "accounts", "object": "account", "externalId": "code", "records": [
		{"code": "S1", "name": "Seeded", "tier": "silver"}, {"code": "S3", "name": "Third"}]},
		{"name": "contacts", "object": "contact", "externalId": "email", "records": [{"email": "ada@example.com", "account": "Third"}]}]`
)

// story is one kind of plan. The tenant is at shop with rows and things of
// somebody else's, then led through before; what is put to the test is the
// deployment of objects and sets after it.
type story struct {
	name    string
	fresh   bool // a tenant without anything
	before  func(*seeded)
	objects string
	sets    string
	purge   bool // what is retired is due
	back    int  // so many deployments are taken back
}

var stories = []story{
	{name: "create", fresh: true, objects: shop, sets: shopSeeds},
	{name: "add columns", objects: edited(`"tier":`, `"fax": {"type": "phone"}, "kind": {"type": "select", "required": true, "defaultValue": "free"},
		"seen": {"type": "datetime", "required": true, "defaultValue": "NOW()"}, "tier":`)},
	{name: "retire column", objects: edited(` "code": {"type": "text", "unique": true},`, "")},
	{name: "retire table", objects: edited(", "+shopContact, "")},
	{
		name: "restore column", objects: shop,
		before: deployed(edited(` "code": {"type": "text", "unique": true},`, "")),
	},
	{name: "restore table", objects: shop, before: deployed(edited(", "+shopContact, ""))},
	{name: "change type", objects: edited(`"size": {"type": "text"}`, `"size": {"type": "number", "index": true}`)},
	{
		name: "change type back", objects: shop,
		before: func(x *seeded) {
			deployed(edited(`"size": {"type": "text"}`, `"size": {"type": "number"}`))(x)
			x.exec("UPDATE account SET size = 77 WHERE id = 'a3'")
		},
	},
	{name: "rebuild", objects: edited(`"state": {"type": "text"}`, `"state": {"type": "text", "required": true, "defaultValue": "open"}`)},
	{name: "set not null", objects: edited(`"size": {"type": "text"}`, `"size": {"type": "text", "required": true, "defaultValue": "7"}`)},
	{name: "lift not null", objects: edited(`"name": {"type": "text", "required": true}`, `"name": {"type": "text"}`)},
	{name: "add unique index", objects: edited(`"size": {"type": "text"}`, `"size": {"type": "text", "unique": true}`)},
	{name: "drop index", objects: edited(`{"type": "text", "unique": true}`, `{"type": "text"}`)},
	{name: "rename column", objects: edited(`"tier": {"type": "text"}`, `"grade": {"type": "text", "renamedFrom": "tier"}`)},
	{name: "rename table", objects: edited(`"contact": {`, `"person": {"renamedFrom": "contact", `)},
	{
		name: "purge", purge: true, objects: edited(", "+shopContact, "", `, "since": {"type": "date"}`, ""),
		before: func(x *seeded) {
			deployed(edited(", "+shopContact, "", `, "since": {"type": "date"}`, ""))(x)
			x.exec("UPDATE visit SET contact = NULL")
		},
	},
	{
		name: "load seeds again", objects: shop, sets: shopSeedsLater,
		before: func(x *seeded) { x.deployWith(shop, shopSeeds) },
	},
	{
		name: "roll back", back: 2, objects: shop,
		before: func(x *seeded) {
			x.deployWith(edited(`"tier":`, `"fax": {"type": "phone"}, "tier":`), shopSeeds)
			x.deployWith(edited(`"tier":`, `"fax": {"type": "phone"}, "tier":`, `"state": {"type": "text"}`, `"state": {"type": "text"}, "due": {"type": "date"}`), shopSeedsLater)
			x.exec("UPDATE account SET tier = 'mine' WHERE code = 'S1'")
		},
	},
	{
		name: "all at once", sets: shopSeedsLater, before: func(x *seeded) { x.deployWith(shop, shopSeeds) },
		objects: edited(`"name": {"type": "text", "required": true}`, `"name": {"type": "text"}`,
			`"size": {"type": "text"}`, `"size": {"type": "number"}`, `"since": {"type": "date"}`, `"fax": {"type": "phone"}`,
			`"state": {"type": "text"}`, `"state": {"type": "text", "required": true, "defaultValue": "open"}`),
	},
}

// deployed leads a tenant on to objects.
func deployed(objects string) func(*seeded) { return func(x *seeded) { x.deployWith(objects, "[]") } }

func (x *seeded) deployWith(objects, sets string) {
	x.t.Helper()
	if err := x.seed(objects, sets, "strict"); err != nil {
		x.t.Fatal(err)
	}
}

// older is what the database has before the first deployment.
var older = []string{
	`CREATE TABLE task (id TEXT PRIMARY KEY NOT NULL, created_at TEXT, updated_at TEXT,
 state TEXT CHECK (state IN ('open', 'done')), filler TEXT DEFAULT 'it''s')`,
}

// theirs are rows, and what somebody else has made: views, triggers, an index,
// children that go when their parent does, one of which is an orphan.
var theirs = []string{
	`INSERT INTO account (id, created_at, updated_at, name, code, size, tier, since)
 WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40)
 SELECT 'a' || i, '2001-02-03 04:05:06', '2001-02-03 04:05:06', 'Account ' || i, 'C' || i, nullif(i, 4), printf('%.200c', 't'), '2001-01-01' FROM n`,
	`INSERT INTO contact (id, created_at, updated_at, email, account)
 SELECT 'c' || id, created_at, updated_at, id || '@example.com', id FROM account`,
	`INSERT INTO task (id, created_at, state, filler)
 SELECT 't' || id, created_at, CASE WHEN id > 'a2' THEN 'open' WHEN id > 'a1' THEN 'done' END, printf('%.900c', 'f') FROM account`,
	`CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE, body TEXT)`,
	`CREATE TABLE visit (id INTEGER PRIMARY KEY, contact TEXT REFERENCES contact (id) ON DELETE CASCADE)`,
	`CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE)`,
	`CREATE TABLE tag (word TEXT PRIMARY KEY, n BLOB) WITHOUT ROWID`,
	`INSERT INTO note (account, body) SELECT id, 'note' FROM account`,
	`INSERT INTO visit (contact) SELECT id FROM contact`,
	`INSERT INTO step (task) SELECT id FROM task`,
	`DELETE FROM step WHERE id > 35`,
	`INSERT INTO tag VALUES ('one', x'00ff')`,
	`PRAGMA foreign_keys = OFF`,
	`INSERT INTO step (task) VALUES ('nobody')`,
	`CREATE VIEW names AS SELECT id, created_at FROM account`,
	`CREATE VIEW open_tasks AS SELECT id FROM task WHERE state = 'open'`,
	`CREATE TRIGGER on_account AFTER UPDATE ON account BEGIN INSERT INTO note (account, body) VALUES (new.id, 'changed'); END`,
	`CREATE TRIGGER on_task AFTER INSERT ON task BEGIN INSERT INTO step (task) VALUES (new.id); END`,
	`CREATE INDEX by_tier ON account (tier DESC) WHERE tier IS NOT NULL`,
}

// start makes the tenant of a story as it is before the plan.
func (s story) start(t *testing.T, kind databasetest.Kind) *seeded {
	x := &seeded{tenant: newTenantOn(t, kind)}
	if s.fresh {
		return x
	}
	x.exec(older...)
	x.deployWith(shop, "[]")
	x.exec(theirs...)
	if s.before != nil {
		s.before(x)
	}
	return x
}

// plan makes the plan that is put to the test.
func (s story) plan(t *testing.T, conn database.Conn) (*plan.Plan, error) {
	var due []string
	if s.purge {
		seen, err := apply.Read(t.Context(), conn)
		if err != nil {
			return nil, err
		}
		for name := range seen.Record.Retired {
			due = append(due, name)
		}
		slices.Sort(due)
		if len(due) == 0 {
			return nil, errors.New("nothing is due")
		}
	}
	sets := "[]"
	if s.sets != "" {
		sets = s.sets
	}
	objects := parse(t, s.objects)
	return planFor(t.Context(), conn, objects, false, due, func(record apply.Record, in *plan.Input) {
		in.SeedMode = "strict"
		in.Seeds = plan.CompileSeeds(plan.SeedInput{
			Sets: parseSets(t, sets), Objects: objects, Tables: in.Desired, Applied: record.SeedDigests,
		})
	})
}

package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// importOne writes what import makes of the subject's database, and loads it.
func (x *subject) importOne() (*bundle.Desired, adoption.Schema) {
	x.t.Helper()
	found, err := adoption.Read(x.t.Context(), x.conn)
	must(x.t, err)
	fleet := adoption.Divide([]adoption.Tenant{{ID: "acme", Name: "Acme", URL: "file:acme.db", Schema: &found}})
	files, err := fleet.Files("imported")
	must(x.t, err)
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: text}
	}
	loaded, err := bundle.Load(tree, reconcile.BundleOptions(x.t.Context(), nil))
	must(x.t, err)
	for _, f := range loaded.Faults {
		if f.IsError() {
			x.t.Errorf("%v\n%s", f, files[f.File])
		}
	}
	return loaded.Tenants[0].Desired, found
}

// adopts imports the subject's database, and deploys that to it: at most
// columns that every table has, and the registry, are added.
func (x *subject) adopts(additive ...string) adoption.Schema {
	x.t.Helper()
	desired, found := x.importOne()
	if desired == nil {
		x.t.FailNow()
	}
	policy := everyClassAllowed()
	policy.Plan.NullableRequired = false
	policy.Classes = map[string]string{"additive": "allow", "widening": "deny", "rewrite": "deny", "narrowing": "deny", "destructive": "deny"}
	before := x.query("SELECT type, name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
	result := x.deploy(desired, policy)
	if result.Err != nil {
		x.t.Fatal(result.Reason, result.Err)
	}
	var steps []string
	for _, s := range result.Plan.Steps {
		if s.Class != diff.Additive {
			x.t.Errorf("it would do more than add: %s (%s)", s.Change, s.Class)
		}
		if s.Table != "sys_metadata" && !slices.Contains(steps, s.Change) {
			steps = append(steps, s.Change)
		}
	}
	if !slices.Equal(steps, additive) {
		x.t.Errorf("got the changes %q, want %q", steps, additive)
	}
	if len(additive) == 0 {
		after := x.query("SELECT type, name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '_reconciler_%' AND name <> 'sys_metadata' ORDER BY name")
		before = slices.DeleteFunc(before, func(row []any) bool { return row[1] == "sys_metadata" })
		if fmt.Sprint(after) != fmt.Sprint(before) {
			x.t.Errorf("tables have changed: got %v, want %v", after, before)
		}
	}
	if again := x.assess(desired, policy); again.Action != deploy.None || again.Err != nil {
		x.t.Errorf("a second plan is not empty: %s %v", again.Action, again.Err)
	}
	return found
}

// What we deployed ourselves, without our record of it, is expressed whole:
// the newest version of every application gives a plan without a statement.
func TestImportOfOwnDeployments(t *testing.T) {
	for app, versions := range applications(t) {
		for _, file := range versions[len(versions)-1:] {
			t.Run(app+"/"+filepath.Base(file), func(t *testing.T) {
				x := newSubject(t)
				policy := everyClassAllowed()
				policy.Plan.NullableRequired = false
				if result := x.deploy(compile(t, file), policy); result.Err != nil {
					t.Fatal(result.Err)
				}
				x.exec("DROP TABLE _reconciler_journal", "DROP TABLE _reconciler_meta", "DROP TABLE IF EXISTS _reconciler_seed")
				rows := x.insertRows("before")
				found := x.adopts()
				for _, f := range found.Foreign {
					if f.Kind != "index" {
						t.Errorf("left foreign: %s", f)
					}
				}
				x.stillThere(rows)
			})
		}
	}
}

// Databases of the published runtimes are expressed whole.
func TestImportOfRuntimes(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("..", "testdata", "runtimes", "*.sql"))
	must(t, err)
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			x := newSubject(t)
			x.script(script)
			rows := x.insertRows("before")
			found := x.adopts()
			for _, f := range found.Foreign {
				if f.Table[0] != '_' {
					t.Errorf("left foreign: %s", f)
				}
			}
			x.stillThere(rows)
		})
	}
}

// What people make has names and types that no definition has. What can be
// expressed is, and the rest is listed with the reason and left as it is.
func TestImportOfHandMadeTables(t *testing.T) {
	x := newSubject(t)
	x.exec(
		`CREATE TABLE Orders (id TEXT PRIMARY KEY, Total REAL NOT NULL DEFAULT 0, "select" TEXT, customer_id TEXT REFERENCES customer (id),
 price DECIMAL(10,2), "../../etc/passwd" TEXT, note varchar(255) DEFAULT 'it''s', at DATETIME DEFAULT CURRENT_TIMESTAMP,
 is_paid INTEGER NOT NULL DEFAULT 1, twice REAL AS (Total * 2), ref TEXT UNIQUE, code TEXT NOT NULL DEFAULT (hex(1)), "on" TEXT, yes TEXT DEFAULT '1.10')`,
		`CREATE UNIQUE INDEX uniq_orders_note ON Orders (note)`, `CREATE INDEX idx_orders_at ON Orders (at)`,
		`CREATE INDEX orders_by_total ON Orders (Total, note) WHERE note IS NOT NULL`, `CREATE INDEX "bad; name" ON Orders (note)`,
		`CREATE INDEX orders_down ON Orders (Total DESC)`, `CREATE INDEX orders_lower ON Orders (lower(note))`, `CREATE INDEX orders_price ON Orders (price)`,
		`CREATE INDEX orders_noted ON Orders (note, at) WHERE note IS NOT NULL`,
		`CREATE TABLE customer (id VARCHAR(255) PRIMARY KEY, name TEXT NOT NULL, email TEXT, created_at TEXT, updated_at TEXT)`,
		`CREATE TABLE legacy (id INTEGER PRIMARY KEY, name TEXT)`, `CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a, b))`,
		`CREATE TABLE bare (a TEXT)`, `CREATE TABLE "apps/../../x" (id TEXT PRIMARY KEY)`, `CREATE TABLE "x'; DROP TABLE customer; --" (id TEXT PRIMARY KEY)`,
		`CREATE TABLE _objectstack_sequences (id TEXT PRIMARY KEY)`, `CREATE TABLE stamped (id TEXT PRIMARY KEY, created_at INTEGER)`,
		`CREATE TABLE `+strings.Repeat("n", 200)+` (id TEXT PRIMARY KEY)`,
		`CREATE VIRTUAL TABLE search USING fts5(body)`, `CREATE VIEW v AS SELECT name FROM customer`,
		`CREATE TRIGGER touched AFTER UPDATE ON customer BEGIN UPDATE Orders SET note = 'x' WHERE customer_id = new.id; END`,
		`INSERT INTO customer (id, name) VALUES ('c1', 'Ada')`, `INSERT INTO Orders (id, customer_id, price) VALUES ('o1', 'c1', 9.99)`,
	)
	before := x.query("SELECT name, sql FROM sqlite_master WHERE name NOT IN ('Orders') AND sql IS NOT NULL ORDER BY name")
	row := x.query("SELECT id, Total, customer_id, price, note, is_paid FROM Orders")
	found := x.adopts("add column orders.created_at", "add column orders.updated_at")
	var listed []string
	for _, f := range found.Foreign {
		if !strings.HasPrefix(f.Name, "search") {
			listed = append(listed, f.Kind+" "+f.Name[:min(20, len(f.Name))])
		}
	}
	want := []string{
		"column ../../etc/passwd", "column code", "column price", "column twice",
		"index bad; name", "index orders_by_total", "index orders_down", "index orders_lower", "index orders_price",
		"table _objectstack_sequenc", "table apps/../../x", "table bare", "table legacy", "table " + strings.Repeat("n", 20), "table pairs",
		"table stamped", "table x'; DROP TABLE custo", "trigger touched", "view v",
	}
	if !slices.Equal(listed, want) {
		t.Errorf("got as foreign\n%s\nwant\n%s", strings.Join(listed, "\n"), strings.Join(want, "\n"))
	}
	after := x.query("SELECT name, sql FROM sqlite_master WHERE name NOT IN ('Orders') AND tbl_name NOT LIKE '_reconciler_%' AND name <> 'sys_metadata' AND sql IS NOT NULL ORDER BY name")
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("got %v, want %v", after, before)
	}
	if again := x.query("SELECT id, Total, customer_id, price, note, is_paid FROM Orders"); fmt.Sprint(again) != fmt.Sprint(row) {
		t.Errorf("got the row %v, want %v", again, row)
	}
}

// A database that is deployed to has nothing to adopt.
func TestImportOfReconciledDatabase(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	conn, err := libsql.Open(t.Context(), w.tenantFile("acme"), libsql.Options{ReadOnly: true})
	must(t, err)
	defer conn.Close()
	if _, err := adoption.Read(t.Context(), conn); err == nil || !strings.Contains(err.Error(), "deployed to already") {
		t.Errorf("got %v", err)
	}
}

// byHandBefore are the ways in which the databases of a fleet came to differ.
var byHandBefore = []string{
	"",
	"ALTER TABLE customer ADD COLUMN vat TEXT; CREATE INDEX idx_customer_vat ON customer (vat)",
	"ALTER TABLE customer DROP COLUMN city",
	"ALTER TABLE customer ADD COLUMN price DECIMAL(10,2); CREATE TABLE audit (n INTEGER PRIMARY KEY, what TEXT); INSERT INTO audit VALUES (1, 'x')",
	"DROP INDEX uniq_customer_email",
	"CREATE TABLE invoice (id TEXT PRIMARY KEY, total REAL); INSERT INTO invoice VALUES ('i1', 5)",
	"DROP TABLE orders; CREATE TABLE orders (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO orders VALUES (1, 'first')",
	"ALTER TABLE customer DROP COLUMN score; ALTER TABLE customer ADD COLUMN score TEXT; UPDATE customer SET score = 'high'",
	"CREATE VIEW v AS SELECT name FROM customer; CREATE TRIGGER tr AFTER INSERT ON customer BEGIN SELECT 1; END",
}

// Existing databases with data and hand-made differences are imported, watched,
// and then synced: no row changes, and nothing that somebody made is lost.
func TestAdoptionOfFleet(t *testing.T) {
	n := 50
	if text := os.Getenv("ADOPTION_TENANTS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		must(t, err)
	}
	w := newWorld(t, files{"README": "empty"})
	tenants := w.existingFleet(n)
	fleet := adoption.Divide(tenants)
	if got := len(fleet.Groups); got != 8 {
		t.Errorf("got %d schemas, want 8: views make none", got)
	}
	content := imported(t, fleet)
	before := map[string]string{}
	for _, tenant := range tenants {
		before[tenant.ID] = w.everything(tenant.ID)
	}
	w.commit("import", content)
	untouched := w.databaseBytes()
	observer, closeAll := w.openWith(func(c *reconcile.Config) { c.Observe = true })
	report, err := observer.Sync(t.Context(), reconcile.Selection{})
	closeAll()
	must(t, err)
	for _, tenant := range report.Tenants {
		if made := tenant.Result.Plan; tenant.Result.Action != deploy.Update || made == nil || made.Class() != diff.Additive {
			t.Errorf("%s: got %s %s: %s", tenant.ID, tenant.Result.Action, tenant.Result.Reason, tenant.Result.Message)
		}
	}
	for name, bytes := range w.databaseBytes() {
		if string(bytes) != string(untouched[name]) {
			t.Errorf("observing has written to %s", name)
		}
	}
	if report := w.sync(); report.Status != state.Succeeded {
		t.Errorf("got %s", report.Status)
	}
	for _, tenant := range tenants {
		if after := w.everything(tenant.ID); !strings.Contains(after, before[tenant.ID]) && after != before[tenant.ID] {
			t.Errorf("%s: got\n%s\nwant\n%s", tenant.ID, after, before[tenant.ID])
		}
	}
	for _, tenant := range w.sync().Tenants {
		if tenant.Result.Action != deploy.None || tenant.Sync != state.Synced {
			t.Errorf("%s: a second pass did %s: %s", tenant.ID, tenant.Result.Action, tenant.Result.Message)
		}
	}
}

func imported(t testing.TB, fleet adoption.Fleet) files {
	t.Helper()
	written, err := fleet.Files("legacy")
	must(t, err)
	content := files{}
	for name, text := range written {
		content[name] = string(text)
	}
	return content
}

// existingFleet makes databases as people left them, of several forms.
func (w *world) existingFleet(n int) []adoption.Tenant {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Join(w.data, "tenants"), 0o700))
	var tenants []adoption.Tenant
	reader := adoption.NewReader()
	for i := range n {
		id := fmt.Sprintf("t%03d", i)
		tenants = append(tenants, adoption.Tenant{ID: id, Name: "Tenant " + id, URL: "file:tenants/" + id + ".db", Schema: w.existing(id, i, reader)})
	}
	return tenants
}

// existing makes a tenant's database as people left it, and reads its schema.
func (w *world) existing(id string, i int, reader *adoption.Reader) *adoption.Schema {
	w.t.Helper()
	conn, err := libsql.Open(w.t.Context(), w.tenantFile(id), libsql.Options{Create: true, WAL: i%2 == 0})
	must(w.t, err)
	statements := []string{
		"CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT, city TEXT, score REAL, created_at TEXT, updated_at TEXT)",
		"CREATE UNIQUE INDEX uniq_customer_email ON customer (email)",
		"CREATE TABLE orders (id TEXT PRIMARY KEY, title TEXT, customer_id TEXT REFERENCES customer (id), paid BOOLEAN DEFAULT 0)",
	}
	for j := range 5 {
		statements = append(statements, fmt.Sprintf("INSERT INTO customer (id, name, email, city, score) VALUES ('c%d', 'Ada %[1]d', 'a%[1]d@example.com', 'Bern', %[1]d)", j),
			fmt.Sprintf("INSERT INTO orders (id, title, customer_id) VALUES ('o%d', 'Order', 'c%[1]d')", j))
	}
	// The plain form is the most common one.
	kind := 0
	if i%2 == 1 {
		kind = i / 2 % len(byHandBefore)
	}
	if text := byHandBefore[kind]; strings.HasPrefix(text, "CREATE VIEW") {
		view, trigger, _ := strings.Cut(text, "; ")
		statements = append(statements, view, trigger)
	} else if text != "" {
		statements = append(statements, strings.Split(text, "; ")...)
	}
	for _, sql := range statements {
		if _, err := conn.Exec(w.t.Context(), sql); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
	found, err := reader.Read(w.t.Context(), conn)
	must(w.t, err)
	must(w.t, conn.Close())
	return found
}

// everything are the rows of a database with the columns that it had at first,
// and all that is neither a table nor ours.
func (w *world) everything(id string) string {
	w.t.Helper()
	var b strings.Builder
	b.WriteString(w.rows(id, "SELECT type, name, sql FROM sqlite_master WHERE type IN ('view', 'trigger', 'index') AND sql IS NOT NULL"+
		" AND name <> 'uniq_customer_email' ORDER BY type, name"))
	tables := w.rows(id, "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('customer', 'orders', 'invoice', 'audit') ORDER BY name")
	for name := range strings.SplitSeq(tables, "\n") {
		if name == "invoice" && !strings.HasPrefix(w.rows(id, "SELECT count(*) FROM invoice"), "1") {
			continue
		}
		for _, column := range []string{"id", "n", "what", "name", "email", "city", "score", "vat", "price", "title", "customer_id", "paid", "total"} {
			if w.rows(id, "SELECT count(*) FROM pragma_table_info("+schema.QuoteText(name)+") WHERE name = "+schema.QuoteText(column)) == "1" {
				values := w.rows(id, "SELECT "+column+" FROM "+name+" WHERE "+column+" IS NOT NULL ORDER BY rowid")
				if values != "" {
					fmt.Fprintf(&b, "\n%s.%s: %s", name, column, strings.ReplaceAll(values, "\n", " "))
				}
			}
		}
	}
	return b.String()
}

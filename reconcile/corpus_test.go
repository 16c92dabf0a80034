package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// corpusDir is the directory of real applications and their histories.
func corpusDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("RECONCILER_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the corpus is not there: %v", err)
		}
		t.Skipf("the corpus is not there: %v", err)
	}
	return dir
}

// histories are the versions of each application, in order.
func histories(t testing.TB) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpusDir(t), "*", "[0-9]*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	byApp := map[string][]string{}
	for _, file := range files {
		app := filepath.Base(filepath.Dir(file))
		byApp[app] = append(byApp[app], file)
	}
	return byApp
}

// Every version of every application is deployed in order to one tenant; the
// single files each to a fresh one.
func TestCorpus(t *testing.T) {
	for app, files := range applications(t) {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			evolve(t, newSubject(t), files)
		})
	}
}

// On a server each history is what it is in a file: every schema, digest and
// row of the journal. Without CORPUS_ON_SERVER=all it is only the shortest one
// of several versions.
func TestCorpusOnServer(t *testing.T) {
	for app, files := range applications(t) {
		if os.Getenv("CORPUS_ON_SERVER") != "all" && app != "app-todo" {
			continue
		}
		t.Run(app, func(t *testing.T) {
			file, server := newSubject(t), newSubjectOn(t, databasetest.Server)
			for i := range files {
				evolve(t, file, files[i:i+1])
				evolve(t, server, files[i:i+1])
				if diff := cmp.Diff(file.story(), server.story()); diff != "" {
					t.Fatalf("%s (-file +server)\n%s", filepath.Base(files[i]), diff)
				}
			}
		})
	}
}

// story is the schema, the journal, what is recorded of a tenant, and the ids of
// its rows, without times.
func (x *subject) story() (lines []string) {
	x.t.Helper()
	queries := []string{
		"SELECT type, name, sql FROM sqlite_master ORDER BY type, name",
		"SELECT seq, bundle, previous_bundle, plan, from_fingerprint, to_fingerprint, schema_digest, statements, way_back FROM _reconciler_journal ORDER BY seq",
		"SELECT key, value FROM _reconciler_meta WHERE key NOT LIKE 'retired%' ORDER BY key",
		"SELECT type, name, metadata FROM sys_metadata ORDER BY type, name",
	}
	for _, table := range x.tables() {
		if slices.ContainsFunc(table.Columns, func(c schema.Column) bool { return c.Name == "id" }) {
			queries = append(queries, "SELECT id FROM "+schema.Quote(table.Name)+" ORDER BY id")
		}
	}
	for _, sql := range queries {
		for _, row := range x.query(sql) {
			lines = append(lines, fmt.Sprint(row...))
		}
	}
	return lines
}

// applications are the histories, and the single files as histories of one
// version.
func applications(t testing.TB) map[string][]string {
	t.Helper()
	byApp := histories(t)
	singles, err := filepath.Glob(filepath.Join(corpusDir(t), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range singles {
		byApp[strings.TrimSuffix(filepath.Base(file), ".json")] = []string{file}
	}
	return byApp
}

func evolve(t *testing.T, x *subject, files []string) {
	for _, file := range files {
		desired := compile(t, file)
		before := x.insertRows(filepath.Base(file))
		result := x.deploy(desired, everyClassAllowed())
		if result.Err != nil {
			t.Fatalf("%s: %s: %v (next: %s)", filepath.Base(file), result.Reason, result.Err, result.Next)
		}
		t.Logf("%s: %s, %d statements, %d cells before, %d seeded, %d seed records left out", filepath.Base(file),
			result.Action, result.Statements, len(before), result.Seeded, len(result.SeedIssues))
		if again := x.assess(desired, everyClassAllowed()); again.Action != deploy.None || again.Err != nil {
			t.Fatalf("%s: a second plan is not empty: %s %v", filepath.Base(file), again.Action, again.Err)
		}
		x.equals(desired)
		x.stillThere(before)
	}
}

// The strict reading of required stops at the first table whose rows have no
// value for a field that became required, and says which.
func TestCorpusStrictNotNull(t *testing.T) {
	dir := corpusDir(t)
	x := newSubject(t)
	policy := everyClassAllowed()
	policy.Plan.NullableRequired = false
	first := x.deploy(compile(t, filepath.Join(dir, "hotcrm", "01-fcc60bc2.json")), policy)
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	x.insertRows("01")
	before := x.fingerprint()
	second := x.deploy(compile(t, filepath.Join(dir, "hotcrm", "02-ba29888e.json")), policy)
	if second.Action != deploy.Blocked || !strings.Contains(second.Message, "contract.account") {
		t.Fatalf("got %s %q, want it blocked by contract.account", second.Action, second.Message)
	}
	if x.fingerprint() != before {
		t.Error("a blocked deployment changed the schema")
	}
}

func everyClassAllowed() deploy.Policy {
	return deploy.Policy{
		Plan: deploy.PlanPolicy{NullableRequired: true, SeedMode: "skip", Retire: true},
		Classes: map[string]string{
			"additive": "allow", "widening": "allow", "rewrite": "allow", "narrowing": "allow", "destructive": "allow",
		},
		Drift:     "report",
		Retention: 24 * time.Hour,
	}
}

func compile(t testing.TB, file string) *bundle.Desired {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	desired, faults := bundle.Compile(data)
	for _, f := range faults {
		if f.Severity == bundle.SeverityError {
			t.Fatalf("%s: %v", file, f)
		}
	}
	return desired
}

// subject is one tenant database and a deployer for it.
type subject struct {
	t        testing.TB
	place    *databasetest.Place
	conn     database.Conn
	deployer *deploy.Deployer
	inserted int
}

func newSubject(t testing.TB) *subject {
	t.Helper()
	return newSubjectOn(t, databasetest.File)
}

func newSubjectOn(t testing.TB, kind databasetest.Kind) *subject {
	t.Helper()
	store, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &subject{t: t, place: databasetest.New(t, kind), deployer: deploy.New(deploy.Config{Store: store})}
	x.open()
	t.Cleanup(func() {
		x.close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *subject) open() {
	x.t.Helper()
	conn, err := x.place.Open(x.t.Context(), "tenant")
	if err != nil {
		x.t.Fatal(err)
	}
	x.conn = conn
}

func (x *subject) close() {
	x.t.Helper()
	if err := x.conn.Close(); err != nil {
		x.t.Error(err)
	}
}

func request(desired *bundle.Desired, policy deploy.Policy) deploy.Request {
	return deploy.Request{
		Owner:   apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
		Desired: desired, Policy: policy, Revision: desired.Digest,
	}
}

func (x *subject) deploy(desired *bundle.Desired, policy deploy.Policy) deploy.Result {
	return x.deployer.Deploy(x.t.Context(), x.conn, request(desired, policy))
}

func (x *subject) assess(desired *bundle.Desired, policy deploy.Policy) deploy.Assessment {
	return x.deployer.Assess(x.t.Context(), x.conn, request(desired, policy))
}

func (x *subject) query(sql string, args ...any) [][]any {
	x.t.Helper()
	rows, err := x.conn.Query(x.t.Context(), sql, args...)
	if err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
	return rows.Values
}

func (x *subject) fingerprint() string {
	x.t.Helper()
	master, err := schema.ReadMaster(x.t.Context(), x.conn)
	if err != nil {
		x.t.Fatal(err)
	}
	return master.Fingerprint()
}

// tables are those that an application knows, without what is retired.
func (x *subject) tables() []schema.Table {
	x.t.Helper()
	tables, err := schema.Inspect(x.t.Context(), x.conn)
	if err != nil {
		x.t.Fatal(err)
	}
	return withoutRetired(tables)
}

func withoutRetired(tables []schema.Table) []schema.Table {
	retired := func(name string) bool { return strings.HasPrefix(name, "_retired_") }
	tables = slices.DeleteFunc(tables, func(t schema.Table) bool { return retired(t.Name) })
	for i := range tables {
		tables[i].Columns = slices.DeleteFunc(tables[i].Columns, func(c schema.Column) bool { return retired(c.Name) })
	}
	return tables
}

// value is one cell of a row that was inserted.
type value struct{ table, id, column, content, affinity string }

// insertRows puts one row into every table and returns its cells.
func (x *subject) insertRows(version string) []value {
	x.t.Helper()
	var cells []value
	for _, table := range x.tables() {
		if table.Name == "sys_metadata" {
			continue
		}
		x.inserted++
		id := fmt.Sprintf("row-%s-%d", version, x.inserted)
		names, marks, args := []string{}, []string{}, []any{}
		for _, c := range table.Columns {
			content := fmt.Sprint(x.inserted)
			if c.Name == "id" {
				content = id
			}
			names, marks, args = append(names, schema.Quote(c.Name)), append(marks, "?"), append(args, content)
		}
		insert := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", schema.Quote(table.Name), strings.Join(names, ", "), strings.Join(marks, ", "))
		if _, err := x.conn.Exec(x.t.Context(), insert, args...); err != nil {
			x.t.Fatalf("%s: %v", insert, err)
		}
		for _, c := range table.Columns {
			stored := x.query(fmt.Sprintf("SELECT quote(%s) FROM %s WHERE id = ?", schema.Quote(c.Name), schema.Quote(table.Name)), id)
			cells = append(cells, value{table.Name, id, c.Name, fmt.Sprint(stored[0][0]), schema.Affinity(c.Type)})
		}
	}
	return cells
}

// stillThere looks for every cell whose table and column the database still
// has with the same affinity.
func (x *subject) stillThere(cells []value) {
	x.t.Helper()
	columns := map[string]string{}
	for _, table := range x.tables() {
		for _, c := range table.Columns {
			columns[table.Name+"."+c.Name] = schema.Affinity(c.Type)
		}
	}
	kept := 0
	for _, cell := range cells {
		if columns[cell.table+"."+cell.column] != cell.affinity {
			continue
		}
		kept++
		x.has(cell)
	}
	if len(cells) > 0 && kept == 0 {
		x.t.Logf("no cell of the version before has a place in this one")
	}
}

// has looks for one cell.
func (x *subject) has(cell value) {
	x.t.Helper()
	rows := x.query(fmt.Sprintf("SELECT quote(%s) FROM %s WHERE id = ?", schema.Quote(cell.column), schema.Quote(cell.table)), cell.id)
	if len(rows) != 1 || fmt.Sprint(rows[0][0]) != cell.content {
		x.t.Errorf("%s.%s of %s: got %v, want %s", cell.table, cell.column, cell.id, rows, cell.content)
	}
}

// equals makes sure that every object of the bundle has its table with just
// the columns and indexes that it asks for.
func (x *subject) equals(desired *bundle.Desired) {
	x.t.Helper()
	want, faults := schema.Desired(desired.Objects, schema.Options{NullableRequired: true})
	for _, f := range faults {
		if !f.Warning {
			x.t.Fatal(f)
		}
	}
	got := slices.DeleteFunc(x.tables(), func(t schema.Table) bool {
		return t.Name == "sys_metadata" && !slices.ContainsFunc(want, func(w schema.Table) bool { return w.Name == t.Name })
	})
	if schema.Digest(got) != schema.Digest(want) {
		for _, w := range want {
			i := slices.IndexFunc(got, func(t schema.Table) bool { return t.Name == w.Name })
			if i < 0 || schema.Digest(got[i:i+1]) != schema.Digest([]schema.Table{w}) {
				x.t.Errorf("table %q is not what is desired", w.Name)
			}
		}
		x.t.Fatalf("the live schema has %d tables and differs from the desired one of %d", len(got), len(want))
	}
}

package adoption_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/adoption"
	"github.com/tenantops/reconciler/internal/libsql"
)

// read makes a database of statements and reads its schema.
func read(t *testing.T, statements ...string) (adoption.Schema, error) {
	t.Helper()
	conn, err := libsql.OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return adoption.Read(t.Context(), conn)
}

// foreign are what stays as it is, as KIND NAME.
func foreign(s adoption.Schema) []string {
	var all []string
	for _, f := range s.Foreign {
		all = append(all, f.Kind+" "+f.Name)
	}
	slices.Sort(all)
	return all
}

const customers = "CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at TEXT, updated_at TEXT)"

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name       string
		statements []string
		foreign    []string
	}{
		{name: "a table of ours", statements: []string{customers}},
		{name: "an index as we name it", statements: []string{customers, "CREATE INDEX idx_customer_name ON customer (name)"}},
		{name: "a partial index", statements: []string{customers, "CREATE INDEX some ON customer (name) WHERE name > 'a'"}},
		{name: "an expression in an index", statements: []string{customers, "CREATE INDEX low ON customer (lower(name))"}, foreign: []string{"index low"}},
		{name: "a generated column", statements: []string{
			"CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT, loud TEXT AS (upper(name)))",
		}, foreign: []string{"column loud"}},
		{name: "a number for an id", statements: []string{customers, "CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT)"}, foreign: []string{"table log"}},
		{name: "a view and a trigger", statements: []string{
			customers, "CREATE VIEW v AS SELECT name FROM customer", "CREATE TRIGGER tr AFTER INSERT ON customer BEGIN SELECT 1; END",
		}, foreign: []string{"trigger tr", "view v"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(t, c.statements...)
			if err != nil {
				t.Fatal(err)
			}
			if found := foreign(got); !slices.Equal(found, c.foreign) {
				t.Errorf("got as foreign %q, want %q", found, c.foreign)
			}
			for _, f := range got.Foreign {
				if f.Why == "" {
					t.Errorf("%s has no reason", f.Name)
				}
			}
		})
	}
}

// A database that is deployed to has nothing to adopt.
func TestReadRefusesADeployedDatabase(t *testing.T) {
	_, err := read(t, customers, "CREATE TABLE _reconciler_journal (seq INTEGER PRIMARY KEY)",
		"CREATE TABLE _reconciler_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
		"INSERT INTO _reconciler_meta VALUES ('format', '1')")
	if !errors.Is(err, adoption.ErrReconciled) {
		t.Errorf("got %v", err)
	}
}

// Databases of one structure are one group, whatever the order of their
// columns; what one of them has alone is in its own directory.
func TestDivide(t *testing.T) {
	schemas := [][]string{
		{customers},
		{"CREATE TABLE customer (id TEXT PRIMARY KEY, updated_at TEXT, created_at TEXT, name TEXT NOT NULL)"},
		{customers, "ALTER TABLE customer ADD COLUMN vat TEXT"},
	}
	var tenants []adoption.Tenant
	for i, statements := range schemas {
		s, err := read(t, statements...)
		if err != nil {
			t.Fatal(err)
		}
		id := "t" + string(rune('1'+i))
		tenants = append(tenants, adoption.Tenant{ID: id, Name: id, URL: "file:" + id + ".db", Schema: &s})
	}
	fleet := adoption.Divide(tenants)
	if len(fleet.Groups) != 2 || len(fleet.Groups[0].Tenants) != 2 {
		t.Fatalf("got %d groups", len(fleet.Groups))
	}
	files, err := fleet.Files("crm")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if has := strings.Contains(string(text), "vat"); has != strings.HasPrefix(name, "tenants/t3/objects/") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

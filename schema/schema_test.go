package schema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

func object(name string, fields map[string]protocol.Field, indexes ...protocol.Index) schema.Object {
	return schema.Object{Object: protocol.Object{Name: name, Fields: fields, Indexes: indexes}}
}

// Every field type has the column that the mapping gives it.
func TestFieldTypes(t *testing.T) {
	want := map[string]string{
		"TEXT": `text textarea email url phone password markdown html richtext date datetime time select multiselect
			radio checkboxes lookup master_detail tree image file avatar video audio autonumber location address
			code json color signature qrcode tags vector`,
		"REAL":    "number currency percent summary rating slider progress",
		"INTEGER": "boolean toggle",
		"":        "formula",
	}
	seen := 0
	for column, types := range want {
		for _, name := range strings.Fields(types) {
			seen++
			tables, faults := schema.Desired([]schema.Object{object("thing", map[string]protocol.Field{"f": {Type: protocol.FieldType(name)}})}, schema.Options{})
			if len(faults) > 0 {
				t.Errorf("%s: %v", name, faults)
			}
			got := ""
			if c, ok := tables[0].Column("f"); ok {
				got = c.Type
			}
			if got != column {
				t.Errorf("%s: got column type %q, want %q", name, got, column)
			}
		}
	}
	if all := len(protocol.FieldType("").Values()); seen != all {
		t.Errorf("%d field types are covered, there are %d", seen, all)
	}
}

func TestDefaults(t *testing.T) {
	cases := []struct {
		kind  protocol.FieldType
		value any
		want  string
	}{
		{protocol.FieldText, "it's", "'it''s'"},
		{protocol.FieldText, 5.0, "'5'"},
		{protocol.FieldText, "now", "'now'"},
		{protocol.FieldText, "NOW()", ""},
		{protocol.FieldNumber, 1.5, "1.5"},
		{protocol.FieldNumber, "7", "7"},
		{protocol.FieldNumber, "seven", ""},
		{protocol.FieldBoolean, true, "1"},
		{protocol.FieldBoolean, false, "0"},
		{protocol.FieldDatetime, "NOW()", "strftime('%Y-%m-%dT%H:%M:%fZ')"},
		{protocol.FieldDate, "$today", "date('now')"},
		{protocol.FieldDate, "2026-01-01", "'2026-01-01'"},
		{protocol.FieldTime, "now", "time('now')"},
		{protocol.FieldLookup, "$currentUser", ""},
		{protocol.FieldTags, []any{"a"}, ""},
		{protocol.FieldJSON, map[string]any{}, ""},
		{protocol.FieldSelect, nil, ""},
	}
	for _, c := range cases {
		tables, _ := schema.Desired([]schema.Object{object("thing", map[string]protocol.Field{"f": {Type: c.kind, DefaultValue: c.value}})}, schema.Options{})
		column, _ := tables[0].Column("f")
		if column.Default != c.want {
			t.Errorf("%s default %v: got %q, want %q", c.kind, c.value, column.Default, c.want)
		}
	}
}

func TestIndexNames(t *testing.T) {
	cases := []struct {
		table, column string
		unique        bool
		want          string
	}{
		{"account", "name", false, "idx_account_name"},
		{"account", "code", true, "uniq_account_code"},
		{"a_table_with_a_very_long_name_indeed", "and_a_column_with_another", true, "uniq_a_table_with_a_very_long_name_indeed_and_a_col_82e756e1"},
	}
	for _, c := range cases {
		got := schema.IndexName(c.table, []string{c.column}, c.unique)
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestDesiredFaults(t *testing.T) {
	text := protocol.Field{Type: protocol.FieldText}
	cases := []struct {
		name   string
		object schema.Object
		code   string
	}{
		{"reserved table", object("sqlite_thing", nil), "reserved_name"},
		{"column taken twice", object("thing", map[string]protocol.Field{"a": text, "b": {Type: protocol.FieldText, ColumnName: "a"}}), "column_collision"},
		{"column like a system column", object("thing", map[string]protocol.Field{"b": {Type: protocol.FieldText, ColumnName: "id"}}), "column_collision"},
		{"index on no field", object("thing", nil, protocol.Index{Fields: []string{"gone"}}), "index_field_missing"},
		{"index on a formula", object("thing", map[string]protocol.Field{"f": {Type: protocol.FieldFormula}}, protocol.Index{Fields: []string{"f"}}), "index_field_missing"},
		{"condition of another table", object("thing", map[string]protocol.Field{"a": text}, protocol.Index{Fields: []string{"a"}, Partial: "other.b = 1"}), "index_predicate"},
		{"condition with a statement", object("thing", map[string]protocol.Field{"a": text}, protocol.Index{Fields: []string{"a"}, Partial: "1) ; DROP TABLE thing; --"}), "index_predicate"},
		{"condition with a subquery", object("thing", map[string]protocol.Field{"a": text}, protocol.Index{Fields: []string{"a"}, Partial: "a IN (SELECT a FROM thing)"}), "index_predicate"},
		{"condition that closes too much", object("thing", map[string]protocol.Field{"a": text}, protocol.Index{Fields: []string{"a"}, Partial: "a = 1) OR (a = 2"}), "index_predicate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, faults := schema.Desired([]schema.Object{c.object}, schema.Options{})
			if !slices.ContainsFunc(faults, func(f schema.Fault) bool { return f.Code == c.code && !f.Warning }) {
				t.Errorf("got %v, want code %s", faults, c.code)
			}
		})
	}
}

func TestPartialIndex(t *testing.T) {
	tables, faults := schema.Desired([]schema.Object{object("thing", map[string]protocol.Field{"a": {Type: protocol.FieldText}, "b": {Type: protocol.FieldText}},
		protocol.Index{Fields: []string{"a"}, Partial: "a IS NOT NULL AND lower(b) IN ('x', 'y')"})}, schema.Options{})
	if len(faults) > 0 || tables[0].Indexes[0].Where == "" {
		t.Errorf("got %+v, faults %v", tables[0].Indexes, faults)
	}
}

// What the text of a table says is edited where it is meant, and nowhere else.
func TestEditTable(t *testing.T) {
	const sql = "CREATE TABLE [t] (id TEXT PRIMARY KEY, -- the key, of course\n" +
		" \"a\" VARCHAR(10) COLLATE NOCASE NOT NULL ON CONFLICT FAIL DEFAULT (coalesce(1, 2)) CHECK (a <> ', b INT'),\n" +
		" b DECIMAL(10,2) DEFAULT -1 REFERENCES p(id) ON DELETE SET NULL ON UPDATE SET DEFAULT,\n" +
		" c, UNIQUE (a, b), CONSTRAINT k CHECK (b > 0))"
	texts := map[string]string{
		"a": "VARCHAR(10) COLLATE NOCASE NOT NULL ON CONFLICT FAIL DEFAULT (coalesce(1, 2)) CHECK (a <> ', b INT')",
		"b": "DECIMAL(10,2) DEFAULT -1 REFERENCES p(id) ON DELETE SET NULL ON UPDATE SET DEFAULT",
		"c": "",
	}
	for column, want := range texts {
		if got, err := schema.ColumnText(sql, column); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", column, got, err, want)
		}
	}
	edits := []struct {
		text     string
		from, to schema.Column
		want     string
	}{
		{
			texts["a"],
			schema.Column{Type: "VARCHAR(10)", NotNull: true, Default: "coalesce(1, 2)"},
			schema.Column{Type: "REAL"},
			"REAL COLLATE NOCASE CHECK (a <> ', b INT')",
		},
		{
			texts["b"],
			schema.Column{Type: "DECIMAL(10,2)", Default: "-1"},
			schema.Column{Type: "DECIMAL(10,2)", Default: "'x'", NotNull: true},
			"DECIMAL(10,2) NOT NULL DEFAULT 'x' REFERENCES p(id) ON DELETE SET NULL ON UPDATE SET DEFAULT",
		},
		{"", schema.Column{}, schema.Column{Type: "TEXT"}, "TEXT"},
	}
	for _, e := range edits {
		if got, err := schema.EditColumn(e.text, e.from, e.to); err != nil || got != e.want {
			t.Errorf("%q: got %q, %v; want %q", e.text, got, err, e.want)
		}
	}
	replaced, err := schema.ReplaceColumn(sql, "b", "TEXT")
	if err != nil || !strings.Contains(replaced, " b TEXT,\n c,") || !strings.Contains(replaced, "-- the key, of course") {
		t.Errorf("got %s, %v", replaced, err)
	}
	if named, err := schema.RenameTable(sql, "u"); err != nil || !strings.HasPrefix(named, "CREATE TABLE `u` (id") {
		t.Errorf("got %s, %v", named, err)
	}
}

// A schema with everything that tenants make by hand is copied to the letter
// and inspected without complaint.
func TestReplayAndInspect(t *testing.T) {
	conn := memory(t)
	for _, sql := range []string{
		"CREATE TABLE parent (id TEXT PRIMARY KEY) WITHOUT ROWID",
		"CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, p REFERENCES parent, q TEXT GENERATED ALWAYS AS (p || 'x') VIRTUAL)",
		"CREATE TABLE \"odd \"\"name\" (\"2026-01-02\" TEXT DEFAULT '2026-01-02')",
		"CREATE VIRTUAL TABLE search USING fts5(body)",
		"CREATE UNIQUE INDEX lower_where ON child (p, lower(q)) where p is not null",
		"CREATE VIEW v AS SELECT * FROM child",
		"CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN INSERT INTO parent VALUES (CASE WHEN new.p THEN 1 ELSE 2 END); END",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	master, err := schema.ReadMaster(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	other := memory(t)
	if err := master.Replay(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	again, err := schema.ReadMaster(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(master.Entries, again.Entries); diff != "" || master.Fingerprint() != again.Fingerprint() {
		t.Errorf("the copy differs:\n%s", diff)
	}
	tables, err := schema.Inspect(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range tables {
		names = append(names, table.Name)
	}
	if diff := cmp.Diff([]string{"child", "odd \"name", "parent"}, names); diff != "" {
		t.Errorf("tables:\n%s", diff)
	}
	child := tables[0]
	if !child.Sequence || len(child.Columns) != 3 || !child.Columns[2].Generated || child.Indexes[0].Where != "p is not null" ||
		!slices.Equal(child.Indexes[0].Columns, []string{"p", "(expr)"}) {
		t.Errorf("got %+v", child)
	}
}

// Tables that were seen before, after any of these statements, are what looking
// at all of them gives.
func TestInspectTakesOver(t *testing.T) {
	conn := memory(t)
	var seen []schema.Table
	for _, statement := range []string{
		"CREATE TABLE a (id TEXT PRIMARY KEY, n INTEGER DEFAULT 1, m TEXT)",
		"CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id), u TEXT UNIQUE)",
		"CREATE TABLE c (x, y, PRIMARY KEY (y, x)) WITHOUT ROWID",
		"CREATE VIRTUAL TABLE f USING fts5 (body)",
		"CREATE INDEX a_n ON a (n)",
		"CREATE UNIQUE INDEX b_u ON b (u) WHERE u <> ''",
		"ALTER TABLE a ADD COLUMN k TEXT NOT NULL DEFAULT 'x'",
		"ALTER TABLE a RENAME COLUMN n TO o",
		"DROP INDEX a_n",
		"CREATE INDEX a_n ON b (a)", // the same name, on another table
		"DROP INDEX a_n",
		"CREATE INDEX a_n ON a (o)", // as it was
		"CREATE INDEX a_m ON a (lower(m))",
		"ALTER TABLE a RENAME TO d", // b refers to it
		"ALTER TABLE b RENAME TO a", // one that was there before, and is another now
		"ALTER TABLE d RENAME TO b",
		"ALTER TABLE b DROP COLUMN k",
		"CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM c; END",
		"DROP TABLE c",
		"CREATE TABLE c (x, y, PRIMARY KEY (x, y)) WITHOUT ROWID",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		want, err := schema.Inspect(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		for _, before := range [][]schema.Table{seen, want, nil} {
			got, err := schema.Inspect(t.Context(), conn, before...)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("after %s: %v (-want +got):\n%s", statement, err, diff)
			}
		}
		seen = append(want, seen...)
	}
}

func memory(t *testing.T) *libsql.Conn {
	t.Helper()
	conn, err := libsql.OpenMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

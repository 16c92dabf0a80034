package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
)

// RegistryTable is where the ObjectStack runtime looks for metadata: one row
// a definition, in the shape of its own sys_metadata object.
const RegistryTable = "sys_metadata"

// rowIDEncoding gives lower-case base32 without padding.
var rowIDEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// RowID is the id of a row that the reconciler inserts: 26 characters derived
// from what the row is, so that every tenant and every attempt gives the same
// one, and so that a row of ours can be told from any other.
func RowID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return rowIDEncoding.EncodeToString(sum[:])[:26]
}

// registryStatements brings sys_metadata from what earlier deployments wrote
// to what the bundle has. Rows with another id are somebody else's: they are
// never changed, and a definition that they already have is not added beside.
func registryStatements(r diff.Result) ([]string, error) {
	if len(r.Registry) == 0 {
		return nil, nil
	}
	var table *schema.Table
	for i := range r.Target {
		if r.Target[i].Name == RegistryTable {
			table = &r.Target[i]
		}
	}
	if table == nil {
		return nil, fmt.Errorf("plan metadata: there is no table %q", RegistryTable)
	}
	for _, name := range []string{"type", "name", "metadata"} {
		if _, ok := table.Column(name); !ok {
			return nil, Conflict(reason.RegistryShape, RegistryTable, "let sys_metadata have the columns type, name and metadata",
				"the bundle's sys_metadata has no column %q", name)
		}
	}
	if isNewTable(r, RegistryTable) {
		return insertDefinitions(*table, r.Registry), nil
	}
	var statements []string
	for _, c := range r.Registry {
		statements = append(statements, registryStatement(*table, c))
	}
	return statements, nil
}

func isNewTable(r diff.Result, name string) bool {
	return slices.ContainsFunc(r.Changes, func(c diff.Change) bool { return c.Op == diff.AddTable && c.Table == name })
}

// maxInsert bounds a statement that inserts many definitions, in bytes. SQLite
// takes 1,000,000 (sqlite.org/limits.html), and one definition may be larger
// than this.
const maxInsert = 256 << 10

// insertDefinitions fills a new registry, in which nobody can have a row yet,
// with few statements: compiling one costs as much as running it.
func insertDefinitions(table schema.Table, changes []diff.DefinitionChange) []string {
	var statements []string
	var b strings.Builder
	for _, c := range changes {
		if c.After == nil {
			continue
		}
		columns, values := registryRow(table, *c.After)
		if b.Len() > 0 && b.Len()+len(c.After.Body) > maxInsert {
			statements = append(statements, b.String())
			b.Reset()
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", schema.Quote(RegistryTable), strings.Join(columns, ", "))
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%s)", strings.Join(values, ", "))
	}
	if b.Len() > 0 {
		statements = append(statements, b.String())
	}
	return statements
}

func registryStatement(table schema.Table, c diff.DefinitionChange) string {
	if c.After == nil {
		return fmt.Sprintf("DELETE FROM %s WHERE id = %s", schema.Quote(RegistryTable),
			schema.QuoteText(RowID(RegistryTable, string(c.Before.Type), c.Before.Name)))
	}
	d := *c.After
	id := schema.QuoteText(RowID(RegistryTable, string(d.Type), d.Name))
	if c.Before != nil && !c.Before.Gone {
		return updateDefinition(table, d, id, c.Before.Edited)
	}
	columns, values := registryRow(table, d)
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM %[1]s WHERE type = %[4]s AND name = %[5]s)",
		schema.Quote(RegistryTable), strings.Join(columns, ", "), strings.Join(values, ", "),
		schema.QuoteText(string(d.Type)), schema.QuoteText(d.Name))
}

// registryRow is a definition's row, as quoted columns and SQL values.
func registryRow(table schema.Table, d diff.Definition) (columns, values []string) {
	row := []struct{ column, value string }{
		{"id", schema.QuoteText(RowID(RegistryTable, string(d.Type), d.Name))},
		{"name", schema.QuoteText(d.Name)},
		{"type", schema.QuoteText(string(d.Type))},
		{"namespace", "'default'"},
		{"package_id", packageValue(d.Package)},
		{"managed_by", "'package'"},
		{"scope", "'platform'"},
		{"metadata", schema.QuoteText(d.Body)},
		{"strategy", "'merge'"},
		{"state", "'active'"},
		{"version", "1"},
		{"checksum", schema.QuoteText(d.Checksum)},
		{"source", "'migration'"},
	}
	for _, cell := range row {
		if _, ok := table.Column(cell.column); ok {
			columns, values = append(columns, schema.Quote(cell.column)), append(values, cell.value)
		}
	}
	return columns, values
}

// updateDefinition writes a definition's row again. One that somebody edited may
// have lost its name as well.
func updateDefinition(table schema.Table, d diff.Definition, id string, edited bool) string {
	sets := []string{"metadata = " + schema.QuoteText(d.Body)}
	if edited {
		sets = append(sets, "type = "+schema.QuoteText(string(d.Type)), "name = "+schema.QuoteText(d.Name))
	}
	optional := []struct{ column, value string }{
		{"checksum", schema.QuoteText(d.Checksum)},
		{"package_id", packageValue(d.Package)},
		{"version", "coalesce(version, 0) + 1"},
		{"updated_at", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"},
	}
	for _, cell := range optional {
		if _, ok := table.Column(cell.column); ok {
			sets = append(sets, cell.column+" = "+cell.value)
		}
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE id = %s", schema.Quote(RegistryTable), strings.Join(sets, ", "), id)
}

func packageValue(name string) string {
	if name == "" {
		return "NULL"
	}
	return schema.QuoteText(name)
}

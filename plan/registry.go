package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/diff"
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
			return nil, Conflict("RegistryShape", RegistryTable, "let sys_metadata have the columns type, name and metadata",
				"the bundle's sys_metadata has no column %q", name)
		}
	}
	var statements []string
	for _, c := range r.Registry {
		statements = append(statements, registryStatement(*table, c))
	}
	return statements, nil
}

func registryStatement(table schema.Table, c diff.DefinitionChange) string {
	if c.After == nil {
		return fmt.Sprintf("DELETE FROM %s WHERE id = %s", schema.Quote(RegistryTable),
			schema.QuoteText(RowID(RegistryTable, string(c.Before.Type), c.Before.Name)))
	}
	d := *c.After
	id := schema.QuoteText(RowID(RegistryTable, string(d.Type), d.Name))
	if c.Before != nil {
		return updateDefinition(table, d, id)
	}
	row := []struct{ column, value string }{
		{"id", id},
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
	var columns, values []string
	for _, cell := range row {
		if _, ok := table.Column(cell.column); ok {
			columns, values = append(columns, schema.Quote(cell.column)), append(values, cell.value)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM %[1]s WHERE type = %[4]s AND name = %[5]s)",
		schema.Quote(RegistryTable), strings.Join(columns, ", "), strings.Join(values, ", "),
		schema.QuoteText(string(d.Type)), schema.QuoteText(d.Name))
}

func updateDefinition(table schema.Table, d diff.Definition, id string) string {
	sets := []string{"metadata = " + schema.QuoteText(d.Body)}
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

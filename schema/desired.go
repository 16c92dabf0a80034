package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// Options change how objects become tables.
type Options struct {
	// NullableRequired leaves the columns of required fields nullable: the
	// runtime then checks them, as ObjectStack 17 does.
	NullableRequired bool
}

// Fault is a definition that has no form in the database. Path leads to it
// from the object: "indexes.0", "fields.amount".
type Fault struct {
	Object  string
	Path    string
	Code    string
	Message string
	Warning bool
}

func (f Fault) Error() string {
	return fmt.Sprintf("object %q: %s: %s", f.Object, f.Path, f.Message)
}

// Desired returns the tables of objects, ordered by name, and every fault.
// A table begins with id, created_at and updated_at; the columns of fields
// follow by name, so that the order of keys in a file changes nothing. A
// table with a fault that is no warning must not be deployed.
func Desired(objects []Object, o Options) ([]Table, []Fault) {
	var tables []Table
	var faults []Fault
	for _, object := range objects {
		t, f := desiredTable(object, o)
		tables, faults = append(tables, t), append(faults, f...)
	}
	slices.SortFunc(tables, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return tables, faults
}

// TableName is the table of an object.
func TableName(object protocol.Object) string {
	if object.TableName != "" {
		return object.TableName
	}
	return object.Name
}

// ColumnName is the column of the field with the given key.
func ColumnName(key string, f protocol.Field) string {
	if f.ColumnName != "" {
		return f.ColumnName
	}
	return key
}

// systemColumns are the columns of every table, whatever the object says.
func systemColumns() []Column {
	return []Column{
		{Name: "id", Type: "TEXT", NotNull: true, Field: "id"},
		{Name: "created_at", Type: "TEXT", Default: nowExpression, Field: "created_at"},
		{Name: "updated_at", Type: "TEXT", Default: nowExpression, Field: "updated_at"},
	}
}

// IsSystemColumn tells whether every table has a column of this name.
func IsSystemColumn(name string) bool {
	switch strings.ToLower(name) {
	case "id", "created_at", "updated_at":
		return true
	}
	return false
}

// IsTimestamp tells whether a column holds when its row was made or changed.
func IsTimestamp(name string) bool { return IsSystemColumn(name) && !strings.EqualFold(name, "id") }

func desiredTable(object Object, o Options) (Table, []Fault) {
	b := builder{object: object, options: o, table: Table{
		Name: TableName(object.Object), Object: object.Name, RenamedFrom: object.RenamedFrom,
		Columns: systemColumns(), PrimaryKey: []string{"id"},
	}}
	b.name("tableName", b.table.Name)
	keys := make([]string, 0, len(object.Fields))
	for key := range object.Fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		b.field(key, object.Fields[key])
	}
	for i, index := range object.Indexes {
		b.index(i, index)
	}
	slices.SortFunc(b.table.Indexes, func(x, y Index) int { return strings.Compare(x.Name, y.Name) })
	return b.table, b.faults
}

// builder collects one table and what is wrong with it.
type builder struct {
	object  Object
	options Options
	table   Table
	faults  []Fault
}

func (b *builder) fault(path, code, format string, args ...any) {
	b.faults = append(b.faults, Fault{Object: b.object.Name, Path: path, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (b *builder) warn(path, code, format string, args ...any) {
	b.fault(path, code, format, args...)
	b.faults[len(b.faults)-1].Warning = true
}

func (b *builder) name(path, name string) {
	switch {
	case !ValidName(name):
		b.fault(path, "invalid_name", "%q is not a name: use a-z, 0-9 and _, not starting with a digit", name)
	case IsReserved(name):
		b.fault(path, "reserved_name", "%q starts with a reserved prefix (%s)", name, strings.Join(Reserved, ", "))
	}
}

func (b *builder) field(key string, f protocol.Field) {
	stored, ok := formOf(f)
	if !ok || IsSystemColumn(ColumnName(key, f)) && ColumnName(key, f) == key {
		return
	}
	path := "fields." + key
	c := Column{
		Name: ColumnName(key, f), Type: stored.typ, Default: defaultOf(f, stored),
		NotNull: f.Required && !f.Multiple && !b.options.NullableRequired,
		Field:   key, Kind: f.Type, JSON: stored.json,
		RenamedFrom: b.object.FieldRenames[key],
	}
	b.name(path, c.Name)
	if other, taken := b.table.Column(c.Name); taken {
		b.fault(path, "column_collision", "column %q is already taken by field %q (the database ignores case)", c.Name, other.Field)
		return
	}
	b.table.Columns = append(b.table.Columns, c)
	if f.Multiple {
		return
	}
	switch {
	case f.Unique:
		b.add(path, Index{Name: IndexName(b.table.Name, []string{c.Name}, true), Unique: true, Columns: []string{c.Name}})
	case f.Index, f.Type == protocol.FieldMasterDetail:
		b.add(path, Index{Name: IndexName(b.table.Name, []string{c.Name}, false), Columns: []string{c.Name}})
	}
}

func (b *builder) index(i int, def protocol.Index) {
	path := fmt.Sprintf("indexes.%d", i)
	if len(def.Fields) == 0 {
		b.warn(path, "index_without_fields", "an index without fields is left out")
		return
	}
	var columns []string
	for _, key := range def.Fields {
		column, ok := b.columnOf(key)
		if !ok {
			b.fault(path, "index_field_missing", "field %q does not exist or has no column", key)
			return
		}
		columns = append(columns, column)
	}
	index := Index{Name: def.Name, Unique: def.Unique, Columns: columns}
	if index.Name == "" {
		index.Name = IndexName(b.table.Name, columns, def.Unique)
	}
	b.name(path, index.Name)
	if def.Partial != "" {
		if err := checkPredicate(b.table, def.Partial); err != nil {
			b.fault(path, "index_predicate", "partial: %v", err)
			return
		}
		index.Where = def.Partial
	}
	b.add(path, index)
}

// columnOf finds the column of a field key, of a column name, or of one of
// the columns that every table has.
func (b *builder) columnOf(key string) (string, bool) {
	for _, c := range b.table.Columns {
		if c.Field == key {
			return c.Name, true
		}
	}
	if c, ok := b.table.Column(key); ok {
		return c.Name, true
	}
	return "", false
}

func (b *builder) add(path string, index Index) {
	if other, taken := b.table.Index(index.Name); taken {
		if !other.Equal(index) {
			b.fault(path, "index_collision", "index %q is already defined with other columns; give one of them a name", index.Name)
		}
		return
	}
	b.table.Indexes = append(b.table.Indexes, index)
}

package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// seedRecord compiles one record.
type seedRecord struct {
	c      *seedCompiler
	set    namedSet
	index  int
	record map[string]any
	seen   map[string]int // record by key, of those before it

	table  *schema.Table
	key    string // the external id as text
	row    seedRow
	issues []SeedIssue
}

// seedCell is one value of a record.
type seedCell struct {
	column     *schema.Column
	value      string          // SQL
	references []SeedReference // that the value is made from
	late       bool            // one of them may point to a record that is still to come
}

func (r *seedRecord) issue(field, format string, args ...any) {
	r.issues = append(r.issues, SeedIssue{
		Set: r.set.name, Object: r.set.Object, Record: r.index, Key: r.key, Field: field,
		Message: fmt.Sprintf(format, args...),
	})
}

func (r *seedRecord) compile() {
	table, ok := r.c.tables[r.set.Object]
	if !ok {
		r.issue("", "the bundle has no object %q; add it, or take the seed set out", r.set.Object)
		return
	}
	r.table = table
	if !r.identify() {
		return
	}
	r.row = seedRow{set: r.set, table: table, key: r.key, id: schema.QuoteText(RowID(r.set.Object, r.key))}
	for _, field := range slices.Sorted(maps.Keys(r.record)) {
		r.cell(field, r.record[field])
	}
	r.required()
	if len(r.row.cells) == 0 && len(r.issues) == 0 {
		r.issue("", "the record has nothing but an id; give it a value")
	}
}

// identify finds the record's key.
func (r *seedRecord) identify() bool {
	field := r.set.ExternalID
	if _, ok := columnOf(r.table, field); !ok {
		r.issue(field, "%s has no such field to match records by; set externalId to one that it has", r.set.Object)
		return false
	}
	key, ok := keyText(r.record[field])
	if !ok {
		r.issue(field, "the record is matched by this field and has no text or number in it")
		return false
	}
	r.key = key
	if first, again := r.seen[key]; again {
		r.issue(field, "record %d has the same value, and records are matched by it", first+1)
		return false
	}
	r.seen[key] = r.index
	return true
}

func (r *seedRecord) cell(field string, value any) {
	column, ok := columnOf(r.table, field)
	definition, declared := r.c.objects[r.set.Object].Fields[field]
	switch {
	case !ok && declared:
		r.issue(field, "the field is computed and holds no value of its own; take the value out")
		return
	case !ok:
		r.issue(field, "%s has no such field; add it, or take the value out", r.set.Object)
		return
	case value == nil && definition.Required && column.Default != "":
		return // the default is better than a refused NULL
	}
	cell := seedCell{column: column}
	var err error
	if isReference(definition) && value != nil {
		cell, err = r.reference(field, definition, column, value)
	} else {
		cell.value, err = seedValue(column, value)
	}
	switch {
	case err != nil:
		r.issue(field, "%s", err)
	case column.Name == "id" && value != nil:
		r.row.id = cell.value
	case column.Name != "id":
		r.row.cells = append(r.row.cells, cell)
	}
	if field == r.set.ExternalID {
		r.row.keyColumn, r.row.keyValue = column.Name, cell.value
	}
}

// required asks for the values that a new row cannot do without, whether the
// database insists on them or, with nullable columns, the runtime: it is not
// there to check what is loaded past it. A set of mode update makes no rows.
func (r *seedRecord) required() {
	fields := r.c.objects[r.set.Object].Fields
	for _, column := range r.table.Columns {
		f := fields[column.Field]
		if !f.Required || f.Multiple || column.Default != "" || column.Name == "id" {
			continue
		}
		value, given := r.record[column.Field]
		if value == nil && (given || r.set.Mode != protocol.DatasetUpdate) {
			r.issue(column.Field, "the field is required and the record has no value for it")
		}
	}
}

// seeds returns the record's statement, and one for what has to wait until
// every other record is there.
func (r *seedRecord) seeds() (first Seed, late []Seed) {
	first = r.seed(r.row)
	for _, cell := range r.row.cells {
		if !cell.late || r.isRequired(cell.column.Field) {
			first.References = append(first.References, cell.references...)
			continue
		}
		row := r.row
		row.set.Mode, row.set.Overwrite, row.cells = protocol.DatasetUpdate, false, []seedCell{cell}
		seed := r.seed(row)
		seed.References = cell.references
		late = append(late, seed)
	}
	return first, late
}

func (r *seedRecord) seed(row seedRow) Seed {
	fields := map[string]string{}
	for _, c := range r.table.Columns {
		if c.Field != c.Name {
			fields[c.Name] = c.Field
		}
	}
	return Seed{
		Set: r.set.name, Object: r.set.Object, Record: r.index, Key: r.key, Table: r.table.Name,
		Find: row.find(), SQL: row.write(), Note: row.note(), Row: row.read(), Fields: fields,
	}
}

func (r *seedRecord) isRequired(field string) bool {
	f := r.c.objects[r.set.Object].Fields[field]
	return f.Required && !f.Multiple
}

// columnOf finds the column of a field.
func columnOf(t *schema.Table, field string) (*schema.Column, bool) {
	for i := range t.Columns {
		if t.Columns[i].Field == field {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// keyText returns a record's key as text.
func keyText(value any) (string, bool) {
	if reference, ok := value.(map[string]any); ok {
		value = reference["externalId"]
	}
	if text, ok := value.(string); ok {
		return text, text != ""
	}
	return numberText(value)
}

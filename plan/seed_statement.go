package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// updatedNow is what a changed row gets as its updated_at.
const updatedNow = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

// seedRow writes the statements of one record. In them seed_row is the row
// as it is, seed_new what the record wants, and seed_note what earlier
// statements wrote. "OR ABORT" overrules an ON CONFLICT clause of a table that
// is not of our making: with REPLACE it would delete other rows, with ROLLBACK
// end the transaction (sqlite.org/lang_conflict.html).
type seedRow struct {
	set       namedSet
	table     *schema.Table
	key       string
	keyColumn string
	keyValue  string // SQL
	id        string // SQL: of a new row
	cells     []seedCell
}

// match is the id of the row with the record's key, or NULL. A row that has
// our id is the one, even when somebody has given it another key since.
func matchRow(table, keyColumn, keyValue, id string) string {
	return fmt.Sprintf("(SELECT id FROM %s WHERE %s = %s OR id = %s ORDER BY id <> %[4]s, id LIMIT 1)",
		schema.Quote(table), schema.Quote(keyColumn), keyValue, id)
}

func (r seedRow) match() string { return matchRow(r.table.Name, r.keyColumn, r.keyValue, r.id) }

// mayChange is the condition under which seed_row may be changed: every
// column that the record sets holds what an earlier seed wrote there, or, if
// none did, nothing but its default.
func (r seedRow) mayChange() string {
	if r.set.Overwrite {
		return "true"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "EXISTS (SELECT 1 FROM _reconciler_seed AS seed_note WHERE seed_note.object = %s AND seed_note.key = %s",
		schema.QuoteText(r.set.Object), schema.QuoteText(r.key))
	for _, cell := range r.cells {
		fmt.Fprintf(&b, " AND quote(seed_row.%s) IS ifnull(seed_note.written ->> %s, %s)",
			schema.Quote(cell.column.Name), schema.QuoteText(cell.column.Name), unwritten(cell.column))
	}
	b.WriteString(")")
	return b.String()
}

// unwritten is the SQL literal, as text, of a column that nobody has set.
func unwritten(c *schema.Column) string {
	if c.Default != "" && schema.IsLiteral(c.Default) {
		return fmt.Sprintf("quote(CAST(%s AS %s))", c.Default, c.Type)
	}
	return "'NULL'"
}

// find is the query of Seed.Find.
func (r seedRow) find() string {
	condition := "seed_row.id IS NULL"
	switch r.set.Mode {
	case protocol.DatasetUpdate:
		condition = "seed_row.id IS NOT NULL AND " + r.mayChange()
	case protocol.DatasetUpsert:
		condition += " OR " + r.mayChange()
	}
	columns := append(r.columns(), "updated_at")
	return fmt.Sprintf("SELECT seed_row.id, %s FROM (SELECT %s AS id) AS seed_match LEFT JOIN %s AS seed_row ON seed_row.id = seed_match.id WHERE %s",
		literals("seed_row", columns), r.match(), schema.Quote(r.table.Name), condition)
}

// write is the statement of Seed.SQL.
func (r seedRow) write() string {
	switch r.set.Mode {
	case protocol.DatasetUpdate:
		return r.update()
	case protocol.DatasetUpsert:
		return r.insert(fmt.Sprintf("coalesce(%s, %s)", r.match(), r.id), "true") + " ON CONFLICT (id) DO UPDATE SET " + r.assignments("excluded") +
			" WHERE " + r.differs("excluded") + " AND " + r.mayChange()
	default: // replace does not clear the table either: runtimes only insert
		return r.insert(r.id, r.match()+" IS NULL")
	}
}

func (r seedRow) insert(id, condition string) string {
	columns, values := []string{"id"}, []string{id}
	for _, cell := range r.cells {
		columns, values = append(columns, schema.Quote(cell.column.Name)), append(values, cell.value)
	}
	return fmt.Sprintf("INSERT OR ABORT INTO %s AS seed_row (%s) SELECT %s WHERE %s",
		schema.Quote(r.table.Name), strings.Join(columns, ", "), strings.Join(values, ", "), condition)
}

func (r seedRow) update() string {
	values := make([]string, len(r.cells))
	for i, cell := range r.cells {
		values[i] = cell.value + " AS " + schema.Quote(cell.column.Name)
	}
	return fmt.Sprintf("UPDATE OR ABORT %s AS seed_row SET %s FROM (SELECT %s) AS seed_new WHERE seed_row.id = %s AND %s AND %s",
		schema.Quote(r.table.Name), r.assignments("seed_new"), strings.Join(values, ", "),
		r.match(), r.differs("seed_new"), r.mayChange())
}

func (r seedRow) assignments(from string) string {
	columns := r.columns()
	parts := make([]string, len(columns), len(columns)+1)
	for i, name := range columns {
		parts[i] = fmt.Sprintf("%s = %s.%[1]s", schema.Quote(name), from)
	}
	if !slices.Contains(columns, "updated_at") {
		parts = append(parts, "updated_at = "+updatedNow)
	}
	return strings.Join(parts, ", ")
}

// differs keeps a row that holds the values already from being touched.
func (r seedRow) differs(from string) string {
	parts := make([]string, len(r.cells))
	for i, cell := range r.cells {
		parts[i] = fmt.Sprintf("seed_row.%s IS %s.%[1]s", schema.Quote(cell.column.Name), from)
	}
	return "NOT (" + strings.Join(parts, " AND ") + ")"
}

// note is the statement of Seed.Note. It adds to what is remembered of the
// row, because what waits until the end writes one column only.
func (r seedRow) note() string {
	return fmt.Sprintf("INSERT INTO _reconciler_seed (object, key, written) SELECT %s, %s, %s FROM %s AS seed_row WHERE id = %s AND changes() > 0"+
		" ON CONFLICT (object, key) DO UPDATE SET written = json_patch(written, excluded.written)",
		schema.QuoteText(r.set.Object), schema.QuoteText(r.key), literals("seed_row", r.columns()),
		schema.Quote(r.table.Name), r.match())
}

// read is the query of Seed.Row. The times of the row are left out: they are
// nobody's values, and differ from one attempt to the next.
func (r seedRow) read() string {
	var names []string
	for _, c := range r.table.Columns {
		if !schema.IsTimestamp(c.Name) {
			names = append(names, c.Name)
		}
	}
	return fmt.Sprintf("SELECT id, %s FROM %s AS seed_row WHERE id = %s", literals("seed_row", names), schema.Quote(r.table.Name), r.match())
}

func (r seedRow) columns() []string {
	names := make([]string, len(r.cells))
	for i, cell := range r.cells {
		names[i] = cell.column.Name
	}
	return names
}

// literals is a JSON object of columns as SQL literals: text and numbers are
// kept apart, numbers whole, and a blob is no error.
func literals(row string, columns []string) string {
	const most = 50 // the engine allows 127 arguments, two for a column
	objects := ""
	for part := range slices.Chunk(columns, most) {
		pairs := make([]string, len(part))
		for i, name := range part {
			pairs[i] = fmt.Sprintf("%s, quote(%s.%s)", schema.QuoteText(name), row, schema.Quote(name))
		}
		object := "json_object(" + strings.Join(pairs, ", ") + ")"
		if objects == "" {
			objects = object
		} else {
			objects = fmt.Sprintf("json_patch(%s, %s)", objects, object)
		}
	}
	return objects
}

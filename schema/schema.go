// Package schema maps object definitions to the tables of a tenant database,
// reads the tables that a database has, and gives both the same form so that
// they can be compared.
//
// Only structure is handled here: nothing in this package writes to a
// tenant's database or reads a row of it.
package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// Dialect is the dialect name of every plan for a libSQL or SQLite database.
const Dialect = "sqlite"

// Table is one table: as a bundle wants it or as a database has it.
type Table struct {
	Name         string
	Object       string // the object that owns it; empty for a live table
	RenamedFrom  string // desired only: the object that it declares to have been
	Columns      []Column
	PrimaryKey   []string // column names in key order
	Indexes      []Index  // by name; the implicit ones of UNIQUE and PRIMARY KEY left out
	SQL          string   // live only: the CREATE TABLE text
	WithoutRowID bool
	Sequence     bool // live only: AUTOINCREMENT
}

// Column is one column. Type is as declared and compared without regard to
// case. Default is a literal or an expression without its outer parentheses,
// empty when there is none.
type Column struct {
	Name        string
	Type        string
	NotNull     bool
	Default     string
	Field       string             // desired only: the field's key
	RenamedFrom string             // desired only: the column that it declares to have been
	Kind        protocol.FieldType // desired only: what the field holds; empty for system columns
	JSON        bool               // desired only: TEXT that holds a JSON value
	Generated   bool               // live only: a generated column
}

// Index is one index. Where is the predicate of a partial index. SQL is set
// on a live index and is the text that created it.
type Index struct {
	Name    string
	Unique  bool
	Columns []string // column names; an expression part is kept as "(expr)"
	Where   string
	SQL     string
}

// Column returns the column called name, in any case: SQLite folds ASCII case
// in names.
func (t *Table) Column(name string) (*Column, bool) {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// Index returns the index called name, in any case.
func (t *Table) Index(name string) (*Index, bool) {
	for i := range t.Indexes {
		if strings.EqualFold(t.Indexes[i].Name, name) {
			return &t.Indexes[i], true
		}
	}
	return nil, false
}

// Clone returns a copy that shares no memory with t.
func (t Table) Clone() Table {
	t.Columns = slices.Clone(t.Columns)
	t.PrimaryKey = slices.Clone(t.PrimaryKey)
	t.Indexes = slices.Clone(t.Indexes)
	for i := range t.Indexes {
		t.Indexes[i].Columns = slices.Clone(t.Indexes[i].Columns)
	}
	return t
}

// Definition is the column as it stands in a CREATE TABLE statement, without
// its name. Two columns with equal definitions are the same column.
func (c Column) Definition() string {
	var b strings.Builder
	b.WriteString(c.Type)
	if c.NotNull {
		b.WriteString(" NOT NULL")
	}
	if c.Default != "" {
		b.WriteString(" DEFAULT " + DefaultClause(c.Default))
	}
	return b.String()
}

// Equal tells whether two indexes cover the same columns in the same way,
// whatever their names.
func (i Index) Equal(o Index) bool {
	return i.Unique == o.Unique && slices.EqualFunc(i.Columns, o.Columns, strings.EqualFold) &&
		strings.Join(strings.Fields(i.Where), " ") == strings.Join(strings.Fields(o.Where), " ")
}

// Digest is the schema digest: sha256 in hex over the normalized structure of
// tables. Order of tables, columns and indexes does not count, and neither
// does the case of types.
func Digest(tables []Table) string {
	lines := make([]string, 0, len(tables)*8)
	var line digestLine
	for _, t := range tables {
		name := strings.ToLower(t.Name)
		lines = append(lines, line.begin("table").text(name).word("key").texts(t.PrimaryKey).String())
		for _, c := range t.Columns {
			line.begin("column").text(name).text(strings.ToLower(c.Name)).text(strings.ToUpper(c.Type))
			lines = append(lines, line.truth(c.NotNull).text(c.Default).String())
		}
		for _, i := range t.Indexes {
			line.begin("index").text(name).text(strings.ToLower(i.Name)).truth(i.Unique)
			lines = append(lines, line.texts(i.Columns).text(i.Where).String())
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// digestLine is one line of what Digest is over: words, and texts in quotes.
type digestLine []byte

func (l *digestLine) begin(word string) *digestLine {
	*l = append((*l)[:0], word...)
	return l
}

func (l *digestLine) word(word string) *digestLine {
	*l = append(append(*l, ' '), word...)
	return l
}

func (l *digestLine) text(s string) *digestLine {
	*l = strconv.AppendQuote(append(*l, ' '), s)
	return l
}

func (l *digestLine) texts(list []string) *digestLine {
	*l = append(*l, " ["...)
	for i, s := range list {
		if i > 0 {
			*l = append(*l, ' ')
		}
		*l = strconv.AppendQuote(*l, s)
	}
	*l = append(*l, ']')
	return l
}

func (l *digestLine) truth(b bool) *digestLine {
	*l = strconv.AppendBool(append(*l, ' '), b)
	return l
}

func (l *digestLine) String() string { return string(*l) }

// Quote quotes a name for SQL text. Names are data of strangers: they are
// quoted everywhere, reserved word or not.
func Quote(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// QuoteText quotes a string literal for SQL text.
func QuoteText(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

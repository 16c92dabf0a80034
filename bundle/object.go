package bundle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// composed is an object with what extensions add to it. Like definitions it
// does not change once it is made.
type composed struct {
	*definition
	Object
	fields  map[string]*definition // of fields that extensions bring
	indexes []source               // of indexes that extensions bring, after the object's own
}

// source is where an index of an extension is written.
type source struct {
	*definition
	index int
}

func compose(d *definition, o Object) *composed { return &composed{definition: d, Object: o} }

// where finds the definition that a path of the composed object comes from.
func (c *composed) where(path []any) (*definition, []any) {
	if len(path) < 2 {
		return c.definition, path
	}
	switch step := path[1].(type) {
	case string:
		if d := c.fields[step]; d != nil && path[0] == "fields" {
			return d, path
		}
	case int:
		if own := len(c.Indexes) - len(c.indexes); path[0] == "indexes" && step >= own {
			s := c.indexes[step-own]
			return s.definition, append([]any{"indexes", s.index}, path[2:]...)
		}
	}
	return c.definition, path
}

// checker collects the faults of one composed object.
type checker struct {
	*composed
	found []Fault
}

func (c *checker) error(code, message, next string, path ...any) {
	d, at := c.where(path)
	c.found = append(c.found, d.doc.Error(at, code, message, next))
}

func (c *checker) warning(code, message, next string, path ...any) {
	d, at := c.where(path)
	c.found = append(c.found, d.doc.Warning(at, code, message, next))
}

// check finds what the database cannot hold, and what can be said about an
// object without the others.
func (c *composed) check() []Fault {
	k := checker{composed: c}
	at := "tableName"
	if c.TableName == "" {
		at = "name"
	}
	k.name(tableOf(c.Object.Object), at)
	k.columns()
	for i, index := range c.Indexes {
		k.index(i, index)
	}
	k.renames()
	return k.found
}

// name checks the name of a table, column or index.
func (c *checker) name(name string, path ...any) {
	switch {
	case !isName(name):
		c.error(codeName, fmt.Sprintf("%q is not a name", name), "use a-z, 0-9 and _, and no digit first", path...)
	case isReserved(name):
		c.error(codeReserved, fmt.Sprintf("%q begins with one of the reserved %s", name, strings.Join(reserved, ", ")), "rename it", path...)
	}
}

// columns checks fields. SQLite ignores the case of names, and every table has
// an id, a created_at and an updated_at, which fields of these names are.
func (c *checker) columns() {
	taken := map[string]string{}
	for _, system := range systemColumns {
		taken[system] = system
	}
	keys := slices.Sorted(maps.Keys(c.Fields)) // those that are their column first
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(c.Fields[a].ColumnName, c.Fields[b].ColumnName) })
	for _, key := range keys {
		field, column, at := c.Fields[key], columnOf(key, c.Fields[key]), "columnName"
		if isLookup(field.Type) && field.Reference == "" {
			c.warning(codeLookupTarget, fmt.Sprintf("field %q refers to no object", key), "add reference", "fields", key)
		}
		c.text(key, field)
		if field.Type == protocol.FieldFormula || column == key && slices.Contains(systemColumns, key) {
			continue
		}
		path := []any{"fields", key, at}
		if field.ColumnName == "" {
			path = path[:2]
		}
		c.name(column, path...)
		folded := strings.ToLower(column)
		if other, ok := taken[folded]; ok {
			c.error(codeColumnCollision, fmt.Sprintf("column %q of field %q is already that of %q", column, key, other), "rename one of them", path...)
			continue
		}
		taken[folded] = key
	}
	if len(taken) > maxColumns {
		c.error(codeTooManyFields, fmt.Sprintf("the object has %d columns, more than %d", len(taken), maxColumns), "split the object", "fields")
	}
}

// maxColumns bounds a table. SQLite has at most 2,000 columns in one
// (sqlite.org/limits.html), and what others add needs room.
const maxColumns = 1_900

// text finds a default that YAML has changed: 1.10 is read as 1.1.
func (c *checker) text(key string, field protocol.Field) {
	d, path := c.where([]any{"fields", key, "defaultValue"})
	if _, isNumber := field.DefaultValue.(json.Number); !isNumber || !isText(field) {
		return
	}
	if written, changed := d.doc.Written(path...); changed {
		c.found = append(c.found, changedText(d, path, written, key))
	}
}

func (c *checker) index(i int, index protocol.Index) {
	if index.Name != "" {
		c.name(index.Name, "indexes", i, "name")
	}
	if len(index.Fields) == 0 {
		c.warning(codeIndexEmpty, "an index without fields is left out", "add fields, or remove it", "indexes", i)
	}
	if index.Type != protocol.IndexBTree {
		c.warning(codeIndexType, fmt.Sprintf("an index of type %s becomes btree", index.Type), "write btree", "indexes", i, "type")
	}
	for j, key := range index.Fields {
		if !c.hasColumn(key) {
			c.error(codeIndexField, fmt.Sprintf("the index names %q, which is no field with a column", key), "correct the name", "indexes", i, "fields", j)
		}
	}
}

// hasColumn reports whether a key or column name leads to a column.
func (c *checker) hasColumn(name string) bool {
	if slices.Contains(systemColumns, name) {
		return true
	}
	if f, ok := c.Fields[name]; ok {
		return f.Type != protocol.FieldFormula
	}
	for key, f := range c.Fields {
		if columnOf(key, f) == name && f.Type != protocol.FieldFormula {
			return true
		}
	}
	return false
}

func (c *checker) renames() {
	if c.RenamedFrom == c.Name {
		c.error(codeRenamedFrom, "the object has that name already", "remove renamedFrom", "renamedFrom")
	}
	taken := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(c.FieldRenames)) {
		old := c.FieldRenames[key]
		path := []any{"fields", key, "renamedFrom"}
		switch _, exists := c.Fields[old]; {
		case exists:
			c.error(codeRenamedFrom, fmt.Sprintf("field %q cannot have been %q, which is still there", key, old), "remove one of the two", path...)
		case slices.Contains(systemColumns, old):
			c.error(codeRenamedFrom, fmt.Sprintf("field %q cannot have been %q, which every table has", key, old), "remove renamedFrom", path...)
		case taken[old] != "":
			c.error(codeRenamedFrom, fmt.Sprintf("field %q cannot have been %q as well as %q", key, old, taken[old]), "keep one of the two", path...)
		}
		taken[old] = key
	}
}

// systemColumns are the columns of every table.
var systemColumns = []string{"id", "created_at", "updated_at"}

// reserved are the beginnings of names that belong to the database or to us.
var reserved = []string{"_reconciler_", "_retired_", "_litestream_", "libsql_", "sqlite_"}

var namePattern = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func isName(name string) bool { return namePattern.MatchString(name) }

func isReserved(name string) bool {
	return slices.ContainsFunc(reserved, func(prefix string) bool { return strings.HasPrefix(strings.ToLower(name), prefix) })
}

func isLookup(t protocol.FieldType) bool {
	return t == protocol.FieldLookup || t == protocol.FieldMasterDetail || t == protocol.FieldTree
}

// tableOf is the table of an object.
func tableOf(o protocol.Object) string {
	if o.TableName != "" {
		return o.TableName
	}
	return o.Name
}

// columnOf is the column of a field.
func columnOf(key string, f protocol.Field) string {
	if f.ColumnName != "" {
		return f.ColumnName
	}
	return key
}

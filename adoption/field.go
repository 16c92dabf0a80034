package adoption

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// fieldOf guesses the field of a column: the first candidate whose column
// accepts the live one as it is. why says that there is none.
func fieldOf(t schema.Table, live schema.Column, target string) (field Field, why string) {
	key := strings.ToLower(live.Name)
	switch {
	case !schema.ValidName(key):
		return field, "its name is none that a field can have"
	case schema.IsReserved(key):
		return field, "its name is reserved"
	case live.Generated:
		return field, "it is generated"
	}
	for _, kind := range candidates(key, strings.ToLower(strings.TrimSpace(live.Type)), target) {
		f := protocol.Field{Type: kind, Required: live.NotNull, DefaultValue: defaultOf(live.Default, kind)}
		if kind == protocol.FieldLookup {
			f.Reference = target
		}
		want, faults := schema.Desired([]schema.Object{{Object: protocol.Object{Name: "x", Fields: map[string]protocol.Field{key: f}}}}, schema.Options{})
		if len(faults) > 0 {
			continue
		}
		if column, ok := want[0].Column(key); ok && column.Accepts(live) {
			return Field{Key: key, Field: f}, ""
		}
	}
	if live.NotNull && live.Default == "" {
		return field, fmt.Sprintf("no field has the type %s; rows need a value for it, which only what knows the column gives", orNone(live.Type))
	}
	if live.Default != "" {
		return field, fmt.Sprintf("no field has the type %s with the default %s", orNone(live.Type), live.Default)
	}
	return field, "no field has the type " + orNone(live.Type)
}

func orNone(declared string) string {
	if declared == "" {
		return "(none)"
	}
	return declared
}

// candidates are the field types that a column may have been made from, the
// likeliest first: the inverse of the table that objects are mapped by, with
// the name deciding where a type says little.
func candidates(key, declared, target string) []protocol.FieldType {
	switch declared {
	case "boolean":
		return []protocol.FieldType{protocol.FieldBoolean}
	case "integer":
		if soundsBoolean(key) {
			return []protocol.FieldType{protocol.FieldBoolean, protocol.FieldNumber}
		}
		return []protocol.FieldType{protocol.FieldNumber, protocol.FieldBoolean}
	case "real", "float":
		return []protocol.FieldType{protocol.FieldNumber}
	case "date":
		return []protocol.FieldType{protocol.FieldDate}
	case "datetime":
		return []protocol.FieldType{protocol.FieldDatetime}
	case "time":
		return []protocol.FieldType{protocol.FieldTime}
	case "json":
		return []protocol.FieldType{protocol.FieldJSON}
	case "blob":
		return []protocol.FieldType{protocol.FieldFile}
	case "text", "varchar(255)":
		return texts(key, target)
	}
	return nil
}

// texts are the types of a field that is kept as text. All have one column, so
// that a wrong guess changes nothing in the database.
func texts(key, target string) []protocol.FieldType {
	plain := []protocol.FieldType{protocol.FieldText, protocol.FieldDatetime, protocol.FieldDate, protocol.FieldTime}
	last := key[strings.LastIndexByte(key, '_')+1:]
	switch {
	case target != "" && schema.ValidName(target):
		return append([]protocol.FieldType{protocol.FieldLookup}, plain...)
	case strings.HasSuffix(last, "email"):
		return append([]protocol.FieldType{protocol.FieldEmail}, plain...)
	case last == "phone", last == "mobile":
		return append([]protocol.FieldType{protocol.FieldPhone}, plain...)
	case last == "url", last == "website":
		return append([]protocol.FieldType{protocol.FieldURL}, plain...)
	case last == "description", last == "notes", last == "comment":
		return append([]protocol.FieldType{protocol.FieldTextarea}, plain...)
	}
	return plain
}

func soundsBoolean(key string) bool {
	first, _, more := strings.Cut(key, "_")
	return more && slices.Contains([]string{"is", "has", "can", "was", "allow", "enable"}, first) ||
		slices.Contains([]string{"active", "enabled", "disabled", "archived", "deleted", "visible", "done"}, key)
}

// defaultOf is the inverse of a column's DEFAULT, as a value or as one of the
// tokens for the moment of an insert. What it cannot tell the comparison with
// the live column refuses.
func defaultOf(text string, kind protocol.FieldType) any {
	lower := strings.ToLower(strings.Join(strings.Fields(text), ""))
	quoted := len(text) >= 2 && text[0] == '\'' && text[len(text)-1] == '\''
	plain := strings.TrimSuffix(strings.TrimPrefix(text, "'"), "'")
	switch {
	case text == "", lower == "null":
		return nil
	case strings.HasPrefix(lower, "current_"), strings.HasPrefix(lower, "strftime("), strings.HasPrefix(lower, "time("),
		strings.HasPrefix(lower, "datetime("):
		return "now()"
	case strings.HasPrefix(lower, "date("):
		return "today()"
	case kind == protocol.FieldBoolean && (plain == "0" || plain == "1"):
		return plain == "1"
	case kind == protocol.FieldNumber:
		if _, err := strconv.ParseFloat(plain, 64); err == nil {
			return json.Number(plain)
		}
	case quoted:
		return strings.ReplaceAll(plain, "''", "'")
	}
	return text
}

// indexOf describes an index on the object's fields. why says that it cannot.
func (o Object) indexOf(t schema.Table, live schema.Index) (index protocol.Index, why string) {
	name := strings.ToLower(live.Name)
	switch {
	case name != live.Name || !schema.ValidName(name) || schema.IsReserved(name):
		return index, "its name is none that an index can have"
	case ordered(live.SQL):
		return index, "it has an order or a collation of its own"
	}
	index = protocol.Index{Unique: live.Unique, Partial: live.Where, Type: protocol.IndexBTree}
	for _, column := range live.Columns {
		key := strings.ToLower(column)
		known := slices.ContainsFunc(o.Fields, func(f Field) bool { return f.Key == key })
		if !known && !schema.IsSystemColumn(key) {
			return index, "it is over a column that stays foreign, or over an expression"
		}
		if _, there := t.Column(key); !there {
			return index, "it is over an expression"
		}
		index.Fields = append(index.Fields, key)
	}
	if live.Name != schema.IndexName(o.Name, index.Fields, live.Unique) {
		index.Name = live.Name
	}
	alone := Object{Name: o.Name, Fields: o.Fields, Indexes: []protocol.Index{index}}
	want, faults := schema.Desired([]schema.Object{{Object: alone.protocol()}}, schema.Options{})
	if len(faults) > 0 {
		return index, faults[0].Message
	}
	if made, ok := want[0].Index(live.Name); !ok || !made.Equal(live) || !slices.Equal(made.Columns, live.Columns) {
		return index, "its columns are written in another case, and it would be made anew"
	}
	return index, ""
}

// ordered tells whether the text of an index says more of a column than its
// name: definitions have no word for it.
func ordered(sql string) bool {
	tokens, err := database.Tokens(sql)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(tokens, func(t database.Token) bool {
		return t.Kind == database.Word && (t.Is("DESC") || t.Is("ASC") || t.Is("COLLATE"))
	})
}

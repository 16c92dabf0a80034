package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// idText matches what is taken for an id and not for a key: a UUID, 24
// hexadecimal digits (as ObjectStack's own loader has it), and our row ids.
var idText = regexp.MustCompile(`(?i)\A([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24}|[a-z2-7]{26})\z`)

// maxReferences is how many rows one value may refer to: the engine allows
// 127 arguments of json_array.
const maxReferences = 100

func isReference(f protocol.Field) bool {
	switch f.Type {
	case protocol.FieldLookup, protocol.FieldMasterDetail, protocol.FieldTree:
		return true
	}
	return false
}

// referenceTarget is the object that a field refers to. A tree without one is
// made of records of its own object.
func referenceTarget(object string, f protocol.Field) string {
	if f.Reference == "" && f.Type == protocol.FieldTree {
		return object
	}
	return f.Reference
}

// reference compiles the value of a field that refers to another record.
func (r *seedRecord) reference(field string, f protocol.Field, column *schema.Column, value any) (seedCell, error) {
	cell := seedCell{column: column}
	if !f.Multiple {
		var err error
		cell.value, err = r.refer(&cell, field, f, value)
		return cell, err
	}
	list, ok := value.([]any)
	if !ok || len(list) > maxReferences {
		return cell, fmt.Errorf("the field refers to several records: write a list of at most %d", maxReferences)
	}
	ids := make([]string, len(list))
	for i, one := range list {
		id, err := r.refer(&cell, field, f, one)
		if err != nil {
			return cell, err
		}
		ids[i] = id
	}
	cell.value = "json_array(" + strings.Join(ids, ", ") + ")"
	return cell, nil
}

// refer compiles one reference: an id as it is, a key to the id of the row
// that has it.
func (r *seedRecord) refer(cell *seedCell, field string, f protocol.Field, value any) (string, error) {
	if text, ok := value.(string); ok && idText.MatchString(text) {
		return schema.QuoteText(text), nil
	}
	key, ok := keyText(value)
	if !ok {
		return "", errors.New("the field refers to a record: write its key, {externalId: key}, or its id")
	}
	target := referenceTarget(r.set.Object, f)
	if target == "" {
		return "", fmt.Errorf("the field does not say which object it refers to, so %q is not known; set `reference`, or write an id", key)
	}
	table, ok := r.c.tables[target]
	if !ok {
		return "", fmt.Errorf("the bundle has no object %q to look %q up in; write an id, or take the value out", target, key)
	}
	keyField, ok := r.c.keys[target]
	if !ok {
		keyField = "name"
	}
	keyColumn, ok := columnOf(table, keyField)
	if !ok {
		return "", fmt.Errorf("%s has no field %q to look %q up by; write an id", target, keyField, key)
	}
	keyValue, err := seedValue(keyColumn, key)
	if err != nil {
		return "", fmt.Errorf("%s.%s: %w", target, keyField, err)
	}
	match := matchRow(table.Name, keyColumn.Name, keyValue, schema.QuoteText(RowID(target, key)))
	cell.late = cell.late || r.c.left[target] > 0
	cell.references = append(cell.references, SeedReference{
		Field: field, Required: r.isRequired(field), SQL: "SELECT " + match,
		Missing: fmt.Sprintf("no %s has the %s %q", target, keyField, key),
	})
	return match, nil
}

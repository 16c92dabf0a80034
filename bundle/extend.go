package bundle

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// extend returns an object with extensions added, in the order given. A field
// of an extension replaces one of the same name, as in the ObjectStack
// registry; lists are appended; any other key replaces the object's own.
func (c *composed) extend(extensions []*definition) (*composed, []Fault) {
	merged := &definition{
		kind: objects, name: c.name, owner: c.owner, doc: c.doc, body: maps.Clone(c.body),
	}
	result := &composed{definition: merged, fields: map[string]*definition{}}
	result.RenamedFrom, result.FieldRenames = c.RenamedFrom, maps.Clone(c.FieldRenames)
	fields, _ := c.body["fields"].(map[string]any)
	fields = maps.Clone(fields)
	merged.body["fields"] = fields
	var faults []Fault
	for _, e := range extensions {
		faults = append(faults, result.add(e, fields)...)
	}
	merged.canonical = canonical(nil, merged.body)
	merged.object = result
	// Both sides are valid, and so is what they make: nothing is checked twice.
	result.Object.Object, _ = shape.Parse[protocol.Object](merged.body, shape.Strip)
	return result, append(faults, result.check()...)
}

func (c *composed) add(e *definition, fields map[string]any) (faults []Fault) {
	for _, key := range slices.Sorted(maps.Keys(e.body)) {
		value := e.body[key]
		switch key {
		case "extend", "priority", "name":
		case "fields":
			added, _ := value.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(added)) {
				if other := c.fields[name]; other != nil && other.priority == e.priority {
					faults = append(faults, e.doc.Error([]any{"fields", name}, codeObjectConflict,
						fmt.Sprintf("%s and %s both bring field %q to object %q", other.owner, e.owner, name, c.name),
						"give one of the extensions a higher priority"))
				}
				c.fields[name], fields[name] = e, added[name]
				delete(c.FieldRenames, name)
			}
		case "indexes", "validations":
			own, _ := c.body[key].([]any)
			added, _ := value.([]any)
			c.body[key] = append(own[:len(own):len(own)], added...)
			for i := range added {
				if key == "indexes" {
					c.indexes = append(c.indexes, source{e, i})
				}
			}
		default:
			c.body[key] = value
		}
	}
	maps.Copy(c.FieldRenames, e.object.FieldRenames)
	return faults
}

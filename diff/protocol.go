package diff

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// deployDiff says the result in the protocol's words: objects, fields and
// indexes from the structure; what changed in their definitions alone, views,
// flows and permission sets from the registry.
func deployDiff(r Result, live Live, desired Desired) protocol.DeployDiff {
	d := describer{objects: map[string]string{}, seen: map[string]bool{}}
	for _, t := range live.Owned.Tables {
		d.objects[strings.ToLower(t.Name)] = t.Object
	}
	for _, t := range desired.Tables {
		d.objects[strings.ToLower(t.Name)] = t.Object
	}
	for _, c := range r.Changes {
		d.structure(c)
	}
	for _, c := range r.Registry {
		d.definition(c)
	}
	d.diff.HasBreakingChanges = d.diff.HasBreakingChanges || len(r.Released) > 0
	slices.SortStableFunc(d.diff.Changes, func(a, b protocol.SchemaChange) int {
		return strings.Compare(sortKey(a), sortKey(b))
	})
	for _, c := range d.diff.Changes {
		switch c.ChangeType {
		case protocol.ChangeAdded:
			d.diff.Summary.Added++
		case protocol.ChangeModified:
			d.diff.Summary.Modified++
		case protocol.ChangeRemoved:
			d.diff.Summary.Removed++
		}
	}
	if d.diff.Changes == nil {
		d.diff.Changes = []protocol.SchemaChange{}
	}
	return d.diff
}

type describer struct {
	diff    protocol.DeployDiff
	objects map[string]string // table in lower case → object
	seen    map[string]bool   // entity and name that the structure has told already
}

func (d *describer) add(c protocol.SchemaChange) {
	id := string(c.EntityType) + "\x00" + c.ParentEntity + "\x00" + c.EntityName
	if d.seen[id] && c.EntityType != protocol.EntityIndex {
		return
	}
	d.seen[id] = true
	d.diff.Changes = append(d.diff.Changes, c)
}

func (d *describer) structure(c Change) {
	object := d.objects[strings.ToLower(c.Table)]
	if object == "" || object == registryObject || c.Op == PurgeTable || c.Op == PurgeColumn {
		return // the definition went when it was retired
	}
	change := protocol.SchemaChange{EntityType: protocol.EntityField, ParentEntity: object}
	d.diff.HasBreakingChanges = d.diff.HasBreakingChanges || c.Class >= Rewrite
	switch c.Op {
	case AddTable, DropTable, RenameTable, RetireTable, RestoreTable:
		change = objectChange(c, object)
	case AddColumn, RestoreColumn:
		change.EntityName, change.ChangeType, change.NewValue = fieldName(c.To), protocol.ChangeAdded, describe(c.To)
	case DropColumn, RetireColumn:
		change.EntityName, change.ChangeType, change.OldValue = c.From.Name, protocol.ChangeRemoved, describe(c.From)
	case RenameColumn:
		change.EntityName, change.ChangeType = fieldName(c.To), protocol.ChangeModified
		change.OldValue, change.NewValue = map[string]any{"name": c.Old}, map[string]any{"name": c.To.Name}
	case AlterColumn, RetypeColumn:
		change.EntityName, change.ChangeType = fieldName(c.To), protocol.ChangeModified
		change.OldValue, change.NewValue = describe(c.From), describe(c.To)
	case AddIndex, DropIndex:
		if d.seen["object\x00\x00"+object] && c.Op == AddIndex {
			return // part of a new object
		}
		change = indexChange(c, object)
	}
	d.add(change)
}

func objectChange(c Change, object string) protocol.SchemaChange {
	change := protocol.SchemaChange{EntityType: protocol.EntityObject, EntityName: object}
	switch c.Op {
	case AddTable:
		change.ChangeType, change.NewValue = protocol.ChangeAdded, shape(c.New)
	case RestoreTable:
		change.ChangeType, change.NewValue = protocol.ChangeAdded, map[string]any{"table": c.Table}
	case DropTable, RetireTable:
		change.ChangeType, change.OldValue = protocol.ChangeRemoved, shape(c.New)
	default:
		change.ChangeType = protocol.ChangeModified
		change.OldValue, change.NewValue = map[string]any{"table": c.Old}, map[string]any{"table": c.Table}
	}
	return change
}

func indexChange(c Change, object string) protocol.SchemaChange {
	change := protocol.SchemaChange{EntityType: protocol.EntityIndex, ParentEntity: object, EntityName: c.Index.Name}
	value := map[string]any{"columns": c.Index.Columns, "unique": c.Index.Unique}
	if c.Index.Where != "" {
		value["partial"] = c.Index.Where
	}
	if c.Op == AddIndex {
		change.ChangeType, change.NewValue = protocol.ChangeAdded, value
	} else {
		change.ChangeType, change.OldValue = protocol.ChangeRemoved, value
	}
	return change
}

// definition tells what the registry alone shows. A field whose definition
// changed and whose column did not is told as modified.
func (d *describer) definition(c DefinitionChange) {
	one := c.After
	kind := protocol.ChangeModified
	switch {
	case c.Before == nil:
		kind = protocol.ChangeAdded
	case c.After == nil:
		one, kind = c.Before, protocol.ChangeRemoved
	}
	if one.Type != protocol.EntityObject {
		d.add(protocol.SchemaChange{EntityType: one.Type, EntityName: one.Name, ChangeType: kind})
		return
	}
	if kind != protocol.ChangeModified {
		d.add(protocol.SchemaChange{EntityType: one.Type, EntityName: one.Name, ChangeType: kind})
		return
	}
	before, after := parts(c.Before.Body), parts(c.After.Body)
	if before.rest != after.rest {
		d.add(protocol.SchemaChange{EntityType: protocol.EntityObject, EntityName: one.Name, ChangeType: kind})
	}
	for _, name := range after.names() {
		was, had := before.fields[name]
		change := protocol.SchemaChange{
			EntityType: protocol.EntityField, ParentEntity: one.Name, EntityName: name,
			ChangeType: kind, NewValue: json.RawMessage(after.fields[name]),
		}
		switch {
		case !had:
			change.ChangeType = protocol.ChangeAdded
		case was == after.fields[name]:
			continue
		default:
			change.OldValue = json.RawMessage(was)
		}
		d.add(change)
	}
	for _, name := range before.names() {
		if _, has := after.fields[name]; !has {
			d.add(protocol.SchemaChange{
				EntityType: protocol.EntityField, ParentEntity: one.Name, EntityName: name,
				ChangeType: protocol.ChangeRemoved, OldValue: json.RawMessage(before.fields[name]),
			})
		}
	}
}

// registryObject is the object whose table is the registry itself: ours even
// when no bundle defines it, and no news to anybody.
const registryObject = "sys_metadata"

// objectParts is an object's definition: its fields, and the rest as text.
type objectParts struct {
	fields map[string]string
	rest   string
}

func parts(body string) objectParts {
	var definition map[string]json.RawMessage
	p := objectParts{fields: map[string]string{}}
	if json.Unmarshal([]byte(body), &definition) != nil {
		p.rest = body
		return p
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(definition["fields"], &fields) == nil {
		for name, field := range fields {
			p.fields[name] = string(field)
		}
		delete(definition, "fields")
	}
	rest, _ := json.Marshal(definition)
	p.rest = string(rest)
	return p
}

func (p objectParts) names() []string {
	names := make([]string, 0, len(p.fields))
	for name := range p.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func fieldName(c *schema.Column) string {
	if c.Field != "" {
		return c.Field
	}
	return c.Name
}

func describe(c *schema.Column) map[string]any {
	value := map[string]any{"column": c.Name, "type": c.Type, "required": c.NotNull}
	if c.Default != "" {
		value["default"] = c.Default
	}
	return value
}

func shape(t *schema.Table) map[string]any {
	return map[string]any{"table": t.Name, "columns": len(t.Columns), "indexes": len(t.Indexes)}
}

func sortKey(c protocol.SchemaChange) string {
	rank := map[protocol.EntityType]string{
		protocol.EntityObject: "0", protocol.EntityField: "1", protocol.EntityIndex: "2",
		protocol.EntityView: "3", protocol.EntityFlow: "4", protocol.EntityPermission: "5",
	}[c.EntityType]
	return rank + "\x00" + c.ParentEntity + "\x00" + c.EntityName + "\x00" + string(c.ChangeType)
}

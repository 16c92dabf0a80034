package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// check finds what is wrong between definitions.
func (c *composition) check() {
	c.tables()
	c.indexes()
	c.renamed()
	c.references()
	c.seeds()
	if c.mapping != nil && !config.HasErrors(c.faults) {
		c.mapped()
	}
}

// mapped finds what the database has no form for.
func (c *composition) mapped() {
	for _, o := range c.objects {
		for _, u := range c.mapping(o.Object) {
			d, path := o.where(u.Path)
			c.error(d, path, u.Code, u.Message, u.Next)
		}
	}
}

// tables finds objects that share a table. SQLite ignores the case of names.
func (c *composition) tables() {
	taken := map[string]*composed{}
	byName := slices.Clone(c.objects) // a table's own object comes first
	slices.SortStableFunc(byName, func(a, b *composed) int { return strings.Compare(a.TableName, b.TableName) })
	for _, o := range byName {
		table := strings.ToLower(tableOf(o.Object.Object))
		if other := taken[table]; other != nil {
			c.error(o.definition, []any{"tableName"}, codeTableCollision,
				fmt.Sprintf("table %q of object %q is already that of %q", table, o.name, other.name), "change tableName of one of them")
		}
		taken[table] = o
	}
}

// indexes finds given names of indexes that are taken: in a database they are
// of one namespace with tables.
func (c *composition) indexes() {
	taken := map[string]string{}
	for _, o := range c.objects {
		taken[strings.ToLower(tableOf(o.Object.Object))] = "the table of " + o.name
	}
	for _, o := range c.objects {
		for i, index := range o.Indexes {
			name := strings.ToLower(index.Name)
			if name == "" || len(index.Fields) == 0 {
				continue
			}
			if other := taken[name]; other != "" {
				d, path := o.where([]any{"indexes", i, "name"})
				c.error(d, path, codeIndexCollision, fmt.Sprintf("%q is already the name of %s", index.Name, other), "rename it")
			}
			taken[name] = "an index of " + o.name
		}
	}
}

func (c *composition) renamed() {
	taken := map[string]string{}
	for _, o := range c.objects {
		path := []any{"renamedFrom"}
		switch old := o.RenamedFrom; {
		case old == "" || old == o.name:
			continue
		case c.find(old) != nil:
			c.error(o.definition, path, codeRenamedFrom, fmt.Sprintf("object %q cannot have been %q, which is still there", o.name, old), "remove one of the two")
		case taken[old] != "":
			c.error(o.definition, path, codeRenamedFrom, fmt.Sprintf("object %q cannot have been %q as well as %q", o.name, old, taken[old]), "keep one of the two")
		}
		taken[o.RenamedFrom] = o.name
	}
}

// references warns of objects that the bundle does not have. Real bundles refer
// to the platform's.
func (c *composition) references() {
	for _, o := range c.objects {
		for _, key := range slices.Sorted(maps.Keys(o.Fields)) {
			if target := o.Fields[key].Reference; target != "" {
				d, path := o.where([]any{"fields", key, "reference"})
				c.reference(d, path, target)
			}
		}
	}
	for _, d := range c.definitions[views] {
		for _, at := range []string{"list", "form"} {
			path := []any{at, "data", "object"}
			if target, ok := d.doc.At(path...).Value.(string); ok {
				c.reference(d, path, target)
			}
		}
	}
	for _, d := range c.definitions[permissions] {
		granted, _ := d.body["objects"].(map[string]any)
		for _, target := range slices.Sorted(maps.Keys(granted)) {
			c.reference(d, []any{"objects", target}, target)
		}
	}
}

func (c *composition) reference(d *definition, path []any, target string) {
	if c.find(target) == nil {
		c.warning(d, path, codeReferenceOutside, fmt.Sprintf("object %q is not in the bundle", target), "correct the name unless the platform has it")
	}
}

func (c *composition) seeds() {
	for _, d := range c.definitions[seeds] {
		object := c.find(d.name)
		if object == nil {
			c.warning(d, []any{"object"}, codeSeedTarget, fmt.Sprintf("the records are of object %q, which is not in the bundle, and are left out", d.name), "correct the name, or add the object")
			continue
		}
		c.texts(d, object)
	}
}

// texts finds numbers in fields of text that YAML has changed: 1.10 is 1.1.
func (c *composition) texts(d *definition, object *composed) {
	for i, record := range d.dataset.Records {
		for _, key := range slices.Sorted(maps.Keys(record)) {
			if _, isNumber := record[key].(json.Number); !isNumber || !isText(object.Fields[key]) {
				continue
			}
			path := []any{"records", i, key}
			if written, changed := d.doc.Written(path...); changed {
				c.faults = append(c.faults, changedText(d, path, written, key))
			}
		}
	}
}

func changedText(d *definition, path []any, written, field string) Fault {
	return d.doc.Error(path, codeQuote, fmt.Sprintf("%s is read as the number %v, and field %q holds text", written, d.doc.At(path...).Value, field),
		fmt.Sprintf("quote it: %q", written))
}

// isText reports whether a field stores text as it is given.
func isText(f protocol.Field) bool {
	switch f.Type {
	case protocol.FieldText, protocol.FieldTextarea, protocol.FieldEmail, protocol.FieldURL, protocol.FieldPhone,
		protocol.FieldPassword, protocol.FieldMarkdown, protocol.FieldHTML, protocol.FieldRichtext, protocol.FieldSelect,
		protocol.FieldRadio, protocol.FieldColor, protocol.FieldCode, protocol.FieldAutonumber, protocol.FieldQRCode,
		protocol.FieldLookup, protocol.FieldMasterDetail, protocol.FieldTree:
		return !f.Multiple
	}
	return false
}

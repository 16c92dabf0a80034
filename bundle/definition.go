package bundle

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// kind is a kind of definition.
type kind int

const (
	objects kind = iota
	views
	flows
	permissions
	seeds
	kinds // their number
)

// form is how a kind is written.
type form struct{ dir, key, word string }

// forms says how each kind is written: the directory that holds it, its key in
// a compiled bundle, and the word for one.
var forms = [kinds]form{
	{"objects", "objects", "object"},
	{"views", "views", "view"},
	{"flows", "flows", "flow"},
	{"permissions", "permissions", "permission set"},
	{"seed", "seedData", "seed set"},
}

// definition is one definition as it was written. It does not change once it
// is parsed, so that every tenant that has it shares it.
type definition struct {
	kind      kind
	name      string         // of a seed set: its object
	owner     string         // who brings it, for people
	body      map[string]any // as written, without our own keys
	canonical []byte         // the body in canonical JSON
	doc       config.Document
	faults    []Fault

	object   *composed // of an object or extension without errors of form
	priority int64     // of an extension: higher ones have the last word
	dataset  protocol.Dataset
}

func (d *definition) error(code string, path []any, message, next string) {
	d.faults = append(d.faults, d.doc.Error(path, code, message, next))
}

// define parses one definition. The file names a view that has no name of its
// own, when it holds nothing else.
func define(k kind, doc config.Document, owner string, alone bool) *definition {
	d := &definition{kind: k, owner: owner, doc: doc}
	body, ok := doc.Value.(map[string]any)
	if !ok {
		d.error(shape.InvalidType, nil, "a definition must be a mapping", "write keys and values")
		return d
	}
	d.body = body
	switch k {
	case objects:
		d.defineObject()
	case views:
		d.issues(shape.Of[protocol.View]().Parse(body, shape.Keep), protocol.SeverityWarning)
		d.name = viewName(doc, alone)
	case flows:
		d.issues(shape.Of[protocol.Flow]().Parse(body, shape.Keep), protocol.SeverityWarning)
		d.name, _ = body["name"].(string)
	case permissions:
		d.issues(shape.Of[protocol.PermissionSet]().Parse(body, shape.Keep), protocol.SeverityWarning)
		d.name, _ = body["name"].(string)
	case seeds:
		var report shape.Report
		d.dataset, report = shape.Parse[protocol.Dataset](body, shape.Keep)
		d.issues(report, protocol.SeverityError)
		d.name = d.dataset.Object
	}
	if d.name == "" && !config.HasErrors(d.faults) {
		d.error(codeNameMissing, []any{"name"}, "a "+forms[k].word+" needs a name", "add the key name")
	}
	d.canonical = canonical(nil, body)
	return d
}

// issues takes what a parse found. Keys that it does not know are warnings, and
// survive: runtimes that are newer than this program know more.
func (d *definition) issues(report shape.Report, severity protocol.Severity) {
	for i, f := range d.doc.Issues(severity, report.Issues) {
		if path := report.Issues[i].Path; len(path) == 1 && path[0] == "name" {
			f.Severity = protocol.SeverityError // what it is registered under
		}
		d.faults = append(d.faults, f)
	}
	if d.kind == views {
		report.Unknown = slices.DeleteFunc(slices.Clone(report.Unknown), isViewKey)
	}
	for _, f := range d.doc.Issues(protocol.SeverityWarning, report.Unknown) {
		f.Next = "correct it, or leave it for a runtime that knows it"
		d.faults = append(d.faults, f)
	}
}

// isViewKey reports whether an unknown key of a view is one that this format
// gives it, and that the protocol's later versions know.
func isViewKey(issue shape.Issue) bool {
	return len(issue.Path) == 1 && slices.Contains([]any{"name", "label", "object"}, issue.Path[0])
}

// viewName is the view's name, else the file's, else its object's.
func viewName(doc config.Document, alone bool) string {
	for _, at := range [][]any{{"name"}, {}, {"object"}, {"list", "data", "object"}, {"form", "data", "object"}} {
		if len(at) == 0 {
			if alone {
				return strings.TrimSuffix(path.Base(doc.File), path.Ext(doc.File))
			}
			continue
		}
		if name, _ := doc.At(at...).Value.(string); name != "" {
			return name
		}
	}
	return ""
}

// extension is an object definition that adds to an object of somebody else.
type extension struct {
	Extend      string                    `json:"extend" shape:"format=identifier" doc:"Object that it adds to."`
	Priority    int64                     `json:"priority" default:"200" shape:"min=0,max=999" doc:"Extensions apply in this order; the last has the last word."`
	Label       string                    `json:"label,omitempty" doc:"Replaces the name shown to people."`
	PluralLabel string                    `json:"pluralLabel,omitempty" doc:"Replaces the name of several."`
	Description string                    `json:"description,omitempty" doc:"Replaces what the object is for."`
	Fields      map[string]protocol.Field `json:"fields" default:"{}" shape:"key=identifier" doc:"Fields to add or replace."`
	Indexes     []protocol.Index          `json:"indexes" default:"[]" doc:"Indexes to add."`
	Validations []protocol.ValidationRule `json:"validations" default:"[]" doc:"Rules to add."`
}

// isExtension reports whether the definition adds to somebody else's object.
func (d *definition) isExtension() bool {
	_, ok := d.body["extend"]
	return ok
}

func (d *definition) defineObject() {
	object := Object{FieldRenames: map[string]string{}}
	object.RenamedFrom = d.takeRename(d.body)
	fields, _ := d.body["fields"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if field, ok := fields[key].(map[string]any); ok {
			if old := d.takeRename(field, "fields", key); old != "" {
				object.FieldRenames[key] = old
			}
		}
	}
	var report shape.Report
	if d.isExtension() {
		var e extension
		e, report = shape.Parse[extension](d.body, shape.Keep)
		d.name, d.priority = e.Extend, e.Priority
		if object.RenamedFrom != "" {
			d.error(codeRenamedFrom, []any{"renamedFrom"}, "an extension has no name to change", "declare it in the object itself")
		}
		object.Object = protocol.Object{Name: e.Extend, Fields: e.Fields, Indexes: e.Indexes}
	} else {
		object.Object, report = shape.Parse[protocol.Object](d.body, shape.Keep)
		d.name, _ = d.body["name"].(string)
	}
	if d.issues(report, protocol.SeverityError); len(report.Issues) > 0 {
		return
	}
	d.object = compose(d, object)
	if !d.isExtension() {
		d.faults = append(d.faults, d.object.check()...)
	}
}

// takeRename removes the key renamedFrom, which is ours and not the runtime's.
func (d *definition) takeRename(values map[string]any, at ...any) string {
	written, ok := values["renamedFrom"]
	if !ok {
		return ""
	}
	delete(values, "renamedFrom")
	old, _ := written.(string)
	if !isName(old) {
		d.error(codeRenamedFrom, append(at, "renamedFrom"), fmt.Sprintf("renamedFrom: %v is not a name", written), "write the name before")
		return ""
	}
	return old
}

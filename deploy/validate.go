package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/schema"
)

// ValidateBundle checks each definition against its own type, and that objects
// have a form in the database. Paths are like objects.task.fields.title.type,
// with an index for a definition without a name. What the database has no part
// in, views, flows and permission sets, is never more than a warning, and
// neither is a key that this program does not know.
func (p *Pipeline) ValidateBundle(b protocol.DeployBundle) protocol.DeployValidationResult {
	v := validation{protocol.DeployValidationResult{Issues: []protocol.DeployValidationIssue{}}}
	var objects []bundle.Object
	for i, definition := range b.Objects {
		object, report := shape.Parse[protocol.Object](definition, shape.Keep)
		v.parsed(pathOf("objects", i, definition), protocol.SeverityError, report)
		if report.Err() == nil {
			objects = append(objects, bundle.Object{Object: object})
		}
	}
	for i, definition := range b.Views {
		v.parsed(pathOf("views", i, definition), protocol.SeverityWarning, shape.Of[protocol.View]().Parse(definition, shape.Keep))
	}
	for i, definition := range b.Flows {
		v.parsed(pathOf("flows", i, definition), protocol.SeverityWarning, shape.Of[protocol.Flow]().Parse(definition, shape.Keep))
	}
	for i, definition := range b.Permissions {
		v.parsed(pathOf("permissions", i, definition), protocol.SeverityWarning, shape.Of[protocol.PermissionSet]().Parse(definition, shape.Keep))
	}
	for i, definition := range b.SeedData {
		_, report := shape.Parse[plan.SeedSet](definition, shape.Keep)
		v.parsed(fmt.Sprintf("seedData.%d", i), protocol.SeverityError, report)
	}
	_, faults := schema.Desired(objects, schema.Options{NullableRequired: p.config.Policy.Plan.NullableRequired})
	v.mapped(faults)
	if v.result.ErrorCount == 0 {
		v.composed(b)
	}
	v.result.Valid = v.result.ErrorCount == 0
	return v.result
}

// validation collects what there is to say about a bundle.
type validation struct {
	result protocol.DeployValidationResult
}

func (v *validation) add(severity protocol.Severity, path, code, message string) {
	v.result.Issues = append(v.result.Issues, protocol.DeployValidationIssue{
		Severity: severity, Path: path, Code: code, Message: message,
	})
	switch severity {
	case protocol.SeverityError:
		v.result.ErrorCount++
	case protocol.SeverityWarning:
		v.result.WarningCount++
	}
}

func (v *validation) parsed(path string, severity protocol.Severity, r shape.Report) {
	for _, issue := range r.Issues {
		v.add(severity, below(path, issue.Path), issue.Code, issue.Message)
	}
	for _, issue := range r.Unknown {
		if len(issue.Path) > 0 && issue.Path[len(issue.Path)-1] == "renamedFrom" {
			continue // ours
		}
		v.add(protocol.SeverityWarning, below(path, issue.Path), issue.Code, issue.Message)
	}
}

func (v *validation) mapped(faults []schema.Fault) {
	for _, f := range faults {
		severity := protocol.SeverityError
		if f.Warning {
			severity = protocol.SeverityWarning
		}
		v.add(severity, "objects."+f.Object+"."+f.Path, f.Code, f.Message)
	}
}

// composed adds what only the bundle as a whole shows, such as two
// definitions of one name.
func (v *validation) composed(b protocol.DeployBundle) {
	if _, err := compile(b); err != nil {
		v.add(protocol.SeverityError, "manifest", "invalid_bundle", err.Error())
	}
}

// invalid returns the errors of a validation as one that matches
// bundle.ErrInvalid, or nil when there are none.
func invalid(r protocol.DeployValidationResult) error {
	if r.Valid {
		return nil
	}
	first := slices.IndexFunc(r.Issues, func(i protocol.DeployValidationIssue) bool { return i.Severity == protocol.SeverityError })
	issue := r.Issues[first]
	if r.ErrorCount == 1 {
		return fmt.Errorf("%w: %s: %s", bundle.ErrInvalid, issue.Path, issue.Message)
	}
	return fmt.Errorf("%w: %s: %s, and %d more errors", bundle.ErrInvalid, issue.Path, issue.Message, r.ErrorCount-1)
}

func pathOf(list string, index int, definition map[string]any) string {
	if name, _ := definition["name"].(string); name != "" {
		return list + "." + name
	}
	return fmt.Sprintf("%s.%d", list, index)
}

func below(path string, steps []any) string {
	parts := []string{path}
	for _, s := range steps {
		parts = append(parts, fmt.Sprint(s))
	}
	return strings.Join(parts, ".")
}

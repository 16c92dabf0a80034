package protocol_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// exceptions are the rules that JSON Schema cannot express, by the name that
// docs/protocol.md gives them. Each tells whether it explains an issue.
var exceptions = map[string]func(value any, issue shape.Issue) bool{
	"cross-field rules": func(_ any, issue shape.Issue) bool { return issue.Code == shape.Custom },
	"UTF-16 lengths": func(value any, issue shape.Issue) bool {
		bound := issue.Code == shape.TooSmall || issue.Code == shape.TooBig
		return bound && beyondBMP(at(value, issue.Path))
	},
}

// TestJSONSchema validates every case with an independent validator: it
// agrees with Parse but for the exceptions.
func TestJSONSchema(t *testing.T) {
	for _, cases := range vectors(t) {
		name := cases[0].Schema
		s, ok := protocol.ShapeOf(name)
		if !ok {
			t.Fatalf("there is no shape %s", name)
		}
		schema := compile(t, s)
		t.Run(name, func(t *testing.T) {
			for _, v := range cases {
				err := schema.Validate(v.Input)
				switch {
				case err == nil && !v.OK && !excepted(v):
					t.Errorf("%s: valid, but has the issues %v", v.Name, issueSet(v.Issues))
				case err != nil && v.OK && !beyondBMP(v.Input):
					t.Errorf("%s: %v", v.Name, err)
				}
			}
		})
	}
}

// TestJSONSchemaNeedsItsExceptions has a value for each exception that Parse
// rejects for it alone and the JSON Schema accepts.
func TestJSONSchemaNeedsItsExceptions(t *testing.T) {
	needed := map[string]bool{}
	for _, test := range []struct{ exception, shape, text string }{
		{
			"cross-field rules", "Object",
			`{"name":"a","fields":{},"partitioning":{"enabled":true,"strategy":"range","key":"a"}}`,
		},
		{
			"cross-field rules", "Field",
			`{"type":"file","fileAttachmentConfig":{"minSize":2,"maxSize":1}}`,
		},
		{
			"cross-field rules", "Field",
			`{"type":"file","fileAttachmentConfig":{"virusScanProvider":"clamav"}}`,
		},
		{
			"cross-field rules", "PermissionSet",
			`{"name":"ab","objects":{},"rowLevelSecurity":[{"name":"a","object":"a","operation":"all"}]}`,
		},
		{"UTF-16 lengths", "Object", `{"name":"a","fields":{},"keyPrefix":"😀😀😀"}`},
	} {
		s, _ := protocol.ShapeOf(test.shape)
		value := decode(t, test.text)
		report := s.Parse(value, shape.Strict)
		if len(report.Issues) != 1 || !exceptions[test.exception](value, report.Issues[0]) {
			t.Errorf("%s: got %v, want one issue that %s explain", test.text, report.Err(), test.exception)
		}
		if err := compile(t, s).Validate(value); err != nil {
			t.Errorf("%s is no exception: %v", test.text, err)
		}
		needed[test.exception] = true
	}
	for name := range exceptions {
		if !needed[name] {
			t.Errorf("nothing needs the exception %q", name)
		}
	}
}

// TestJSONSchemaCompiles compiles the schema of every type, those without
// cases too.
func TestJSONSchemaCompiles(t *testing.T) {
	for _, s := range protocol.Shapes() {
		compile(t, s)
	}
}

func compile(t *testing.T, s *shape.Shape) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("schema.json", plain(t, s.JSONSchema())); err != nil {
		t.Fatalf("%s: %v", s.Name(), err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", s.Name(), err)
	}
	return schema
}

// excepted reports whether exceptions explain all issues of a case.
func excepted(v vector) bool {
	for _, issue := range v.Issues {
		explained := false
		for _, explains := range exceptions {
			explained = explained || explains(v.Input, issue)
		}
		if !explained {
			return false
		}
	}
	return true
}

// at follows a path of JSON, whose indexes are float64.
func at(value any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := value.(map[string]any)
			value = m[step]
		case float64:
			value = value.([]any)[int(step)]
		}
	}
	return value
}

// beyondBMP reports whether a value has text whose length in UTF-16 code units
// is not its length in code points.
func beyondBMP(value any) bool {
	switch value := value.(type) {
	case string:
		return len(utf16.Encode([]rune(value))) != utf8.RuneCountInString(value)
	case []any:
		for _, v := range value {
			if beyondBMP(v) {
				return true
			}
		}
	case map[string]any:
		for _, v := range value {
			if beyondBMP(v) {
				return true
			}
		}
	}
	return false
}

// TestDocument holds docs/protocol.md to what there is: it names every shape,
// every service and exactly the exceptions of the JSON Schemas.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(data)
	for _, s := range protocol.Shapes() {
		if !strings.Contains(document, "`"+s.Name()+"`") {
			t.Errorf("%s is not in docs/protocol.md", s.Name())
		}
	}
	for _, name := range []string{
		"TenantRouter", "DeployPipelineService", "ProvisioningService", "AppLifecycleService", "SchemaDiffService", "TursoPlatformService",
	} {
		if !strings.Contains(document, "| `"+name+"` |") {
			t.Errorf("%s is not in docs/protocol.md", name)
		}
	}
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| \*\*(.+?)\*\* \|`).FindAllStringSubmatch(document, -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(exceptions)); !slices.Equal(listed, want) {
		t.Errorf("docs/protocol.md lists the exceptions %q, want %q", listed, want)
	}
}

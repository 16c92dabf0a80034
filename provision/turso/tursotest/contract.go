package tursotest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed platform.json
var document []byte

// operation is one that the platform's document has, and what it says of it.
type operation struct {
	Name, Method, Path string
	Query              map[string]json.RawMessage
	Body, Answer       json.RawMessage

	query        map[string]*jsonschema.Schema
	body, answer *jsonschema.Schema
}

// contract reads the operations.
func contract(t testing.TB) []operation {
	t.Helper()
	var read struct{ Operations []operation }
	if err := json.Unmarshal(document, &read); err != nil {
		t.Fatal(err)
	}
	for i := range read.Operations {
		o := &read.Operations[i]
		o.body, o.answer, o.query = compile(t, o.Body), compile(t, o.Answer), map[string]*jsonschema.Schema{}
		for name, schema := range o.Query {
			o.query[name] = compile(t, schema)
		}
	}
	return read.Operations
}

func compile(t testing.TB, text json.RawMessage) *jsonschema.Schema {
	t.Helper()
	if text == nil {
		return nil
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// match tells whether a path is one of the operation's, and what stands in its
// place of {db}.
func (o operation) match(method, path string) (database string, ok bool) {
	want, got := strings.Split(o.Path, "/"), strings.Split(path, "/")
	if o.Method != method || len(want) != len(got) {
		return "", false
	}
	for i := range want {
		switch {
		case want[i] == "{db}":
			database = got[i]
		case want[i] != got[i] && want[i] != "{org}":
			return "", false
		}
	}
	return database, true
}

// check holds a request against the document.
func (o operation) check(query url.Values, contentType string, body []byte) error {
	for name, values := range query {
		schema, known := o.query[name]
		if !known || len(values) != 1 {
			return fmt.Errorf("%s: the document has no parameter %s", o.Name, name)
		}
		if err := schema.Validate(values[0]); err != nil {
			return fmt.Errorf("%s: parameter %s: %w", o.Name, name, err)
		}
	}
	if o.body == nil {
		if len(body) > 0 {
			return fmt.Errorf("%s: the document has no body", o.Name)
		}
		return nil
	}
	if contentType != "application/json" {
		return fmt.Errorf("%s: content type %q", o.Name, contentType)
	}
	return valid(o.body, body)
}

func valid(schema *jsonschema.Schema, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

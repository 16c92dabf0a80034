package config_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/config"
)

// lines writes faults as line:column code.
func lines(faults []config.Fault) []string {
	list := []string{}
	for _, f := range faults {
		list = append(list, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Code))
	}
	return list
}

func TestDocuments(t *testing.T) {
	yaml := "# several\nname: a\nlist: [1, 2.0, \"3\"]\nshared: &x {deep: 10000000000000001}\n---\n---\ncopy: *y\n---\nname: b\n"
	documents, faults := config.Documents("a.yaml", []byte(yaml))
	if got, want := lines(faults), []string{"6:1 syntax"}; !slices.Equal(got, want) {
		t.Errorf("faults %v, want %v", faults, want)
	}
	var values []any
	for _, d := range documents {
		values = append(values, d.Value)
	}
	want := []any{
		map[string]any{
			"name": "a", "list": []any{json.Number("1"), json.Number("2"), "3"},
			"shared": map[string]any{"deep": json.Number("10000000000000001")},
		},
		map[string]any{"name": "b"},
	}
	if diff := cmp.Diff(values, want); diff != "" {
		t.Errorf("values (-got +want)\n%s", diff)
	}
}

// YAML and JSON of one meaning give one value.
func TestJSON(t *testing.T) {
	yaml, _ := config.Documents("a.yaml", []byte("a: {b: [true, null, 1.5, \"\\U0001F600\"]}\n"))
	text, faults := config.Documents("a.json", []byte("\ufeff{\"a\": {\"b\": [true, null, 1.5, \"\\ud83d\\ude00\"]}}\n"))
	if len(yaml) != 1 || len(text) != 1 || len(faults) > 0 {
		t.Fatalf("%v, %v, %v", yaml, text, faults)
	}
	if diff := cmp.Diff(text[0].Value, yaml[0].Value); diff != "" {
		t.Error(diff)
	}
}

func TestPlaces(t *testing.T) {
	const yaml = `
base: &base
  common: 1
object:
  <<: *base
  fields:
    - name: ä
      type: text
    - {name: b, type: {x: 1}}
`
	const text = `{"base": {"common": 1},
 "object": {"common": 1, "fields": [
   {"name": "ä", "type": "text"},
   {"name": "b", "type": {"x": 1}}]}}`
	for _, c := range []struct {
		path       []any
		yaml, json string
	}{
		{[]any{}, "2:1", "1:1"},
		{[]any{"object"}, "4:1", "2:2"},
		{[]any{"object", "fields", 0, "type"}, "8:13", "3:26"},
		{[]any{"object", "fields", 1}, "9:7", "4:4"},
		{[]any{"object", "fields", 1, "type"}, "9:17", "4:18"}, // a mapping is at its key
		{[]any{"object", "fields", 1, "gone"}, "9:7", "4:4"},   // what is missing at its holder
		{[]any{"object", "fields", 7, "gone"}, "6:3", "2:26"},
		{[]any{"object", "common"}, "3:11", "2:23"}, // merged in
	} {
		for file, want := range map[string]string{"a.yaml": c.yaml, "a.json": c.json} {
			content := yaml
			if file == "a.json" {
				content = text
			}
			documents, faults := config.Documents(file, []byte(content))
			if len(documents) != 1 {
				t.Fatalf("%s: %v", file, faults)
			}
			f := documents[0].Error(c.path, "x", "y", "z")
			if got := fmt.Sprintf("%d:%d", f.Line, f.Column); got != want {
				t.Errorf("%s: %s is at %s, want %s", file, config.Path(c.path), got, want)
			}
			if part := documents[0].At("object").Error(c.path[min(1, len(c.path)):], "x", "y", "z"); len(c.path) > 1 && part != f {
				t.Errorf("%s: in its part, %s is at %v", file, config.Path(c.path), part)
			}
			folded := documents[0].Folded([]byte(content))
			if again := folded.Error(c.path, "x", "y", "z"); folded.Value != nil || again != f {
				t.Errorf("%s: folded, with %v, %s is at %v", file, folded.Value, config.Path(c.path), again)
			}
		}
	}
}

func TestRefusedText(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"YAML 1.1 booleans":      {"a.yaml", "a: on\nb: [no, Yes]\ny: 1\n", []string{"1:4 quote", "2:5 quote", "2:9 quote", "3:1 quote"}},
		"leading zeros":          {"a.yaml", "a: 007\nb: -010\nc: \"007\"\nd: 0\ne: 0.5\n", []string{"1:4 quote", "2:4 quote"}},
		"numbers without JSON":   {"a.yaml", "a: .inf\nb: -.NaN\n", []string{"1:4 quote", "2:4 quote"}},
		"quoted is text":         {"a.yaml", "a: 'on'\n\"no\": |\n  yes\nb: !!str no\n", []string{}},
		"keys that are no text":  {"a.yaml", "1.5: a\n~: b\n7: c\n[d]: e\n", []string{"1:1 quote", "2:1 quote", "4:1 bad_key"}},
		"a key twice":            {"a.yaml", "a: 1\nb: {c: 1, c: 2}\na: 2\n", []string{"2:11 duplicate_key", "3:1 duplicate_key"}},
		"a key twice in JSON":    {"a.json", "{\"a\": 1, \"a\": 2}", []string{"1:10 duplicate_key"}},
		"tags":                   {"a.yaml", "a: !!binary aGk=\nb: !x {}\n", []string{"1:4 yaml_tag", "2:4 yaml_tag"}},
		"an anchor in itself":    {"a.yaml", "a: &a [*a]\n", []string{"1:8 yaml_aliases"}},
		"nested deep":            {"a.yaml", strings.Repeat("[", 66) + strings.Repeat("]", 66), []string{"1:66 too_deep"}},
		"nested deep in JSON":    {"a.json", strings.Repeat("[", 66) + strings.Repeat("]", 66), []string{"1:66 too_deep"}},
		"not UTF-8":              {"a.yaml", "a: \xff\n", []string{"1:1 syntax"}},
		"too large":              {"a.yaml", strings.Repeat("#", config.MaxFileSize+1), []string{"1:1 too_large"}},
		"JSON that ends":         {"a.json", "{\"a\": [1,\n2", []string{"2:2 syntax"}},
		"JSON after JSON":        {"a.json", "{}\n{}", []string{}},
		"text after a document":  {"a.yaml", "a: 1\n...\nb: 2\n", []string{"2:1 syntax"}},
		"a syntax error further": {"a.yaml", "a: 1\n---\nb: [\n", []string{"3:1 syntax"}},
		"nothing":                {"a.yaml", "# nothing\n---\n", []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := config.Documents(c.file, []byte(c.text))
			if got := lines(faults); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q: %v", got, c.want, faults)
			}
		})
	}
}

func TestWritten(t *testing.T) {
	documents, _ := config.Documents("a.yaml", []byte("a: 1.10\nb: 1.1\nc: \"1.10\"\nd: 1e3\ne: 12\n"))
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "e": false, "gone": false} {
		if text, changed := documents[0].Written(key); changed != want {
			t.Errorf("%s: got %q, %v", key, text, changed)
		}
	}
}

// Whatever the text, reading it ends, and each fault says where it is.
func FuzzDocuments(f *testing.F) {
	f.Add("a.yaml", []byte("a: &a {b: [1, *a]}\n<<: *a\n--- |\n text\n"))
	f.Add("a.yaml", []byte("? [a]\n: b\n...\n%YAML 1.1\n---\n\"a\\u0000\": !!str 1\n"))
	f.Add("a.json", []byte("{\"a\": [1e999, \"\\ud800\"], \"a\": {}} []"))
	f.Fuzz(func(t *testing.T, file string, data []byte) {
		documents, faults := config.Documents(file, data)
		for _, f := range faults {
			if f.Line < 1 || f.Column < 1 || f.Code == "" || f.Message == "" || f.Next == "" {
				t.Errorf("the fault is incomplete: %+v", f)
			}
		}
		for _, d := range documents {
			if _, err := json.Marshal(d.Value); err != nil {
				t.Errorf("%#v is no JSON value: %v", d.Value, err)
			}
			if f := d.Error([]any{"a", 0}, "x", "y", "z"); f.Line < 1 || f.Column < 1 {
				t.Errorf("no place: %+v", f)
			}
		}
	})
}

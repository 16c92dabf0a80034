package protocol_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// FuzzParse parses any JSON as any type: it never panics, all ways to treat
// unknown keys agree on the rest, and what is accepted can be written and
// parsed again to the same value.
func FuzzParse(f *testing.F) {
	for _, s := range protocol.Shapes() {
		f.Add(s.Name(), `{}`)
		f.Add(s.Name(), `[null]`)
	}
	for name, text := range seeds(f) {
		f.Add(name, text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		s, ok := protocol.ShapeOf(name)
		if !ok {
			t.Skip("no such type")
		}
		typed, report := s.MakeJSON([]byte(text), shape.Strip)
		_, kept := s.MakeJSON([]byte(text), shape.Keep)
		_, strict := s.MakeJSON([]byte(text), shape.Strict)
		if !reflect.DeepEqual(report.Issues, kept.Issues) || len(strict.Issues) != len(kept.Issues)+len(kept.Unknown) {
			t.Fatalf("strip: %v\nkeep: %v and %v\nstrict: %v", report.Issues, kept.Issues, kept.Unknown, strict.Issues)
		}
		if report.Err() != nil {
			return
		}
		if _, err := json.Marshal(kept.Value); err != nil {
			t.Fatalf("write the value: %v", err)
		}
		if value := s.Parse(decode(t, text), shape.Strip).Value; !reflect.DeepEqual(report.Value, value) {
			t.Fatalf("text gives %v, its value %v", report.Value, value)
		}
		written, err := json.Marshal(typed)
		if err != nil {
			t.Fatalf("write the typed value: %v", err)
		}
		again, report := s.MakeJSON(written, shape.Strict)
		if report.Err() != nil || !reflect.DeepEqual(typed, again) {
			t.Fatalf("%s is parsed again to\n%+v with %v, from\n%+v", written, again, report.Err(), typed)
		}
	})
}

// decode reads JSON as MakeJSON does.
func decode(t testing.TB, text string) (value any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return value
}

// seeds are the examples of testdata, each in a file named like its type.
func seeds(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/seeds/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no seeds: %v", err)
	}
	texts := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(filepath.Base(file), ".json")] = string(data)
	}
	return texts
}

// TestSeeds holds the seeds to what they are for: each is valid, also for the
// JSON Schema of its type.
func TestSeeds(t *testing.T) {
	for name, text := range seeds(t) {
		s, ok := protocol.ShapeOf(name)
		if !ok {
			t.Fatalf("there is no shape %s", name)
		}
		value := decode(t, text)
		if report := s.Parse(value, shape.Strict); report.Err() != nil {
			t.Errorf("%s: %v", name, report.Err())
		}
		if err := compile(t, s).Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package protocol_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// application is a file of the corpus: a whole application, its definitions
// declared, so that one parse checks all of it.
type application struct {
	Name        string                   `json:"name"`
	Objects     []protocol.Object        `json:"objects,omitzero" default:"[]"`
	Views       []protocol.View          `json:"views,omitzero" default:"[]"`
	Flows       []protocol.Flow          `json:"flows,omitzero" default:"[]"`
	Permissions []protocol.PermissionSet `json:"permissions,omitzero" default:"[]"`
	SeedData    []protocol.Dataset       `json:"seedData,omitzero" default:"[]"`
}

// corpus lists the applications.
func corpus(t testing.TB) []string {
	t.Helper()
	dir := shared(t, "RECONCILER_CORPUS", "../shared/corpus")
	var files []string
	for _, pattern := range []string{"*.json", "*/*.json"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("no application in %s", dir)
	}
	return files
}

// TestCorpus parses real applications. What the protocol names survives in
// the typed value, and with Keep everything survives.
func TestCorpus(t *testing.T) {
	for _, file := range corpus(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			typed, report := shape.ParseJSON[application](data, shape.Strip)
			if report.Err() != nil {
				t.Fatal(report.Err())
			}
			if lost := missingFrom(plain(t, report.Value), plain(t, typed), ""); lost != "" {
				t.Errorf("the typed value lost %s", lost)
			}
			again, report := shape.Parse[application](plain(t, typed), shape.Strict)
			if report.Err() != nil {
				t.Fatal(report.Err())
			}
			if diff := cmp.Diff(plain(t, typed), plain(t, again)); diff != "" {
				t.Errorf("parsed again (-first +second)\n%s", diff)
			}
			_, kept := shape.ParseJSON[application](data, shape.Keep)
			if lost := missingFrom(readJSON[any](t, file), plain(t, kept.Value), ""); lost != "" {
				t.Errorf("keeping lost %s", lost)
			}
		})
	}
}

// missingFrom names the first part of want that got has not. Empty text and
// null may be absent.
func missingFrom(want, got any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		has, _ := got.(map[string]any)
		for key, value := range want {
			if value == "" || value == nil {
				continue
			}
			if lost := missingFrom(value, has[key], path+"."+key); lost != "" {
				return lost
			}
		}
		return ""
	case []any:
		has, _ := got.([]any)
		for i, value := range want {
			if i >= len(has) {
				return fmt.Sprintf("%s[%d]", path, i)
			}
			if lost := missingFrom(value, has[i], fmt.Sprintf("%s[%d]", path, i)); lost != "" {
				return lost
			}
		}
		return ""
	}
	if !cmp.Equal(want, got) {
		return fmt.Sprintf("%s: %v became %v", path, want, got)
	}
	return ""
}

// BenchmarkParse compares parsing an application of 65 objects and 1643
// fields with what encoding/json takes to decode the same bytes. The metric
// x-json is how many times as long the parse takes, and should stay under 4.
// The two take turns, so that whatever else the machine does slows both.
func BenchmarkParse(b *testing.B) {
	dir := shared(b, "RECONCILER_CORPUS", "../shared/corpus")
	data, err := os.ReadFile(filepath.Join(dir, "hotcrm", "06-e1f3735c.json"))
	if err != nil {
		b.Fatal(err)
	}
	shape.Of[application]() // a declaration is read once
	var decoding time.Duration
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		b.StopTimer()
		start := time.Now()
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			b.Fatal(err)
		}
		decoding += time.Since(start)
		b.StartTimer()
		if _, report := shape.ParseJSON[application](data, shape.Strip); report.Err() != nil {
			b.Fatal(report.Err())
		}
	}
	b.ReportMetric(float64(decoding.Nanoseconds())/float64(b.N), "json-ns/op")
	b.ReportMetric(float64(b.Elapsed())/float64(decoding), "x-json")
}

package protocol_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// vector is one case, made by running the published schemas.
type vector struct {
	Schema string
	Name   string
	Input  any
	OK     bool
	Output any
	Issues []shape.Issue
}

// vectors reads the cases of every type.
func vectors(t testing.TB) [][]vector {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared(t, "PROTOCOL_VECTORS", "../shared/vectors"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := make([][]vector, len(files))
	for i, file := range files {
		all[i] = readJSON[[]vector](t, file)
	}
	return all
}

// TestVectors parses every case: outcome, value and the set of issues are
// those of the published schemas, and a parsed value survives being written.
func TestVectors(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "type\tcases\tvalid\tpassed")
	for _, cases := range vectors(t) {
		name := cases[0].Schema
		s, ok := protocol.ShapeOf(name)
		if !ok {
			t.Errorf("there is no shape %s", name)
			continue
		}
		var valid, passed int
		t.Run(name, func(t *testing.T) {
			for _, v := range cases {
				if v.OK {
					valid++
				}
				if err := check(t, s, v); err != "" {
					t.Errorf("%s: %s", v.Name, err)
					continue
				}
				passed++
			}
		})
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", name, len(cases), valid, passed)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
}

// TestPublished parses cases that come with the project, one a line. They were
// generated at random and run through the published schemas: version 4.0.1,
// without the keys that it adds to 3.0.9, under zod 4.3.6.
func TestPublished(t *testing.T) {
	data, err := os.ReadFile("testdata/published.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		s, ok := protocol.ShapeOf(v.Schema)
		if !ok {
			t.Fatalf("line %d: there is no shape %s", n+1, v.Schema)
		}
		if err := check(t, s, v); err != "" {
			t.Errorf("line %d, %s: %s", n+1, v.Schema, err)
		}
	}
}

// check runs one case and says what differs.
func check(t *testing.T, s *shape.Shape, v vector) string {
	t.Helper()
	typed, report := s.Make(v.Input, shape.Strip)
	if diff := cmp.Diff(issueSet(report.Issues), issueSet(v.Issues)); diff != "" {
		return "issues (-got +want)\n" + diff
	}
	if !v.OK {
		return ""
	}
	if diff := cmp.Diff(plain(t, report.Value), v.Output); diff != "" {
		return "value (-got +want)\n" + diff
	}
	again, report := s.Make(plain(t, typed), shape.Strict)
	if report.Err() != nil {
		return "cannot be parsed again: " + report.Err().Error()
	}
	return cmp.Diff(plain(t, typed), plain(t, again))
}

// issueSet is the path and code of every issue, each once.
func issueSet(issues []shape.Issue) []string {
	set := make([]string, len(issues))
	for i, issue := range issues {
		path, _ := json.Marshal(append([]any{}, issue.Path...))
		set[i] = string(path) + " " + issue.Code
	}
	slices.Sort(set)
	return slices.Compact(set)
}

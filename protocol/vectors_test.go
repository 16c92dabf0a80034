package protocol_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// vector is one case made by running the published schemas.
type vector struct {
	Schema string
	Name   string
	Input  any
	OK     bool
	Output any
	Issues []struct {
		Path []any
		Code string
	}
}

func TestVectors(t *testing.T) {
	files, _ := filepath.Glob("../../shared/vectors/*.json")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		var vs []vector
		if err := json.Unmarshal(data, &vs); err != nil {
			t.Fatal(err)
		}
		s, ok := protocol.ShapeOf(vs[0].Schema)
		if !ok {
			t.Errorf("no shape %s", vs[0].Schema)
			continue
		}
		for _, v := range vs {
			r := s.Parse(v.Input, shape.Strip)
			var got, want []string
			for _, i := range r.Issues {
				b, _ := json.Marshal(i.Path)
				got = append(got, fmt.Sprint(string(b), i.Code))
			}
			for _, i := range v.Issues {
				b, _ := json.Marshal(i.Path)
				want = append(want, fmt.Sprint(string(b), i.Code))
			}
			slices.Sort(got)
			slices.Sort(want)
			got, want = slices.Compact(got), slices.Compact(want)
			if d := cmp.Diff(got, want); d != "" {
				t.Errorf("%s %s: %s", v.Schema, v.Name, d)
			} else if v.OK {
				a, _ := json.Marshal(r.Value)
				b, _ := json.Marshal(v.Output)
				if string(a) != string(b) {
					t.Errorf("%s %s:\n%s\n%s", v.Schema, v.Name, a, b)
				}
			}
		}
	}
}

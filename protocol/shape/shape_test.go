package shape_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/protocol/shape"
)

// order declares one property of each kind.
type order struct {
	ID       string            `json:"id" shape:"format=uuid"`
	Code     string            `json:"code,omitempty" shape:"minlen=2,maxlen=4,format=snake"`
	State    state             `json:"state" default:"open"`
	Count    int               `json:"count,omitempty" shape:"min=1,max=9"`
	Share    *float64          `json:"share,omitempty" shape:"above=0"`
	Tags     []string          `json:"tags,omitzero" default:"[]" shape:"minlen=1"`
	Limits   map[string]int    `json:"limits,omitzero" shape:"key=identifier,min=0"`
	Notes    map[string]any    `json:"notes,omitzero"`
	Extra    any               `json:"extra,omitempty"`
	Shipping *shipping         `json:"shipping,omitempty"`
	Target   *target           `json:"target,omitempty"`
	Source   *source           `json:"source,omitempty"`
	Exact    string            `json:"exact,omitempty" shape:"len=3"`
	Size     size              `json:"size" default:"1"`
	Lines    []line            `json:"lines,omitzero" shape:"items=1"`
	Names    map[string]string `json:"names,omitzero"`
}

type state string

func (state) Values() []string { return []string{"open", "closed"} }

type shipping struct {
	Express bool   `json:"express" default:"false"`
	From    string `json:"from" default:"here"`
	Box     *box   `json:"box,omitempty"`
}

type box struct {
	Weight float64 `json:"weight" default:"1.5"`
}

type line struct {
	Low   float64 `json:"low" shape:"min=0"`
	High  float64 `json:"high"`
	Lines []line  `json:"lines,omitzero"`
}

func (l line) Refine(report shape.Reporter) {
	if l.Low > l.High {
		report("low must not be above high")
	}
}

// target is a name, or a list of lines.
type target struct{ shape.Union }

func (target) Alternatives() []any { return []any{"", []line(nil)} }

// source is told apart by kind.
type source struct{ shape.Union }

func (source) Tag() string         { return "kind" }
func (source) Alternatives() []any { return []any{file{}, service{}} }

type file struct {
	Kind string `json:"kind" shape:"one=file"`
	Path string `json:"path"`
}

type service struct {
	Kind string `json:"kind" shape:"one=http|grpc"`
	Port int    `json:"port" default:"80"`
}

type size string

func (size) Values() []string        { return []string{"1", "2"} }
func (size) Transform(value any) any { return float64(value.(string)[0] - '0') }

const id = `"id":"00000000-0000-0000-0000-000000000000"`

// parse parses an order with the given properties beside a good id.
func parse(t *testing.T, properties string, unknown shape.Unknown) (order, shape.Report) {
	t.Helper()
	text := "{" + id + "}"
	if properties != "" {
		text = "{" + id + "," + properties + "}"
	}
	return shape.ParseJSON[order]([]byte(text), unknown)
}

func TestParseReportsIssues(t *testing.T) {
	for _, test := range []struct{ name, properties, want string }{
		{"nothing wrong", ``, ``},
		{"a property may not be null", `"code":null`, `code invalid_type`},
		{"a text is not coerced", `"code":12`, `code invalid_type`},
		{"both bounds and format are reported", `"code":"É"`, `code too_small; code invalid_format`},
		{"length counts UTF-16 code units", `"tags":["😀"],"code":"😀😀a"`, `code too_big; code invalid_format`},
		{"a list has a length too", `"code":[]`, `code invalid_type; code too_small`},
		{"a length may be a fraction", `"code":{"length":4.5}`, `code invalid_type; code too_big`},
		{"a length that is null counts as 0", `"code":{"length":null}`, `code invalid_type; code too_small`},
		{"a length that is no number is within no bound", `"code":{"length":"x"}`, `code invalid_type; code too_small; code too_big`},
		{"a length may be text", `"code":{"length":" 3 "}`, `code invalid_type`},
		{"a length may be true", `"code":{"length":true}`, `code invalid_type; code too_small`},
		{"a length may be a list of one", `"code":{"length":[["0x9"]]}`, `code invalid_type; code too_big`},
		{"a length may be infinite", `"code":{"length":"Infinity"}`, `code invalid_type; code too_big`},
		{"an exact length is one", `"exact":{"length":3.0}`, `exact invalid_type`},
		{"an exact length is no text", `"exact":{"length":"3"}`, `exact invalid_type; exact too_small`},
		{"an exact length is not missed twice", `"exact":{"length":{}}`, `exact invalid_type; exact too_small`},
		{"an exact length may be passed", `"exact":"😀😀"`, `exact too_big`},
		{"an object with a length has one", `"code":{"length":9}`, `code invalid_type; code too_big`},
		{"a trailing newline is no identifier", `"code":"ab\n"`, `code invalid_format`},
		{"an enum of the wrong type is a wrong value", `"state":1`, `state invalid_value`},
		{"an enum that is null is a wrong value", `"state":null`, `state invalid_value`},
		{"a fraction is no integer", `"count":1.5`, `count invalid_type`},
		{"a whole double is an integer", `"count":2.0`, ``},
		{"bounds of an integer", `"count":0`, `count too_small`},
		{"an unsafe integer breaks both bounds", `"count":-9007199254740992`, `count too_small; count too_small`},
		{"an unsafe integer above", `"count":9007199254740992`, `count too_big; count too_big`},
		{"a bound that is excluded", `"share":0`, `share too_small`},
		{"a number beyond doubles", `"share":1e400`, `share invalid_type`},
		{"rules of elements", `"tags":["a",""]`, `tags[1] too_small`},
		{"keys of a map", `"limits":{"Bad":-1,"good":-1}`, `limits.Bad invalid_key; limits.good too_small`},
		{"a free value may be null", `"extra":null`, ``},
		{"a free map may hold null", `"notes":{"a":null}`, ``},
		{"a free map is no list", `"notes":[]`, `notes invalid_type`},
		{"an optional block may not be null", `"shipping":null`, `shipping invalid_type`},
		{"least elements", `"lines":[]`, `lines too_small`},
		{"a refinement", `"lines":[{"low":2,"high":1}]`, `lines[0] custom`},
		{"a refinement beside a broken bound", `"lines":[{"low":-1,"high":-2}]`, `lines[0].low too_small; lines[0] custom`},
		{"no refinement beside a wrong type", `"lines":[{"low":2}]`, `lines[0].high invalid_type`},
		{"no alternative fits", `"target":[1]`, `target invalid_union`},
		{"one alternative fits but for a bound", `"target":[{"low":-1,"high":1}]`, `target[0].low too_small`},
		{"no tag", `"source":{}`, `source.kind invalid_union`},
		{"an unknown tag", `"source":{"kind":"x"}`, `source.kind invalid_union`},
		{"a tag of the wrong type", `"source":{"kind":1}`, `source.kind invalid_union`},
		{"not even an object", `"source":"file"`, `source invalid_type`},
		{"the tagged struct", `"source":{"kind":"file"}`, `source.path invalid_type`},
		{"unknown keys are left out", `"cdoe":"ab"`, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, report := parse(t, test.properties, shape.Strip)
			if got := codes(report.Issues); got != test.want {
				t.Errorf("got  %s\nwant %s\n%v", got, test.want, report.Err())
			}
		})
	}
}

// codes writes issues as paths and codes.
func codes(issues shape.Issues) string {
	lines := make([]string, len(issues))
	for i, issue := range issues {
		path := shape.Issue{Path: issue.Path}.String()
		lines[i] = strings.TrimSuffix(path, ": ") + " " + issue.Code
	}
	return strings.Join(lines, "; ")
}

func TestParseAppliesDefaults(t *testing.T) {
	for _, test := range []struct{ name, properties, want string }{
		{"where nothing is given", ``, `{` + id + `,"size":1,"state":"open","tags":[]}`},
		{
			"in a block that is there", `"shipping":{}`,
			`{` + id + `,"shipping":{"express":false,"from":"here"},"size":1,"state":"open","tags":[]}`,
		},
		{
			"in a block of a block", `"shipping":{"box":{}}`,
			`{` + id + `,"shipping":{"box":{"weight":1.5},"express":false,"from":"here"},"size":1,"state":"open","tags":[]}`,
		},
		{
			"in a tagged union", `"source":{"kind":"grpc"}`,
			`{` + id + `,"size":1,"source":{"kind":"grpc","port":80},"state":"open","tags":[]}`,
		},
		{"and transforms what is given", `"size":"2"`, `{` + id + `,"size":2,"state":"open","tags":[]}`},
		{
			"and drops prototypes", `"limits":{"__proto__":"x","a":1},"notes":{"__proto__":1}`,
			`{` + id + `,"limits":{"a":1},"notes":{},"size":1,"state":"open","tags":[]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			typed, report := parse(t, test.properties, shape.Strip)
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			if got := marshal(t, report.Value); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			again, report := shape.ParseJSON[order]([]byte(marshal(t, typed)), shape.Strip)
			if diff := cmp.Diff(typed, again); report.Err() != nil || diff != "" {
				t.Errorf("parsed again: %v\n%s", report.Err(), diff)
			}
		})
	}
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDefaultsAreNotShared(t *testing.T) {
	type settings struct {
		Values map[string]any `json:"values" default:"{}"`
	}
	first, _ := shape.ParseJSON[settings]([]byte("{}"), shape.Strip)
	first.Values["a"] = 1
	second, _ := shape.ParseJSON[settings]([]byte("{}"), shape.Strip)
	if len(second.Values) > 0 {
		t.Errorf("the default is %v after a change of an earlier one", second.Values)
	}
}

func TestUnknownKeys(t *testing.T) {
	const text = `"cdoe":"ab","shipping":{"expres":true},"target":[{"low":1,"high":2,"x":null}]`

	_, report := parse(t, text, shape.Keep)
	if report.Err() != nil {
		t.Fatal(report.Err())
	}
	want := `cdoe unrecognized_keys; shipping.expres unrecognized_keys; target[0].x unrecognized_keys`
	if got := codes(report.Unknown); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	kept := marshal(t, report.Value)
	for _, part := range []string{`"cdoe":"ab"`, `"expres":true`, `"x":null`} {
		if !strings.Contains(kept, part) {
			t.Errorf("%s is not kept in %s", part, kept)
		}
	}

	_, report = parse(t, text, shape.Strict)
	if got := codes(report.Issues); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, near := range []string{`"cdoe", did you mean "code"?`, `"expres", did you mean "express"?`} {
		if !strings.Contains(report.Err().Error(), near) {
			t.Errorf("no %s in %v", near, report.Err())
		}
	}
}

func TestInvalidJSON(t *testing.T) {
	for _, text := range []string{"", "{", `{"a":1} x`, "nul", "{} {}"} {
		_, report := shape.ParseJSON[order]([]byte(text), shape.Strip)
		if len(report.Issues) != 1 || report.Issues[0].Code != shape.InvalidJSON || len(report.Issues[0].Path) > 0 {
			t.Errorf("%q: got %v", text, report.Issues)
		}
	}
}

func TestDeepValuesAreRejected(t *testing.T) {
	depth := 5000
	text := strings.Repeat(`{"low":0,"high":1,"lines":[`, depth) + strings.Repeat(`]}`, depth)
	_, report := shape.ParseJSON[line]([]byte(text), shape.Strip)
	if len(report.Issues) != 1 || report.Issues[0].Code != shape.TooBig {
		t.Errorf("got %d issues, want one of nesting", len(report.Issues))
	}
}

func TestNumbersOfGo(t *testing.T) {
	for _, number := range []any{2, int64(2), uint8(2), 2.0, json.Number("2")} {
		value := map[string]any{"low": number, "high": number}
		if got, report := shape.Parse[line](value, shape.Strict); report.Err() != nil || got.Low != 2 {
			t.Errorf("%T: got %v, %v", number, got.Low, report.Err())
		}
		_, report := shape.Parse[line](map[string]any{"low": 1, "high": 1, "lines": number}, shape.Strict)
		if got, want := report.Err().Error(), "lines: must be a list, not a number"; got != want {
			t.Errorf("%T: got %q, want %q", number, got, want)
		}
	}
}

func TestIssueNamesTheProblem(t *testing.T) {
	_, report := shape.ParseJSON[order]([]byte(`{"count":"3","lines":[{"low":0}]}`), shape.Strip)
	want := "id: is required (a string); count: must be a number, not a string; " +
		"lines[0].high: is required (a number)"
	if got := fmt.Sprint(report.Err()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBadDeclarationsPanic(t *testing.T) {
	for name, of := range map[string]func(){
		"an unknown rule": func() {
			shape.Of[struct {
				A string `json:"a" shape:"longer=1"`
			}]()
		},
		"an unknown format": func() {
			shape.Of[struct {
				A string `json:"a" shape:"format=x"`
			}]()
		},
		"a bad bound": func() {
			shape.Of[struct {
				A int `json:"a" shape:"min=x"`
			}]()
		},
		"a bad default": func() {
			shape.Of[struct {
				A int `json:"a" default:"x"`
			}]()
		},
		"no name": func() { shape.Of[struct{ A int }]() },
		"a channel": func() {
			shape.Of[struct {
				A chan int `json:"a"`
			}]()
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			of()
		})
	}
}

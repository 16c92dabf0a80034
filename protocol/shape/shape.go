// Package shape turns the declaration of a Go type into a parser, its defaults
// and its JSON Schema. A type is declared once, in its struct tags:
//
//	type TenantQuota struct {
//		MaxUsers *int64 `json:"maxUsers,omitempty" shape:"above=0" doc:"Users."`
//	}
//
//	quota, report := shape.ParseJSON[TenantQuota](data, shape.Strip)
//
// The json tag names the property. A property is optional when it has
// omitempty or omitzero, and takes the text of the default tag, if there is
// one, when it is absent. The shape tag bounds it (see rules), and the doc tag
// describes it. What tags cannot say, a method of the type does: Enum,
// Alternatives, Tagged, Refiner and Transformer.
//
// The rules are those of the ObjectStack protocol, which are those of zod
// 4.3.6: nothing is coerced, null is not absent, lengths count UTF-16 code
// units, and all issues are reported, each with its path and code.
package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"
)

// Unknown says what becomes of a key that no declaration names.
type Unknown int

// What becomes of unknown keys.
const (
	Strip  Unknown = iota // they are left out, as the protocol says
	Keep                  // they stay in Report.Value and are listed in Report.Unknown
	Strict                // each is an issue that names the nearest known key
)

// Report is what a parse found.
type Report struct {
	// Value is the JSON value with defaults applied. It may share memory with
	// what was parsed. It means nothing when there are issues.
	Value any
	// Issues are what is wrong, in the order of the declaration; keys of maps
	// come in byte order. Unknown keys of Strict come last.
	Issues Issues
	// Unknown are the keys that Keep kept.
	Unknown Issues
}

// Err is nil when there are no issues, and else the Issues.
func (r Report) Err() error {
	if len(r.Issues) == 0 {
		return nil
	}
	return r.Issues
}

// Parse checks a decoded JSON value and makes a T of it. Numbers may be
// json.Number, float64 or any integer. The T means nothing when the report has
// issues. It never panics on a value made of JSON's types, and does not change
// it.
func Parse[T any](value any, unknown Unknown) (T, Report) {
	var out T
	report := Of[T]().parse(unknown, value, reflect.ValueOf(&out).Elem())
	return out, report
}

// ParseJSON is Parse of JSON text. Text that is not one JSON value is one
// issue of code invalid_json without a path. Numbers of free values keep their
// text as json.Number.
func ParseJSON[T any](data []byte, unknown Unknown) (T, Report) {
	var out T
	report := Of[T]().parseJSON(data, unknown, reflect.ValueOf(&out).Elem())
	return out, report
}

func decode(data []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the value, at byte %d", decoder.InputOffset())
	}
	return value, nil
}

// Shape is the declaration of one type, read.
type Shape struct {
	typ  reflect.Type
	root node
}

var (
	shapes   sync.Map   // reflect.Type to *Shape
	building sync.Mutex // guards nodes
	nodes    = builder{}
)

// Of reads the declaration of T, once. It panics where tags contradict the
// type, which a test of the type finds.
func Of[T any]() *Shape {
	typ := reflect.TypeFor[T]()
	if s, ok := shapes.Load(typ); ok {
		return s.(*Shape)
	}
	building.Lock()
	defer building.Unlock()
	s, _ := shapes.LoadOrStore(typ, &Shape{typ: typ, root: nodes.build(typ, rules{})})
	return s.(*Shape)
}

// Name is the name of the type.
func (s *Shape) Name() string { return s.typ.Name() }

// Parse is the function Parse without the typed value.
func (s *Shape) Parse(value any, unknown Unknown) Report {
	_, report := s.Make(value, unknown)
	return report
}

// Make is the function Parse for a type that is known by its shape only.
func (s *Shape) Make(value any, unknown Unknown) (any, Report) {
	out := reflect.New(s.typ).Elem()
	report := s.parse(unknown, value, out)
	return out.Interface(), report
}

// MakeJSON is the function ParseJSON for a type that is known by its shape
// only.
func (s *Shape) MakeJSON(data []byte, unknown Unknown) (any, Report) {
	out := reflect.New(s.typ).Elem()
	report := s.parseJSON(data, unknown, out)
	return out.Interface(), report
}

func (s *Shape) parseJSON(data []byte, unknown Unknown, out reflect.Value) Report {
	value, err := decode(data)
	if err != nil {
		return Report{Issues: Issues{{Path: []any{}, Code: InvalidJSON, Message: err.Error()}}}
	}
	return s.parse(unknown, value, out)
}

func (s *Shape) parse(unknown Unknown, value any, out reflect.Value) Report {
	r := run{unknown: unknown}
	report := Report{Value: s.root.parse(&r, value, out)}
	for _, f := range r.found {
		report.Issues = append(report.Issues, f.Issue)
	}
	if unknown == Strict {
		report.Issues = append(report.Issues, r.strangers...)
	} else {
		report.Unknown = r.strangers
	}
	return report
}

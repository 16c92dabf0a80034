package shape

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// node is one place of a declaration.
type node interface {
	// parse checks in, stores it in out and returns it with defaults applied.
	// Out is meant for in only when no issue is found.
	parse(r *run, in any, out reflect.Value) any
	// schema describes the node in JSON Schema.
	schema(d definitions) map[string]any
}

// missing stands for the value of a key that is not there. It is of no JSON
// type, so that each node gives the code that it gives for a wrong type.
type missing struct{}

// maxDepth bounds the nesting of declared values; only rules and states, which
// hold their own kind, can come near it.
const maxDepth = 500

// run is one parse.
type run struct {
	unknown   Unknown
	path      []step
	found     []finding
	strangers Issues // unknown keys
	slots     []slot // of the objects being parsed
}

type step struct {
	key   string
	index int // -1 for a key
}

// finding is an issue, and whether it is final: after a wrong type nothing
// more can be said about a value, after a broken bound it can (zod's aborted).
type finding struct {
	Issue
	final bool
}

func (r *run) enterKey(key string)  { r.path = append(r.path, step{key, -1}) }
func (r *run) enterIndex(index int) { r.path = append(r.path, step{index: index}) }
func (r *run) leave()               { r.path = r.path[:len(r.path)-1] }

// where copies the path, with one more key where there is one.
func (r *run) where(key ...string) []any {
	path := make([]any, 0, len(r.path)+len(key))
	for _, s := range r.path {
		if s.index < 0 {
			path = append(path, s.key)
		} else {
			path = append(path, s.index)
		}
	}
	for _, k := range key {
		path = append(path, k)
	}
	return path
}

// reject reports a final issue; exceed one of a bound.
func (r *run) reject(code, message string, args ...any) { r.report(true, code, message, args) }
func (r *run) exceed(code, message string, args ...any) { r.report(false, code, message, args) }

func (r *run) report(final bool, code, message string, args []any) {
	r.found = append(r.found, finding{
		Issue: Issue{Path: r.where(), Code: code, Message: fmt.Sprintf(message, args...)},
		final: final,
	})
}

// wrongType reports that in is not what is wanted.
func (r *run) wrongType(in any, want string) {
	if _, ok := in.(missing); ok {
		r.reject(InvalidType, "is required (%s)", want)
		return
	}
	r.reject(InvalidType, "must be %s, not %s", want, kindOf(in))
}

// tooDeep reports, and rejects, a value nested beyond maxDepth.
func (r *run) tooDeep() bool {
	if len(r.path) <= maxDepth {
		return false
	}
	r.reject(TooBig, "is nested deeper than %d levels", maxDepth)
	return true
}

// final reports whether a final issue was found since mark.
func (r *run) final(mark int) bool {
	for _, f := range r.found[mark:] {
		if f.final {
			return true
		}
	}
	return false
}

// stranger notes an unknown key of the value at the path.
func (r *run) stranger(key string, known []property) {
	message := fmt.Sprintf("unknown key %q", key)
	if near := nearest(key, known); near != "" {
		message += fmt.Sprintf(", did you mean %q?", near)
	}
	r.strangers = append(r.strangers, Issue{Path: r.where(key), Code: UnrecognizedKeys, Message: message})
}

// kindOf names the JSON type of a value for people.
func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case float64, json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	if v := reflect.ValueOf(value); v.CanInt() || v.CanUint() {
		return "a number"
	}
	return fmt.Sprintf("a %T", value)
}

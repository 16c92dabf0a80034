package shape

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// free is any value, null too.
type free struct{}

func (free) parse(_ *run, in any, out reflect.Value) any {
	if in != nil {
		out.Set(reflect.ValueOf(in))
	}
	return in
}

type boolean struct{}

func (boolean) parse(r *run, in any, out reflect.Value) any {
	b, ok := in.(bool)
	if !ok {
		r.wrongType(in, "a boolean")
		return in
	}
	out.SetBool(b)
	return in
}

// choice is one of some texts.
type choice struct {
	values []string
	typ    reflect.Type // of an Enum
}

func (c *choice) parse(r *run, in any, out reflect.Value) any {
	s, ok := in.(string)
	if !ok || !slices.Contains(c.values, s) {
		r.reject(InvalidValue, "must be one of %s", strings.Join(c.values, ", "))
		return in
	}
	out.SetString(s)
	return in
}

// textual is any other text.
type textual struct {
	length bounds
	format *format
}

func (t *textual) parse(r *run, in any, out reflect.Value) any {
	s, ok := in.(string)
	if !ok {
		r.wrongType(in, "a string")
	}
	t.length.check(r, in)
	if !ok {
		return in
	}
	if t.format != nil && !t.format.pattern.MatchString(s) {
		r.exceed(InvalidFormat, "is not of format %s", t.format.name)
	}
	out.SetString(s)
	return in
}

// maxSafe is the greatest integer that JavaScript holds exactly, with all
// below it.
const maxSafe = 1<<53 - 1

// numeric is a number. A whole one such as 2.0 is an integer.
type numeric struct {
	rules
	integer bool
}

func (n *numeric) parse(r *run, in any, out reflect.Value) any {
	f, ok := toFloat(in)
	switch {
	case !ok && kindOf(in) == "a number":
		r.reject(InvalidType, "must be within the range of a double")
		return in
	case !ok:
		r.wrongType(in, "a number")
		return in
	case n.integer && f != math.Trunc(f):
		r.reject(InvalidType, "must be an integer")
		return in
	}
	n.check(r, f)
	if !n.integer {
		out.SetFloat(f)
	} else if math.Abs(f) <= maxSafe {
		out.SetInt(int64(f))
	}
	return in
}

func (n *numeric) check(r *run, f float64) {
	if n.integer && f > maxSafe {
		r.exceed(TooBig, "must be at most %d", maxSafe)
	}
	if n.integer && f < -maxSafe {
		r.exceed(TooSmall, "must be at least %d", -maxSafe)
	}
	if n.min != nil && f < *n.min {
		r.exceed(TooSmall, "must be at least %v", *n.min)
	}
	if n.above != nil && f <= *n.above {
		r.exceed(TooSmall, "must be above %v", *n.above)
	}
	if n.max != nil && f > *n.max {
		r.exceed(TooBig, "must be at most %v", *n.max)
	}
}

// toFloat reads a finite number as JavaScript would, rounding what a double
// cannot hold.
func toFloat(in any) (float64, bool) {
	var f float64
	switch in := in.(type) {
	case json.Number:
		var err error
		if f, err = strconv.ParseFloat(string(in), 64); err != nil {
			return 0, false
		}
	case float64:
		f = in
	default:
		v := reflect.ValueOf(in)
		switch {
		case v.CanInt():
			f = float64(v.Int())
		case v.CanUint():
			f = float64(v.Uint())
		default:
			return 0, false
		}
	}
	return f, !math.IsInf(f, 0) && !math.IsNaN(f)
}

// pointer is a value that may be absent.
type pointer struct {
	node
	elem reflect.Type
}

func (p *pointer) parse(r *run, in any, out reflect.Value) any {
	v := reflect.New(p.elem)
	out.Set(v)
	return p.node.parse(r, in, v.Elem())
}

// transform is a value that a Transformer changes.
type transform struct {
	node
	by Transformer
}

func (t *transform) parse(r *run, in any, out reflect.Value) any {
	mark := len(r.found)
	value := t.node.parse(r, in, out)
	if len(r.found) > mark {
		return value
	}
	return t.by.Transform(value)
}

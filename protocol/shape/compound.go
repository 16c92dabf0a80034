package shape

import (
	"maps"
	"reflect"
	"slices"
)

// object is a struct.
type object struct {
	name       string
	properties []property
	index      map[string]int // of a property by its name
	refines    bool
}

// property is a field of a struct.
type property struct {
	name     string
	doc      string
	node     node
	field    []int // of the struct
	optional bool
	preset   bool // has a default
	value    any  // the default
}

func (o *object) parse(r *run, in any, out reflect.Value) any {
	given, ok := in.(map[string]any)
	if !ok {
		r.wrongType(in, "an object")
		return in
	}
	if r.tooDeep() {
		return in
	}
	mark := len(r.found)
	value := make(map[string]any, len(o.properties))
	for i := range o.properties {
		p := &o.properties[i]
		v, ok := given[p.name]
		switch {
		case ok:
		case p.preset:
			v = p.value
		case p.optional:
			continue
		default:
			v = missing{}
		}
		r.enterKey(p.name)
		value[p.name] = p.node.parse(r, v, out.FieldByIndex(p.field))
		r.leave()
	}
	if r.unknown != Strip {
		o.strangers(r, given, value)
	}
	if o.refines && !r.final(mark) {
		out.Interface().(Refiner).Refine(func(message string) { r.exceed(Custom, "%s", message) })
	}
	return value
}

// strangers notes the unknown keys of given, and keeps them where that is
// wanted.
func (o *object) strangers(r *run, given, value map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if _, ok := o.index[key]; ok {
			continue
		}
		r.stranger(key, o.properties)
		if r.unknown == Keep && key != proto {
			value[key] = given[key]
		}
	}
}

func (*object) same() bool { return false }

// list is a slice.
type list struct {
	elem  node
	items bounds
	typ   reflect.Type
}

func (l *list) parse(r *run, in any, out reflect.Value) any {
	given, ok := in.([]any)
	if !ok {
		r.wrongType(in, "a list")
	}
	l.items.check(r, in)
	if !ok || r.tooDeep() {
		return in
	}
	value := given
	if !l.elem.same() {
		value = make([]any, len(given))
	}
	out.Set(reflect.MakeSlice(l.typ, len(given), len(given)))
	for i, v := range given {
		r.enterIndex(i)
		v = l.elem.parse(r, v, out.Index(i))
		r.leave()
		if !l.elem.same() {
			value[i] = v
		}
	}
	return value
}

func (l *list) same() bool { return l.elem.same() }

// proto is the key that a map drops: in JavaScript it would set the map's
// prototype.
const proto = "__proto__"

// record is a map.
type record struct {
	elem node
	key  *format
	typ  reflect.Type
}

func (m *record) parse(r *run, in any, out reflect.Value) any {
	given, ok := in.(map[string]any)
	if !ok {
		r.wrongType(in, "an object")
		return in
	}
	if r.tooDeep() {
		return in
	}
	value := make(map[string]any, len(given))
	out.Set(reflect.MakeMapWithSize(m.typ, len(given)))
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if key == proto {
			continue
		}
		r.enterKey(key)
		if m.key != nil && !m.key.pattern.MatchString(key) {
			r.reject(InvalidKey, "key %q is not of format %s", key, m.key.name)
		} else {
			elem := reflect.New(m.typ.Elem()).Elem()
			value[key] = m.elem.parse(r, given[key], elem)
			out.SetMapIndex(reflect.ValueOf(key), elem)
		}
		r.leave()
	}
	return value
}

func (m *record) same() bool { return false }

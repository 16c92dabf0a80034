package shape

import (
	"maps"
	"reflect"
	"slices"
)

// object is a struct.
type object struct {
	typ        reflect.Type
	properties []property
	index      map[string]int // of a property by its name
	presets    int            // properties with a default
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
	base, known, absent := r.lay(o, given)
	value := make(map[string]any, known+absent)
	if r.unknown != Strip && known < len(given) {
		o.strangers(r, given, value)
	}
	for i := range o.properties {
		p := &o.properties[i]
		v, ok := p.of(r.slots[base+i])
		if !ok {
			continue
		}
		r.enterKey(p.name)
		value[p.name] = p.node.parse(r, v, out.FieldByIndex(p.field))
		r.leave()
	}
	r.slots = r.slots[:base]
	if o.refines && !r.final(mark) {
		out.Interface().(Refiner).Refine(func(message string) { r.exceed(Custom, "%s", message) })
	}
	return value
}

// slot is what a property was given.
type slot struct {
	value any
	given bool
}

// lay puts what is given into one slot a property, so that the properties can
// be taken in their order with one look-up for each key that is there. It
// returns the index of the first slot, the number of properties given, and
// that of absent ones with a default.
func (r *run) lay(o *object, given map[string]any) (base, known, absent int) {
	base, absent = len(r.slots), o.presets
	r.slots = slices.Grow(r.slots, len(o.properties))[:base+len(o.properties)]
	clear(r.slots[base:])
	for key, v := range given {
		i, ok := o.index[key]
		if !ok {
			continue
		}
		r.slots[base+i] = slot{v, true}
		known++
		if o.properties[i].preset {
			absent--
		}
	}
	return base, known, absent
}

// of is the value of a property, and false for one that stays absent.
func (p *property) of(s slot) (any, bool) {
	switch {
	case s.given:
		return s.value, true
	case p.preset:
		return fresh(p.value), true
	case p.optional:
		return nil, false
	}
	return missing{}, true
}

// fresh copies a default, so that whoever gets it may change it.
func fresh(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return maps.Clone(value)
	case []any:
		return slices.Clone(value)
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
	value := make([]any, len(given))
	out.Set(reflect.MakeSlice(l.typ, len(given), len(given)))
	for i, v := range given {
		r.enterIndex(i)
		value[i] = l.elem.parse(r, v, out.Index(i))
		r.leave()
	}
	return value
}

// proto is the key that a map drops: in JavaScript it would set the map's
// prototype.
const proto = "__proto__"

// record is a map.
type record struct {
	elem     node
	key      *format
	typ      reflect.Type
	anything bool // a map[string]any, which is taken as it is
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
	if _, dirty := given[proto]; m.anything && !dirty {
		out.Set(reflect.ValueOf(given))
		return given
	}
	value := make(map[string]any, len(given))
	out.Set(reflect.MakeMapWithSize(m.typ, len(given)))
	elem := reflect.New(m.typ.Elem()).Elem()
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if key == proto {
			continue
		}
		r.enterKey(key)
		if m.key != nil && !m.key.pattern.MatchString(key) {
			r.reject(InvalidKey, "key %q is not of format %s", key, m.key.name)
		} else {
			elem.SetZero()
			value[key] = m.elem.parse(r, given[key], elem)
			out.SetMapIndex(reflect.ValueOf(key), elem)
		}
		r.leave()
	}
	return value
}

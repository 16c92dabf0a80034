package shape

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// builder reads declarations. It remembers the nodes of structs and unions,
// which may contain themselves.
type builder map[reflect.Type]node

var (
	enumType         = reflect.TypeFor[Enum]()
	alternativesType = reflect.TypeFor[Alternatives]()
	transformerType  = reflect.TypeFor[Transformer]()
	refinerType      = reflect.TypeFor[Refiner]()
	freeMap          = reflect.TypeFor[map[string]any]()
)

func (b builder) build(t reflect.Type, r rules) node {
	n := b.plain(t, r)
	if t.Implements(transformerType) && t.Kind() != reflect.Pointer {
		return &transform{n, reflect.Zero(t).Interface().(Transformer)}
	}
	return n
}

func (b builder) plain(t reflect.Type, r rules) node {
	switch {
	case t.Kind() == reflect.Pointer:
		return &pointer{b.build(t.Elem(), r), t.Elem()}
	case t.Implements(alternativesType):
		return b.union(t)
	}
	switch t.Kind() {
	case reflect.Interface:
		return free{}
	case reflect.Bool:
		return boolean{}
	case reflect.Int, reflect.Int64:
		return &numeric{rules: r, integer: true}
	case reflect.Float64:
		return &numeric{rules: r}
	case reflect.String:
		return text(t, r)
	case reflect.Slice:
		return &list{b.build(t.Elem(), r.elements()), r.items, t}
	case reflect.Map:
		if t.Key() != reflect.TypeFor[string]() {
			break
		}
		return &record{b.build(t.Elem(), r.elements()), r.key, t, t == freeMap && r.key == nil}
	case reflect.Struct:
		return b.object(t)
	}
	panic(fmt.Sprintf("shape: a %s cannot be declared", t))
}

func text(t reflect.Type, r rules) node {
	switch {
	case r.one != nil:
		return &choice{r.one, nil}
	case t.Implements(enumType):
		return &choice{reflect.Zero(t).Interface().(Enum).Values(), t}
	}
	return &textual{r.length, r.format}
}

func (b builder) object(t reflect.Type) node {
	if n, ok := b[t]; ok {
		return n
	}
	o := &object{typ: t, index: map[string]int{}, refines: t.Implements(refinerType)}
	b[t] = o
	b.properties(o, t, nil)
	for i, p := range o.properties {
		o.index[p.name] = i
		if p.preset {
			o.presets++
		}
	}
	return o
}

// properties adds the fields of a struct, those of embedded structs in place.
func (b builder) properties(o *object, t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		switch {
		case f.Anonymous:
			b.properties(o, f.Type, at)
			continue
		case !f.IsExported() || f.Tag.Get("json") == "-":
			continue
		}
		p, err := b.property(f)
		if err != nil {
			panic(fmt.Sprintf("shape: %s.%s: %v", t, f.Name, err))
		}
		p.field = at
		o.properties = append(o.properties, p)
	}
}

func (b builder) property(f reflect.StructField) (p property, err error) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return p, fmt.Errorf("no name in its json tag")
	}
	r, err := parseRules(f.Tag)
	if err != nil {
		return p, err
	}
	p = property{
		name:     name,
		doc:      f.Tag.Get("doc"),
		node:     b.build(f.Type, r),
		optional: strings.HasPrefix(options, "omit") || f.Type.Kind() == reflect.Interface,
	}
	if written, ok := f.Tag.Lookup("default"); ok {
		p.preset = true
		p.value, err = defaultOf(f.Type, written)
	}
	return p, err
}

// defaultOf reads a default: a text as it stands, anything else as JSON.
func defaultOf(t reflect.Type, written string) (value any, err error) {
	if t.Kind() == reflect.String {
		return written, nil
	}
	err = json.Unmarshal([]byte(written), &value)
	return value, err
}

func (b builder) union(t reflect.Type) node {
	if n, ok := b[t]; ok {
		return n
	}
	var u node
	zero := reflect.Zero(t).Interface().(Alternatives)
	types := make([]reflect.Type, 0, 4)
	for _, a := range zero.Alternatives() {
		types = append(types, reflect.TypeOf(a))
	}
	alternatives := make([]alternative, len(types))
	if tagged, ok := zero.(Tagged); ok {
		u = &taggedUnion{t, tagged.Tag(), alternatives}
	} else {
		u = &union{t, alternatives}
	}
	b[t] = u
	for i, at := range types {
		alternatives[i] = alternative{b.build(at, rules{}), at}
	}
	return u
}

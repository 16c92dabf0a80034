package shape

import (
	"reflect"
	"slices"
)

// alternative is one type of a union.
type alternative struct {
	node
	typ reflect.Type
}

// take parses in as the alternative and stores it in the union.
func (a alternative) take(r *run, in any, out reflect.Value) any {
	v := reflect.New(a.typ).Elem()
	value := a.parse(r, in, v)
	out.Addr().Interface().(interface{ set(any) }).set(v.Interface())
	return value
}

// union is the first of some types that fits.
type union struct {
	typ          reflect.Type
	alternatives []alternative
}

// parse tries the alternatives. Where none fits, but exactly one has no final
// issue, its issues are the union's: the value is of that type and breaks a
// bound. This is what zod does.
func (u *union) parse(r *run, in any, out reflect.Value) any {
	mark, strangers := len(r.found), len(r.strangers)
	var close []finding
	candidates := 0
	for _, a := range u.alternatives {
		value := a.take(r, in, out)
		if len(r.found) == mark {
			return value
		}
		if !r.final(mark) {
			candidates++
			close = slices.Clone(r.found[mark:])
		}
		r.found, r.strangers = r.found[:mark], r.strangers[:strangers]
	}
	if candidates == 1 {
		r.found = append(r.found, close...)
		return in
	}
	r.reject(InvalidUnion, "has none of the forms allowed")
	return in
}

// taggedUnion is one of some structs, told apart by the property tag.
type taggedUnion struct {
	typ          reflect.Type
	tag          string
	alternatives []alternative
}

func (u *taggedUnion) parse(r *run, in any, out reflect.Value) any {
	given, ok := in.(map[string]any)
	if !ok {
		r.wrongType(in, "an object")
		return in
	}
	if name, ok := given[u.tag].(string); ok {
		for _, a := range u.alternatives {
			if slices.Contains(a.tags(u.tag), name) {
				return a.take(r, in, out)
			}
		}
	}
	r.enterKey(u.tag)
	r.reject(InvalidUnion, "must be one of %s", u.tags())
	r.leave()
	return in
}

// tags lists the values of the property tag of a struct.
func (a alternative) tags(tag string) []string {
	o := a.node.(*object)
	return o.properties[o.index[tag]].node.(*choice).values
}

func (u *taggedUnion) tags() (all []string) {
	for _, a := range u.alternatives {
		all = append(all, a.tags(u.tag)...)
	}
	return all
}

package shape

import (
	"math"
	"reflect"
)

// JSONSchema describes T in JSON Schema, draft 2020-12. It says what Parse
// accepts, with two differences: a length counts code points, and what a
// Refiner checks is left out.
func JSONSchema[T any]() map[string]any { return Of[T]().JSONSchema() }

// JSONSchema describes the type in JSON Schema, draft 2020-12.
func (s *Shape) JSONSchema() map[string]any {
	d := definitions{}
	schema := s.root.schema(d)
	schema["title"] = s.Name()
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	if len(d) > 0 {
		schema["$defs"] = map[string]any(d)
	}
	return schema
}

// definitions are the schemas of named types, such as "protocol.Field".
type definitions map[string]any

// refer gives a reference to a named type, which describe describes once.
func (d definitions) refer(t reflect.Type, describe func() map[string]any) map[string]any {
	if t == nil || t.Name() == "" {
		return describe()
	}
	name := t.String()
	if _, ok := d[name]; !ok {
		d[name] = nil // a type may contain itself
		d[name] = describe()
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (free) schema(definitions) map[string]any    { return map[string]any{} }
func (boolean) schema(definitions) map[string]any { return map[string]any{"type": "boolean"} }

func (c *choice) schema(d definitions) map[string]any {
	return d.refer(c.typ, func() map[string]any {
		values := make([]any, len(c.values))
		for i, v := range c.values {
			values[i] = v
		}
		return map[string]any{"enum": values}
	})
}

func (t *textual) schema(definitions) map[string]any {
	schema := map[string]any{"type": "string"}
	put(schema, "minLength", t.length.min)
	put(schema, "maxLength", t.length.max)
	if t.format != nil {
		schema["pattern"] = t.format.pattern.String()
	}
	return schema
}

func (n *numeric) schema(definitions) map[string]any {
	schema := map[string]any{"type": "number"}
	low, high := n.min, n.max
	if n.integer {
		schema["type"] = "integer"
		low, high = tighter(low, -maxSafe, math.Max), tighter(high, maxSafe, math.Min)
	}
	put(schema, "minimum", low)
	put(schema, "maximum", high)
	put(schema, "exclusiveMinimum", n.above)
	return schema
}

func tighter(bound *float64, limit float64, pick func(x, y float64) float64) *float64 {
	if bound != nil {
		limit = pick(*bound, limit)
	}
	return &limit
}

// put sets a key to what value points to, if it does.
func put[T any](schema map[string]any, key string, value *T) {
	if value != nil {
		schema[key] = *value
	}
}

func (l *list) schema(d definitions) map[string]any {
	schema := map[string]any{"type": "array", "items": l.elem.schema(d)}
	put(schema, "minItems", l.items.min)
	return schema
}

func (m *record) schema(d definitions) map[string]any {
	schema := map[string]any{
		"type":                 "object",
		"additionalProperties": m.elem.schema(d),
		"properties":           map[string]any{proto: true},
	}
	if m.key != nil {
		schema["propertyNames"] = map[string]any{"pattern": m.key.pattern.String()}
	}
	return schema
}

func (o *object) schema(d definitions) map[string]any {
	return d.refer(o.typ, func() map[string]any {
		properties := map[string]any{}
		required := []any{}
		for _, p := range o.properties {
			properties[p.name] = p.schema(d)
			if !p.optional && !p.preset {
				required = append(required, p.name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required}
	})
}

func (p property) schema(d definitions) map[string]any {
	schema := p.node.schema(d)
	if p.doc != "" {
		schema["description"] = p.doc
	}
	if p.preset {
		schema["default"] = p.value
	}
	return schema
}

func (u *union) schema(d definitions) map[string]any {
	return d.refer(u.typ, func() map[string]any {
		return map[string]any{"anyOf": schemas(u.alternatives, d)}
	})
}

func (u *taggedUnion) schema(d definitions) map[string]any {
	return d.refer(u.typ, func() map[string]any {
		return map[string]any{"oneOf": schemas(u.alternatives, d)}
	})
}

func schemas(alternatives []alternative, d definitions) []any {
	all := make([]any, len(alternatives))
	for i, a := range alternatives {
		all[i] = a.schema(d)
	}
	return all
}

package shape

import "encoding/json"

// Enum is a string type with fixed values.
type Enum interface{ Values() []string }

// Alternatives is a type that embeds Union. The values say which types its
// Value can have; the first that fits is taken.
type Alternatives interface{ Alternatives() []any }

// Tagged is an Alternatives of structs that one property tells apart: each
// declares it with the rule one.
type Tagged interface {
	Alternatives
	Tag() string
}

// Refiner checks what concerns several properties. It is asked when all of
// them have the right type, even where one breaks a bound.
type Refiner interface{ Refine(report Reporter) }

// Reporter takes an issue of code custom at the value that is refined.
type Reporter func(message string)

// Transformer changes the parsed JSON value of a type, and not the typed one,
// which keeps what was written. It is called on a zero receiver, for a value
// without issues.
type Transformer interface{ Transform(value any) any }

// Union is embedded by a type with Alternatives.
type Union struct {
	Value any // one of the alternatives' types; nil in a zero Union
}

// MarshalJSON writes the value.
func (u Union) MarshalJSON() ([]byte, error) { return json.Marshal(u.Value) }

// UnmarshalJSON reads any value, untyped. Parse makes the typed one.
func (u *Union) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &u.Value) }

func (u *Union) set(value any) { u.Value = value }

package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// Label is text for people: a string or a Translation. Source: ui/i18n.
type Label struct{ shape.Union }

// Alternatives lists the forms.
func (Label) Alternatives() []any { return []any{"", Translation{}} }

// Translation names a text that is translated. Source: ui/i18n.
type Translation struct {
	Key          string            `json:"key" doc:"Key of the text."`
	DefaultValue string            `json:"defaultValue,omitempty" doc:"Text where there is no translation."`
	Params       map[string]Scalar `json:"params,omitzero" doc:"Values put into the text."`
}

// Scalar is a string, a float64 or a bool.
type Scalar struct{ shape.Union }

// Alternatives lists the forms.
func (Scalar) Alternatives() []any { return []any{"", 0.0, false} }

// Aria is what screen readers are told. Source: ui/i18n.
type Aria struct {
	AriaLabel       *Label `json:"ariaLabel,omitempty" doc:"What to read."`
	AriaDescribedBy string `json:"ariaDescribedBy,omitempty" doc:"Element that describes it."`
	Role            string `json:"role,omitempty" doc:"Role of the element."`
}

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

// Action is a button. Parsing copies execute, its older key, to target where
// there is none; the typed value stays as it was written. Source: ui/action.
type Action struct {
	Name           string           `json:"name" shape:"minlen=2,format=snake" doc:"Name of the action."`
	Label          Label            `json:"label" doc:"Name shown to people."`
	ObjectName     string           `json:"objectName,omitempty" shape:"format=identifier" doc:"Object it belongs to."`
	Icon           string           `json:"icon,omitempty" doc:"Icon shown to people."`
	Locations      []ActionLocation `json:"locations,omitzero" doc:"Where it is shown."`
	Component      ActionComponent  `json:"component,omitempty" doc:"How it is shown."`
	Type           ActionType       `json:"type" default:"script" doc:"What it does."`
	Target         string           `json:"target,omitempty" doc:"URL, script, flow or endpoint."`
	Execute        string           `json:"execute,omitempty" doc:"Older key of target."`
	Params         []ActionParam    `json:"params,omitzero" doc:"What to ask people for."`
	Variant        ActionVariant    `json:"variant,omitempty" doc:"How it looks."`
	ConfirmText    *Label           `json:"confirmText,omitempty" doc:"Question before it runs."`
	SuccessMessage *Label           `json:"successMessage,omitempty" doc:"Text after it ran."`
	RefreshAfter   bool             `json:"refreshAfter" default:"false" doc:"Load the view again."`
	Visible        string           `json:"visible,omitempty" doc:"Formula that decides whether it is shown."`
	Disabled       *Condition       `json:"disabled,omitempty" doc:"Whether it is disabled."`
	Shortcut       string           `json:"shortcut,omitempty" doc:"Keys that run it."`
	BulkEnabled    *bool            `json:"bulkEnabled,omitempty" doc:"It works on several records."`
	Timeout        *float64         `json:"timeout,omitempty" doc:"Longest run, in milliseconds."`
	Aria           *Aria            `json:"aria,omitempty" doc:"For screen readers."`
}

// Transform copies execute to target where there is none.
func (Action) Transform(value any) any {
	action := value.(map[string]any)
	execute, _ := action["execute"].(string)
	if target, _ := action["target"].(string); target == "" && execute != "" {
		action["target"] = execute
	}
	return action
}

// Condition is a bool, or a formula as a string.
type Condition struct{ shape.Union }

// Alternatives lists the forms.
func (Condition) Alternatives() []any { return []any{false, ""} }

// ActionLocation is a place where an Action is shown.
type ActionLocation string

// Values lists the places in the protocol's order.
func (ActionLocation) Values() []string {
	return []string{
		"list_toolbar", "list_item", "record_header", "record_more", "record_related", "global_nav",
	}
}

// ActionComponent is how an Action is shown.
type ActionComponent string

// Values lists the components in the protocol's order.
func (ActionComponent) Values() []string {
	return []string{"action:button", "action:icon", "action:menu", "action:group"}
}

// ActionType is what an Action does.
type ActionType string

// Values lists the types in the protocol's order.
func (ActionType) Values() []string { return []string{"script", "url", "modal", "flow", "api"} }

// ActionVariant is how an Action looks.
type ActionVariant string

// Values lists the variants in the protocol's order.
func (ActionVariant) Values() []string {
	return []string{"primary", "secondary", "danger", "ghost", "link"}
}

// ActionParam is something an Action asks people for.
type ActionParam struct {
	Name     string         `json:"name" doc:"Name of the parameter."`
	Label    Label          `json:"label" doc:"Name shown to people."`
	Type     FieldType      `json:"type" doc:"What it holds."`
	Required bool           `json:"required" default:"false" doc:"It must be given."`
	Options  []ActionOption `json:"options,omitzero" doc:"Choices."`
}

// ActionOption is one choice of an ActionParam.
type ActionOption struct {
	Label Label  `json:"label" doc:"Text shown to people."`
	Value string `json:"value" doc:"What is given to the action."`
}

// Aria is what screen readers are told. Source: ui/i18n.
type Aria struct {
	AriaLabel       *Label `json:"ariaLabel,omitempty" doc:"What to read."`
	AriaDescribedBy string `json:"ariaDescribedBy,omitempty" doc:"Element that describes it."`
	Role            string `json:"role,omitempty" doc:"Role of the element."`
}

package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// ValidationRule is a rule for the records of an object: one of the types
// named ...Rule in Value, told apart by type. A ConditionalRule holds further
// rules. Source: data/validation.
type ValidationRule struct{ shape.Union }

// Tag names the property that tells the rules apart.
func (ValidationRule) Tag() string { return "type" }

// Alternatives lists the kinds of rules.
func (ValidationRule) Alternatives() []any {
	return []any{
		ScriptRule{},
		UniqueRule{},
		StateMachineRule{},
		FormatRule{},
		CrossFieldRule{},
		JSONSchemaRule{},
		AsyncRule{},
		CustomRule{},
		ConditionalRule{},
	}
}

// Rule is what all validation rules have.
type Rule struct {
	Name        string        `json:"name" shape:"format=identifier" doc:"Name of the rule."`
	Label       string        `json:"label,omitempty" doc:"Name shown to people."`
	Description string        `json:"description,omitempty" doc:"Why there is this rule."`
	Active      bool          `json:"active" default:"true" doc:"The rule holds."`
	Events      []RecordEvent `json:"events,omitzero" default:"[\"insert\",\"update\"]" doc:"When it is checked."`
	Priority    int64         `json:"priority" default:"100" shape:"min=0,max=9999" doc:"Lower ones run first."`
	Tags        []string      `json:"tags,omitzero" doc:"Words to find it by."`
	Severity    Severity      `json:"severity" default:"error" doc:"How bad breaking it is."`
	Message     string        `json:"message" doc:"What to tell people."`
}

// ScriptRule fails when its condition is true.
type ScriptRule struct {
	Rule
	Type      string `json:"type" shape:"one=script" doc:"Always script."`
	Condition string `json:"condition" doc:"Formula that is true for a wrong record."`
}

// UniqueRule fails when two records agree in all its fields.
type UniqueRule struct {
	Rule
	Type          string   `json:"type" shape:"one=unique" doc:"Always unique."`
	Fields        []string `json:"fields" doc:"Fields that must differ together."`
	Scope         string   `json:"scope,omitempty" doc:"Formula of the records compared."`
	CaseSensitive bool     `json:"caseSensitive" default:"true" doc:"Compare with regard to case."`
}

// StateMachineRule allows some changes of a state only.
type StateMachineRule struct {
	Rule
	Type        string              `json:"type" shape:"one=state_machine" doc:"Always state_machine."`
	Field       string              `json:"field" doc:"Field that holds the state."`
	Transitions map[string][]string `json:"transitions" doc:"States that may follow each state."`
}

// FormatRule checks the text of a field.
type FormatRule struct {
	Rule
	Type   string     `json:"type" shape:"one=format" doc:"Always format."`
	Field  string     `json:"field" doc:"Field that is checked."`
	Regex  string     `json:"regex,omitempty" doc:"Regular expression it must match."`
	Format TextFormat `json:"format,omitempty" doc:"Format it must have."`
}

// TextFormat is a format that a FormatRule knows.
type TextFormat string

// Values lists the formats in the protocol's order.
func (TextFormat) Values() []string { return []string{"email", "url", "phone", "json"} }

// CrossFieldRule compares fields of one record.
type CrossFieldRule struct {
	Rule
	Type      string   `json:"type" shape:"one=cross_field" doc:"Always cross_field."`
	Condition string   `json:"condition" doc:"Formula that compares the fields."`
	Fields    []string `json:"fields" doc:"Fields it compares."`
}

// JSONSchemaRule checks a JSON field against a JSON Schema.
type JSONSchemaRule struct {
	Rule
	Type   string         `json:"type" shape:"one=json_schema" doc:"Always json_schema."`
	Field  string         `json:"field" doc:"Field that is checked."`
	Schema map[string]any `json:"schema" doc:"The JSON Schema."`
}

// AsyncRule asks a service or function.
type AsyncRule struct {
	Rule
	Type              string            `json:"type" shape:"one=async" doc:"Always async."`
	Field             string            `json:"field" doc:"Field that is checked."`
	ValidatorURL      string            `json:"validatorUrl,omitempty" doc:"URL of the service."`
	Method            AsyncMethod       `json:"method" default:"GET" doc:"HTTP method."`
	Headers           map[string]string `json:"headers,omitzero" doc:"HTTP headers."`
	ValidatorFunction string            `json:"validatorFunction,omitempty" doc:"Name of the function."`
	Timeout           float64           `json:"timeout" default:"5000" doc:"Longest wait, in milliseconds."`
	Debounce          *float64          `json:"debounce,omitempty" doc:"Pause before asking, in milliseconds."`
	Params            map[string]any    `json:"params,omitzero" doc:"What else to send."`
}

// AsyncMethod is the HTTP method of an AsyncRule.
type AsyncMethod string

// Values lists the methods in the protocol's order.
func (AsyncMethod) Values() []string { return []string{"GET", "POST"} }

// CustomRule calls a function that the runtime knows.
type CustomRule struct {
	Rule
	Type    string         `json:"type" shape:"one=custom" doc:"Always custom."`
	Handler string         `json:"handler" doc:"Name of the function."`
	Params  map[string]any `json:"params,omitzero" doc:"What to give it."`
}

// ConditionalRule applies one rule or another.
type ConditionalRule struct {
	Rule
	Type      string          `json:"type" shape:"one=conditional" doc:"Always conditional."`
	When      string          `json:"when" doc:"Formula that decides."`
	Then      ValidationRule  `json:"then" doc:"Rule where it is true."`
	Otherwise *ValidationRule `json:"otherwise,omitempty" doc:"Rule where it is false."`
}

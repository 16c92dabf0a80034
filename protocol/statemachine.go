package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// StateMachine is a lifecycle of an object's records. Source:
// automation/state-machine.
type StateMachine struct {
	ID            string                 `json:"id" shape:"minlen=2,format=snake" doc:"Name of the machine."`
	Description   string                 `json:"description,omitempty" doc:"What it is for."`
	ContextSchema map[string]any         `json:"contextSchema,omitzero" doc:"Shape of what it remembers."`
	Initial       string                 `json:"initial" doc:"First state."`
	States        map[string]State       `json:"states" doc:"Its states by name."`
	On            map[string]Transitions `json:"on,omitzero" doc:"Transitions from any state, by event."`
}

// State is one state of a StateMachine. A compound or parallel one holds
// further states. Source: automation/state-machine.
type State struct {
	Type    StateType              `json:"type" default:"atomic" doc:"Kind of the state."`
	Entry   []ActionRef            `json:"entry,omitzero" doc:"Actions on the way in."`
	Exit    []ActionRef            `json:"exit,omitzero" doc:"Actions on the way out."`
	On      map[string]Transitions `json:"on,omitzero" doc:"Transitions by event."`
	Always  []Transition           `json:"always,omitzero" doc:"Transitions without an event."`
	Initial string                 `json:"initial,omitempty" doc:"First inner state."`
	States  map[string]State       `json:"states,omitzero" doc:"Inner states by name."`
	Meta    *StateMeta             `json:"meta,omitempty" doc:"How it is shown."`
}

// StateType is the kind of a State.
type StateType string

// Values lists the kinds in the protocol's order.
func (StateType) Values() []string {
	return []string{"atomic", "compound", "parallel", "final", "history"}
}

// StateMeta is how a State is shown.
type StateMeta struct {
	Label          string `json:"label,omitempty" doc:"Name shown to people."`
	Description    string `json:"description,omitempty" doc:"What it means."`
	Color          string `json:"color,omitempty" doc:"Color shown to people."`
	AIInstructions string `json:"aiInstructions,omitempty" doc:"What an assistant must know of it."`
}

// Transition leads to another state. Source: automation/state-machine.
type Transition struct {
	Target      string      `json:"target,omitempty" doc:"State it leads to."`
	Cond        *ActionRef  `json:"cond,omitempty" doc:"Condition of taking it."`
	Actions     []ActionRef `json:"actions,omitzero" doc:"Actions on the way."`
	Description string      `json:"description,omitempty" doc:"What it means."`
}

// Transitions is a state's name, a Transition or a list of them.
type Transitions struct{ shape.Union }

// Alternatives lists the forms.
func (Transitions) Alternatives() []any { return []any{"", Transition{}, []Transition(nil)} }

// ActionRef names an action or a condition: a string or a Call.
type ActionRef struct{ shape.Union }

// Alternatives lists the forms.
func (ActionRef) Alternatives() []any { return []any{"", Call{}} }

// Call names an action or a condition with its parameters.
type Call struct {
	Type   string         `json:"type" doc:"Name."`
	Params map[string]any `json:"params,omitzero" doc:"Parameters."`
}

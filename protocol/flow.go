package protocol

// Flow is a process: nodes and the edges between them. An edge may name a node
// that does not exist. Source: automation/flow.
type Flow struct {
	Name          string             `json:"name" shape:"format=identifier" doc:"Name of the flow."`
	Label         string             `json:"label" doc:"Name shown to people."`
	Description   string             `json:"description,omitempty" doc:"What it does."`
	Version       int64              `json:"version" default:"1" doc:"Version of the flow."`
	Status        FlowStatus         `json:"status" default:"draft" doc:"Whether it is in use."`
	Template      bool               `json:"template" default:"false" doc:"Other flows use it."`
	Type          FlowType           `json:"type" doc:"What starts it."`
	Variables     []FlowVariable     `json:"variables,omitzero" doc:"What it remembers."`
	Nodes         []FlowNode         `json:"nodes" doc:"Its steps."`
	Edges         []FlowEdge         `json:"edges" doc:"How they follow each other."`
	Active        bool               `json:"active" default:"false" doc:"Older key of status."`
	RunAs         FlowRunAs          `json:"runAs" default:"user" doc:"Whose rights it has."`
	ErrorHandling *FlowErrorHandling `json:"errorHandling,omitempty" doc:"What happens when a step fails."`
}

// FlowStatus is whether a flow is in use.
type FlowStatus string

// Values lists the states in the protocol's order.
func (FlowStatus) Values() []string { return []string{"draft", "active", "obsolete", "invalid"} }

// FlowType is what starts a flow.
type FlowType string

// Values lists the types in the protocol's order.
func (FlowType) Values() []string {
	return []string{"autolaunched", "record_change", "schedule", "screen", "api"}
}

// FlowRunAs is whose rights a flow has.
type FlowRunAs string

// Values lists the choices in the protocol's order.
func (FlowRunAs) Values() []string { return []string{"system", "user"} }

// FlowVariable is something a flow remembers.
type FlowVariable struct {
	Name     string `json:"name" doc:"Name of the variable."`
	Type     string `json:"type" doc:"What it holds, any text."`
	IsInput  bool   `json:"isInput" default:"false" doc:"The caller gives it."`
	IsOutput bool   `json:"isOutput" default:"false" doc:"The caller gets it."`
}

// FlowNode is one step of a flow.
type FlowNode struct {
	ID              string                `json:"id" doc:"Identifier of the node."`
	Type            FlowNodeType          `json:"type" doc:"What the step does."`
	Label           string                `json:"label" doc:"Name shown to people."`
	Config          map[string]any        `json:"config,omitzero" doc:"Settings of its type."`
	ConnectorConfig *ConnectorConfig      `json:"connectorConfig,omitempty" doc:"Connector it calls."`
	Position        *NodePosition         `json:"position,omitempty" doc:"Where it is drawn."`
	TimeoutMs       *int64                `json:"timeoutMs,omitempty" shape:"min=0" doc:"Longest run, in milliseconds."`
	InputSchema     map[string]NodeInput  `json:"inputSchema,omitzero" doc:"What it takes, by name."`
	OutputSchema    map[string]NodeOutput `json:"outputSchema,omitzero" doc:"What it gives, by name."`
	WaitEventConfig *WaitEvent            `json:"waitEventConfig,omitempty" doc:"What a wait node waits for."`
	BoundaryConfig  *BoundaryEvent        `json:"boundaryConfig,omitempty" doc:"What a boundary event catches."`
}

// FlowNodeType is what a step does.
type FlowNodeType string

// Values lists the types in the protocol's order.
func (FlowNodeType) Values() []string {
	return []string{
		"start", "end", "decision", "assignment", "loop",
		"create_record", "update_record", "delete_record", "get_record",
		"http_request", "script", "screen", "wait", "subflow", "connector_action",
		"parallel_gateway", "join_gateway", "boundary_event",
	}
}

// ConnectorConfig is the connector that a node calls.
type ConnectorConfig struct {
	ConnectorID string         `json:"connectorId" doc:"The connector."`
	ActionID    string         `json:"actionId" doc:"Its action."`
	Input       map[string]any `json:"input" doc:"What it is given."`
}

// NodePosition is where a node is drawn.
type NodePosition struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// ParameterType is what a parameter of a node holds.
type ParameterType string

// Values lists the types in the protocol's order.
func (ParameterType) Values() []string {
	return []string{"string", "number", "boolean", "object", "array"}
}

// NodeInput is something a node takes.
type NodeInput struct {
	Type        ParameterType `json:"type" doc:"What it holds."`
	Required    bool          `json:"required" default:"false" doc:"It must be given."`
	Description string        `json:"description,omitempty" doc:"What it means."`
}

// NodeOutput is something a node gives.
type NodeOutput struct {
	Type        ParameterType `json:"type" doc:"What it holds."`
	Description string        `json:"description,omitempty" doc:"What it means."`
}

// WaitEvent is what a wait node waits for.
type WaitEvent struct {
	EventType     WaitEventType `json:"eventType" doc:"Kind of the event."`
	TimerDuration string        `json:"timerDuration,omitempty" doc:"How long a timer runs, such as PT1H."`
	SignalName    string        `json:"signalName,omitempty" doc:"Signal or webhook."`
	TimeoutMs     *int64        `json:"timeoutMs,omitempty" shape:"min=0" doc:"Longest wait, in milliseconds."`
	OnTimeout     WaitTimeout   `json:"onTimeout" default:"fail" doc:"What happens after it."`
}

// WaitEventType is the kind of event that a wait node waits for.
type WaitEventType string

// Values lists the kinds in the protocol's order.
func (WaitEventType) Values() []string {
	return []string{"timer", "signal", "webhook", "manual", "condition"}
}

// WaitTimeout is what happens when the event does not come.
type WaitTimeout string

// Values lists the choices in the protocol's order.
func (WaitTimeout) Values() []string { return []string{"fail", "continue"} }

// BoundaryEvent is what a boundary event catches.
type BoundaryEvent struct {
	AttachedToNodeID string            `json:"attachedToNodeId" doc:"Node that it watches."`
	EventType        BoundaryEventType `json:"eventType" doc:"Kind of the event."`
	Interrupting     bool              `json:"interrupting" default:"true" doc:"The node is stopped."`
	ErrorCode        string            `json:"errorCode,omitempty" doc:"Error it catches; all when absent."`
	TimerDuration    string            `json:"timerDuration,omitempty" doc:"How long a timer runs."`
	SignalName       string            `json:"signalName,omitempty" doc:"Signal it catches."`
}

// BoundaryEventType is the kind of a boundary event.
type BoundaryEventType string

// Values lists the kinds in the protocol's order.
func (BoundaryEventType) Values() []string { return []string{"error", "timer", "signal", "cancel"} }

// FlowEdge leads from one node to another.
type FlowEdge struct {
	ID        string       `json:"id" doc:"Identifier of the edge."`
	Source    string       `json:"source" doc:"Node it leaves."`
	Target    string       `json:"target" doc:"Node it leads to."`
	Condition string       `json:"condition,omitempty" doc:"Formula of taking it."`
	Type      FlowEdgeType `json:"type" default:"default" doc:"When it is taken."`
	Label     string       `json:"label,omitempty" doc:"Name shown to people."`
	IsDefault bool         `json:"isDefault" default:"false" doc:"Taken when no other is."`
}

// FlowEdgeType is when an edge is taken.
type FlowEdgeType string

// Values lists the types in the protocol's order.
func (FlowEdgeType) Values() []string { return []string{"default", "fault", "conditional"} }

// FlowErrorHandling is what happens when a step fails.
type FlowErrorHandling struct {
	Strategy          ErrorStrategy `json:"strategy" default:"fail" doc:"What to do."`
	MaxRetries        int64         `json:"maxRetries" default:"0" shape:"min=0,max=10" doc:"Further attempts."`
	RetryDelayMs      int64         `json:"retryDelayMs" default:"1000" shape:"min=0" doc:"Pause before the first, in milliseconds."`
	BackoffMultiplier float64       `json:"backoffMultiplier" default:"1" shape:"min=1" doc:"Factor of the next pause."`
	MaxRetryDelayMs   int64         `json:"maxRetryDelayMs" default:"30000" shape:"min=0" doc:"Longest pause, in milliseconds."`
	Jitter            bool          `json:"jitter" default:"false" doc:"Vary the pauses."`
	FallbackNodeID    string        `json:"fallbackNodeId,omitempty" doc:"Node to go to in the end."`
}

// ErrorStrategy is what to do when a step fails.
type ErrorStrategy string

// Values lists the strategies in the protocol's order.
func (ErrorStrategy) Values() []string { return []string{"fail", "retry", "continue"} }

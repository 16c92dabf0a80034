package protocol

// DeployStatus is how far a deployment is. Source: system/deploy-bundle; the
// merged protocol has rolling_back, which its proposal had not.
type DeployStatus string

// The states of a deployment.
const (
	DeployValidating  DeployStatus = "validating"
	DeployDiffing     DeployStatus = "diffing"
	DeployMigrating   DeployStatus = "migrating"
	DeployRegistering DeployStatus = "registering"
	DeployReady       DeployStatus = "ready"
	DeployFailed      DeployStatus = "failed"
	DeployRollingBack DeployStatus = "rolling_back"
)

// Values lists the states in the protocol's order.
func (DeployStatus) Values() []string {
	return []string{
		"validating", "diffing", "migrating", "registering", "ready", "failed", "rolling_back",
	}
}

// EntityType is the kind of thing that a SchemaChange is about.
type EntityType string

// The kinds of entities.
const (
	EntityObject     EntityType = "object"
	EntityField      EntityType = "field"
	EntityIndex      EntityType = "index"
	EntityView       EntityType = "view"
	EntityFlow       EntityType = "flow"
	EntityPermission EntityType = "permission"
)

// Values lists the kinds in the protocol's order.
func (EntityType) Values() []string {
	return []string{"object", "field", "index", "view", "flow", "permission"}
}

// ChangeType is what happened to an entity.
type ChangeType string

// The kinds of changes.
const (
	ChangeAdded    ChangeType = "added"
	ChangeModified ChangeType = "modified"
	ChangeRemoved  ChangeType = "removed"
)

// Values lists the kinds in the protocol's order.
func (ChangeType) Values() []string { return []string{"added", "modified", "removed"} }

// SchemaChange is one difference between desired and live state. Source:
// system/deploy-bundle.
type SchemaChange struct {
	EntityType   EntityType `json:"entityType" doc:"Kind of the entity."`
	EntityName   string     `json:"entityName" shape:"minlen=1" doc:"Name of the entity."`
	ParentEntity string     `json:"parentEntity,omitempty" doc:"Object that a field or index belongs to."`
	ChangeType   ChangeType `json:"changeType" doc:"What happened to it."`
	OldValue     any        `json:"oldValue,omitempty" doc:"What it was."`
	NewValue     any        `json:"newValue,omitempty" doc:"What it becomes."`
}

// DeployDiff lists the differences between desired and live state. The summary
// is required, its counts default to zero, and nothing compares them with the
// changes. The protocol's proposal had three lists instead of one. Source:
// system/deploy-bundle.
type DeployDiff struct {
	Changes            []SchemaChange    `json:"changes,omitzero" default:"[]" doc:"The differences."`
	Summary            DeployDiffSummary `json:"summary" doc:"How many there are of each kind."`
	HasBreakingChanges bool              `json:"hasBreakingChanges" default:"false" doc:"One of them may lose or refuse data."`
}

// DeployDiffSummary counts the changes of a DeployDiff.
type DeployDiffSummary struct {
	Added    int `json:"added" default:"0" shape:"min=0" doc:"Entities added."`
	Modified int `json:"modified" default:"0" shape:"min=0" doc:"Entities modified."`
	Removed  int `json:"removed" default:"0" shape:"min=0" doc:"Entities removed."`
}

// MigrationStatement is one SQL statement of a plan. Nothing demands
// RollbackSQL of a reversible one. Source: system/deploy-bundle.
type MigrationStatement struct {
	SQL         string `json:"sql" shape:"minlen=1" doc:"The statement."`
	Reversible  bool   `json:"reversible" default:"true" doc:"It can be undone."`
	RollbackSQL string `json:"rollbackSql,omitempty" doc:"The statement that undoes it."`
	Order       int    `json:"order" shape:"min=0" doc:"Place in the plan; places may repeat."`
}

// MigrationPlan is an ordered list of statements for one dialect. It has no
// id, checksum or tenant. Source: system/deploy-bundle.
type MigrationPlan struct {
	Statements          []MigrationStatement `json:"statements,omitzero" default:"[]" doc:"The statements; the list need not be sorted."`
	Dialect             string               `json:"dialect" shape:"minlen=1" doc:"SQL dialect, such as sqlite."`
	Reversible          bool                 `json:"reversible" default:"true" doc:"The whole plan can be undone."`
	EstimatedDurationMs *int64               `json:"estimatedDurationMs,omitempty" shape:"min=0" doc:"How long it may take, in milliseconds."`
}

// Severity is how bad a DeployValidationIssue is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Values lists the severities in the protocol's order.
func (Severity) Values() []string { return []string{"error", "warning", "info"} }

// DeployValidationIssue is one thing to say about a bundle. Source:
// system/deploy-bundle.
type DeployValidationIssue struct {
	Severity Severity `json:"severity" doc:"How bad it is."`
	Path     string   `json:"path" doc:"Where it is, such as objects.task.fields.name."`
	Message  string   `json:"message" doc:"What it is."`
	Code     string   `json:"code,omitempty" doc:"Code for programs."`
}

// DeployValidationResult is the judgement of a bundle. Source:
// system/deploy-bundle.
type DeployValidationResult struct {
	Valid        bool                    `json:"valid" doc:"The bundle may be deployed."`
	Issues       []DeployValidationIssue `json:"issues,omitzero" default:"[]" doc:"What there is to say about it."`
	ErrorCount   int                     `json:"errorCount" default:"0" shape:"min=0" doc:"How many are errors."`
	WarningCount int                     `json:"warningCount" default:"0" shape:"min=0" doc:"How many are warnings."`
}

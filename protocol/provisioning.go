package protocol

// TenantProvisioningStatus is where a tenant is in its life. Source:
// system/provisioning.
type TenantProvisioningStatus string

// The provisioning states.
const (
	TenantProvisioning TenantProvisioningStatus = "provisioning"
	TenantActive       TenantProvisioningStatus = "active"
	TenantSuspended    TenantProvisioningStatus = "suspended"
	TenantFailed       TenantProvisioningStatus = "failed"
	TenantDestroying   TenantProvisioningStatus = "destroying"
)

// Values lists the states in the protocol's order.
func (TenantProvisioningStatus) Values() []string {
	return []string{"provisioning", "active", "suspended", "failed", "destroying"}
}

// TenantPlan is what a tenant has subscribed to. Source: system/provisioning.
type TenantPlan string

// The plans.
const (
	PlanFree       TenantPlan = "free"
	PlanPro        TenantPlan = "pro"
	PlanEnterprise TenantPlan = "enterprise"
)

// Values lists the plans in the protocol's order.
func (TenantPlan) Values() []string { return []string{"free", "pro", "enterprise"} }

// TenantRegion is where a tenant is deployed. Source: system/provisioning.
type TenantRegion string

// The regions.
const (
	RegionUSEast      TenantRegion = "us-east"
	RegionUSWest      TenantRegion = "us-west"
	RegionEUWest      TenantRegion = "eu-west"
	RegionEUCentral   TenantRegion = "eu-central"
	RegionAPSoutheast TenantRegion = "ap-southeast"
	RegionAPNortheast TenantRegion = "ap-northeast"
)

// Values lists the regions in the protocol's order.
func (TenantRegion) Values() []string {
	return []string{"us-east", "us-west", "eu-west", "eu-central", "ap-southeast", "ap-northeast"}
}

// StepStatus is how far a provisioning step is.
type StepStatus string

// The states of a step.
const (
	StepPending   StepStatus = "pending"
	StepRunning   StepStatus = "running"
	StepCompleted StepStatus = "completed"
	StepFailed    StepStatus = "failed"
	StepSkipped   StepStatus = "skipped"
)

// Values lists the states in the protocol's order.
func (StepStatus) Values() []string {
	return []string{"pending", "running", "completed", "failed", "skipped"}
}

// ProvisioningStep is one step of bringing a tenant up. Source:
// system/provisioning.
type ProvisioningStep struct {
	Name        string     `json:"name" shape:"minlen=1" doc:"Name of the step, such as create_database."`
	Status      StepStatus `json:"status" doc:"How far it is."`
	StartedAt   string     `json:"startedAt,omitempty" shape:"format=datetime" doc:"When it began."`
	CompletedAt string     `json:"completedAt,omitempty" shape:"format=datetime" doc:"When it ended."`
	DurationMs  *int64     `json:"durationMs,omitempty" shape:"min=0" doc:"How long it took, in milliseconds."`
	Error       string     `json:"error,omitempty" doc:"Why it failed."`
}

// TenantProvisioningRequest asks for a tenant. The same request is meant to
// give the same result, though nothing in it is an idempotency key.
// Source: system/provisioning.
type TenantProvisioningRequest struct {
	OrgID       string         `json:"orgId" shape:"minlen=1" doc:"Organisation that owns the tenant."`
	Plan        TenantPlan     `json:"plan" default:"free" doc:"Plan of the tenant."`
	Region      TenantRegion   `json:"region" default:"us-east" doc:"Where to deploy it."`
	DisplayName string         `json:"displayName,omitempty" doc:"Name shown to people."`
	AdminEmail  string         `json:"adminEmail,omitempty" shape:"format=email" doc:"Address of the first administrator."`
	Metadata    map[string]any `json:"metadata,omitzero" doc:"Anything else the caller wants kept."`
}

// TenantProvisioningResult is what came of a request. Source:
// system/provisioning.
type TenantProvisioningResult struct {
	TenantID        TenantID                 `json:"tenantId" shape:"minlen=1" doc:"The tenant."`
	ConnectionURL   string                   `json:"connectionUrl" shape:"minlen=1" doc:"URL of its database."`
	Status          TenantProvisioningStatus `json:"status" doc:"Where it is in its life."`
	Region          TenantRegion             `json:"region" doc:"Where it is deployed."`
	Plan            TenantPlan               `json:"plan" doc:"Its plan."`
	Steps           []ProvisioningStep       `json:"steps,omitzero" default:"[]" doc:"What was done, in order."`
	TotalDurationMs *int64                   `json:"totalDurationMs,omitempty" shape:"min=0" doc:"How long it took, in milliseconds."`
	ProvisionedAt   string                   `json:"provisionedAt,omitempty" shape:"format=datetime" doc:"When it was ready."`
	Error           string                   `json:"error,omitempty" doc:"Why it failed."`
}

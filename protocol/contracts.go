package protocol

import (
	"context"
	"errors"
)

// Errors of the services that a caller can match. The protocol names none:
// these are what every implementation here gives.
var (
	ErrUnknownTenant     = errors.New("unknown tenant")
	ErrUnknownPlan       = errors.New("plan was not made here")
	ErrStalePlan         = errors.New("plan is stale")
	ErrUnknownDeployment = errors.New("unknown deployment")
	ErrNotNewest         = errors.New("deployment is not the newest")
	ErrAppNeeded         = errors.New("app is needed by others")
)

// TenantRouter finds the tenant of a session and a client for its database.
// Source: contracts/tenant-router. The merged protocol has an opaque client
// where its proposal had a driver.
type TenantRouter interface {
	// ResolveTenant gives nil, and no error, for a session it does not know.
	ResolveTenant(ctx context.Context, session any) (*ResolvedTenantContext, error)
	// TenantClient gives the tenant's client, a value that can be compared;
	// clients are cached, and the least recently used one goes first.
	TenantClient(ctx context.Context, tenant TenantID) (any, error)
	// InvalidateCache forgets the tenant, after a change of its plan or when
	// it is suspended.
	InvalidateCache(tenant TenantID)
}

// ResolvedTenantContext is what a router knows of a tenant. All of it is
// required. Source: contracts/tenant-router.
type ResolvedTenantContext struct {
	TenantID TenantID                 `json:"tenantId" doc:"The tenant."`
	Plan     TenantPlan               `json:"plan" doc:"Its plan."`
	Region   TenantRegion             `json:"region" doc:"Where it is deployed."`
	DBURL    string                   `json:"dbUrl" doc:"URL of its database."`
	Status   TenantProvisioningStatus `json:"status" doc:"Where it is in its life."`
}

// DeployPipelineService brings a tenant to a bundle. Source:
// contracts/deploy-pipeline-service.
type DeployPipelineService interface {
	// ValidateBundle checks each definition against its own type. A bundle
	// without errors can be planned.
	ValidateBundle(bundle DeployBundle) DeployValidationResult
	// PlanDeployment compares the bundle with the tenant's database and writes
	// nothing to it.
	PlanDeployment(ctx context.Context, tenant TenantID, bundle DeployBundle) (MigrationPlan, error)
	// ExecuteDeployment runs a plan of PlanDeployment. The protocol passes the
	// plan alone, so an implementation remembers the bundle it was made for,
	// and gives ErrUnknownPlan where it does not. A tenant that is no longer as
	// it was planned for gives ErrStalePlan. A deployment that fails changes
	// nothing, and is no error: its status and Error say so.
	ExecuteDeployment(ctx context.Context, tenant TenantID, plan MigrationPlan) (DeployExecutionResult, error)
	// RollbackDeployment undoes a deployment: its SQL and its metadata. That
	// must be the tenant's newest, else it gives ErrNotNewest; one that never
	// was, or failed, gives ErrUnknownDeployment.
	RollbackDeployment(ctx context.Context, tenant TenantID, deployment string) error
}

// DeployExecutionResult is what came of a deployment. Source:
// contracts/deploy-pipeline-service, where the proposal named it DeployResult.
type DeployExecutionResult struct {
	DeploymentID       string       `json:"deploymentId" doc:"The deployment."`
	Status             DeployStatus `json:"status" doc:"How far it came."`
	DurationMs         float64      `json:"durationMs" doc:"How long it took, in milliseconds."`
	StatementsExecuted int          `json:"statementsExecuted" doc:"Statements that ran."`
	Error              string       `json:"error,omitempty" doc:"Why it failed."`
	CompletedAt        string       `json:"completedAt" doc:"When it ended, ISO 8601."`
}

// ProvisioningService brings tenants up and takes them down. Source:
// contracts/provisioning-service. The proposal had no MigrateTenantPlan. A
// tenant that it does not know, of which the protocol says nothing, gives
// ErrUnknownTenant.
type ProvisioningService interface {
	// ProvisionTenant may be repeated: the same request gives the same tenant.
	ProvisionTenant(ctx context.Context, request TenantProvisioningRequest) (TenantProvisioningResult, error)
	// SuspendTenant revokes the tenant's tokens and makes it read-only.
	SuspendTenant(ctx context.Context, tenant TenantID) error
	// ResumeTenant lets a suspended tenant work again, with new tokens.
	ResumeTenant(ctx context.Context, tenant TenantID) error
	// DestroyTenant removes the tenant, after a backup and a grace period
	// where they are configured.
	DestroyTenant(ctx context.Context, tenant TenantID) error
	// TenantStatus tells where the tenant is in its life. It is TenantFailed,
	// beside the error, for a tenant that is not known.
	TenantStatus(ctx context.Context, tenant TenantID) (TenantProvisioningStatus, error)
	// MigrateTenantPlan moves the tenant to another plan and its quotas.
	MigrateTenantPlan(ctx context.Context, tenant TenantID, plan TenantPlan) error
}

// AppLifecycleService installs and removes apps. Source:
// contracts/app-lifecycle-service. In the merged protocol an upgrade takes the
// app's name from the manifest, and installing takes a configuration.
type AppLifecycleService interface {
	// CheckCompatibility compares kernel version, objects, dependencies and
	// quotas with what the app wants. Errors among the issues keep the app
	// from being installed.
	CheckCompatibility(ctx context.Context, tenant TenantID, app AppManifest) (AppCompatibilityCheck, error)
	// InstallApp installs the app; config may be nil. An app that cannot be
	// installed changes nothing, and is no error: Success and Error say so.
	InstallApp(ctx context.Context, tenant TenantID, app AppManifest, config map[string]any) (AppInstallResult, error)
	// UpgradeApp replaces an installed app by a newer one of its name. It is
	// unsuccessful for an app that is not installed.
	UpgradeApp(ctx context.Context, tenant TenantID, app AppManifest) (AppInstallResult, error)
	// UninstallApp removes the app, and its tables only with dropTables. It
	// gives false, and no error, for an app that is not installed, and
	// ErrAppNeeded for one that another app depends on.
	UninstallApp(ctx context.Context, tenant TenantID, app string, dropTables bool) (success bool, err error)
}

// SchemaDiffService compares and migrates one database. The driver is opaque
// in the protocol. Source: contracts/schema-diff-service.
type SchemaDiffService interface {
	// Introspect reads the tables of a database.
	Introspect(ctx context.Context, driver any) (IntrospectedSchema, error)
	// Diff compares what is with object definitions.
	Diff(current IntrospectedSchema, desired []map[string]any) (DeployDiff, error)
	// GenerateMigrations makes the statements for a dialect.
	GenerateMigrations(diff DeployDiff, dialect string) (MigrationPlan, error)
	// ApplyMigrations runs a plan, in a transaction where there are any. A
	// statement that fails is no error: the result says which.
	ApplyMigrations(ctx context.Context, driver any, plan MigrationPlan) (MigrationApplyResult, error)
}

// IntrospectedSchema is the tables of a database by name. Source:
// contracts/schema-diff-service, as are the three types below.
type IntrospectedSchema struct {
	Tables         map[string]IntrospectedTable `json:"tables" doc:"The tables by name."`
	Dialect        string                       `json:"dialect" doc:"SQL dialect."`
	IntrospectedAt string                       `json:"introspectedAt" doc:"When it was read, ISO 8601."`
}

// IntrospectedTable is one table of a database.
type IntrospectedTable struct {
	Name    string               `json:"name" doc:"Name of the table."`
	Columns []IntrospectedColumn `json:"columns" doc:"Its columns, in order."`
	Indexes []IntrospectedIndex  `json:"indexes" doc:"Its indexes."`
}

// IntrospectedColumn is one column of a table.
type IntrospectedColumn struct {
	Name         string  `json:"name" doc:"Name of the column."`
	Type         string  `json:"type" doc:"Its type, as the database says."`
	Nullable     bool    `json:"nullable" doc:"It may be NULL."`
	DefaultValue *string `json:"defaultValue,omitempty" doc:"SQL of its default."`
	PrimaryKey   bool    `json:"primaryKey" doc:"It belongs to the primary key."`
}

// IntrospectedIndex is one index of a table.
type IntrospectedIndex struct {
	Name    string   `json:"name" doc:"Name of the index."`
	Columns []string `json:"columns" doc:"Its columns, in order."`
	Unique  bool     `json:"unique" doc:"No two rows agree in all columns."`
}

// MigrationApplyResult is what came of running a plan. Source:
// contracts/schema-diff-service.
type MigrationApplyResult struct {
	Success            bool    `json:"success" doc:"All statements ran."`
	StatementsExecuted int     `json:"statementsExecuted" doc:"Statements that ran."`
	DurationMs         float64 `json:"durationMs" doc:"How long it took, in milliseconds."`
	Error              string  `json:"error,omitempty" doc:"Why it failed."`
	FailedAtIndex      *int    `json:"failedAtIndex,omitempty" doc:"Statement that failed, from 0."`
}

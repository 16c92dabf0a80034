package protocol

// TenantID identifies a tenant within a fleet.
type TenantID string

// TenantIsolationLevel says how far tenants are kept apart. Source:
// system/tenant.
type TenantIsolationLevel string

// The isolation levels.
const (
	SharedSchema   TenantIsolationLevel = "shared_schema"
	IsolatedSchema TenantIsolationLevel = "isolated_schema"
	IsolatedDB     TenantIsolationLevel = "isolated_db"
)

// Values lists the levels in the protocol's order.
func (TenantIsolationLevel) Values() []string {
	return []string{"shared_schema", "isolated_schema", "isolated_db"}
}

// DatabaseProvider is what serves a tenant's database. Source: system/tenant.
type DatabaseProvider string

// The database providers.
const (
	ProviderTurso    DatabaseProvider = "turso"
	ProviderPostgres DatabaseProvider = "postgres"
	ProviderMemory   DatabaseProvider = "memory"
)

// Values lists the providers in the protocol's order.
func (DatabaseProvider) Values() []string { return []string{"turso", "postgres", "memory"} }

// TenantConnectionConfig says how to reach a tenant's database. The URL is any
// text that is not empty. Source: system/tenant.
type TenantConnectionConfig struct {
	URL       string `json:"url" shape:"minlen=1" doc:"URL of the database."`
	AuthToken string `json:"authToken,omitempty" doc:"Token for the database, encrypted at rest."`
	Group     string `json:"group,omitempty" doc:"Turso group that holds the database."`
}

// TenantQuota limits a tenant. An absent limit states none; zero and negative
// limits are invalid. MaxStorage and MaxStorageBytes mean the same and nothing
// says which wins. Source: system/tenant.
type TenantQuota struct {
	MaxUsers             *int64 `json:"maxUsers,omitempty" shape:"above=0" doc:"Users."`
	MaxStorage           *int64 `json:"maxStorage,omitempty" shape:"above=0" doc:"Storage in bytes, the older key."`
	APIRateLimit         *int64 `json:"apiRateLimit,omitempty" shape:"above=0" doc:"API requests a minute."`
	MaxObjects           *int64 `json:"maxObjects,omitempty" shape:"above=0" doc:"Custom objects."`
	MaxRecordsPerObject  *int64 `json:"maxRecordsPerObject,omitempty" shape:"above=0" doc:"Records of one object."`
	MaxDeploymentsPerDay *int64 `json:"maxDeploymentsPerDay,omitempty" shape:"above=0" doc:"Deployments a day."`
	MaxStorageBytes      *int64 `json:"maxStorageBytes,omitempty" shape:"above=0" doc:"Storage in bytes."`
}

// TenantUsage is what a tenant uses now. Source: system/tenant.
type TenantUsage struct {
	CurrentObjectCount    int64  `json:"currentObjectCount" default:"0" shape:"min=0" doc:"Custom objects."`
	CurrentRecordCount    int64  `json:"currentRecordCount" default:"0" shape:"min=0" doc:"Records of all objects."`
	CurrentStorageBytes   int64  `json:"currentStorageBytes" default:"0" shape:"min=0" doc:"Storage in bytes."`
	DeploymentsToday      int64  `json:"deploymentsToday" default:"0" shape:"min=0" doc:"Deployments of this day."`
	CurrentUsers          int64  `json:"currentUsers" default:"0" shape:"min=0" doc:"Active users."`
	APIRequestsThisMinute int64  `json:"apiRequestsThisMinute" default:"0" shape:"min=0" doc:"API requests of this minute."`
	LastUpdatedAt         string `json:"lastUpdatedAt,omitempty" shape:"format=datetime" doc:"When these numbers were taken."`
}

// QuotaEnforcementResult is the answer to whether an operation is within the
// quotas. Source: system/tenant.
type QuotaEnforcementResult struct {
	Allowed       bool     `json:"allowed" doc:"The operation may go on."`
	ExceededQuota string   `json:"exceededQuota,omitempty" doc:"Key of the quota that is exceeded."`
	CurrentUsage  *float64 `json:"currentUsage,omitempty" doc:"What is used now."`
	Limit         *float64 `json:"limit,omitempty" doc:"What the quota allows."`
	Message       string   `json:"message,omitempty" doc:"The answer in words."`
}

// Tenant is one customer with a database. The protocol marks it as deprecated
// in favour of a hub space and still uses it everywhere. It has no creation
// time, region or organisation. Source: system/tenant.
type Tenant struct {
	ID                 string                   `json:"id" doc:"Identifier of the tenant; may be empty."`
	Name               string                   `json:"name" doc:"Name shown to people; may be empty."`
	IsolationLevel     TenantIsolationLevel     `json:"isolationLevel" doc:"How far it is kept apart."`
	DatabaseProvider   DatabaseProvider         `json:"databaseProvider,omitempty" doc:"What serves its database."`
	ConnectionConfig   *TenantConnectionConfig  `json:"connectionConfig,omitempty" doc:"How to reach its database."`
	ProvisioningStatus TenantProvisioningStatus `json:"provisioningStatus,omitempty" doc:"Where it is in its life."`
	Plan               TenantPlan               `json:"plan,omitempty" doc:"Plan it has subscribed to."`
	Customizations     map[string]any           `json:"customizations,omitzero" doc:"Settings of its own."`
	Quotas             *TenantQuota             `json:"quotas,omitempty" doc:"Its limits."`
}

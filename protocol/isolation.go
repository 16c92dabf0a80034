package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// TenantIsolationConfig is how a fleet keeps its tenants apart: one of
// RowLevelIsolationStrategy, SchemaLevelIsolationStrategy and
// DatabaseLevelIsolationStrategy in Value, told apart by strategy.
// Source: system/tenant.
type TenantIsolationConfig struct{ shape.Union }

// Tag names the property that tells the strategies apart.
func (TenantIsolationConfig) Tag() string { return "strategy" }

// Alternatives lists the strategies.
func (TenantIsolationConfig) Alternatives() []any {
	return []any{
		RowLevelIsolationStrategy{}, SchemaLevelIsolationStrategy{}, DatabaseLevelIsolationStrategy{},
	}
}

// RowLevelIsolationStrategy keeps all tenants in the same tables.
// Source: system/tenant.
type RowLevelIsolationStrategy struct {
	Strategy    TenantIsolationLevel `json:"strategy" shape:"one=shared_schema" doc:"Always shared_schema."`
	Database    *RowLevelDatabase    `json:"database,omitempty" doc:"How rows are kept apart."`
	Performance *RowLevelPerformance `json:"performance,omitempty" doc:"Indexes, partitions and pools."`
}

// RowLevelDatabase says how rows of tenants are kept apart.
type RowLevelDatabase struct {
	EnableRLS             bool          `json:"enableRLS" default:"true" doc:"Use row-level security of Postgres."`
	ContextMethod         ContextMethod `json:"contextMethod" default:"session_variable" doc:"How the tenant is told to the database."`
	ContextVariable       string        `json:"contextVariable" default:"app.current_tenant" doc:"Session variable that carries it."`
	ApplicationValidation bool          `json:"applicationValidation" default:"true" doc:"Check the tenant in the application too."`
}

// ContextMethod is how the tenant of a session is told to the database.
type ContextMethod string

// Values lists the methods in the protocol's order.
func (ContextMethod) Values() []string {
	return []string{"session_variable", "search_path", "application_name"}
}

// RowLevelPerformance tunes tables that all tenants share.
type RowLevelPerformance struct {
	UsePartialIndexes bool   `json:"usePartialIndexes" default:"true" doc:"One partial index a tenant."`
	UsePartitioning   bool   `json:"usePartitioning" default:"false" doc:"Partition tables by tenant."`
	PoolSizePerTenant *int64 `json:"poolSizePerTenant,omitempty" shape:"above=0" doc:"Connections of one tenant."`
}

// SchemaLevelIsolationStrategy gives each tenant a schema of its own.
// Source: system/tenant.
type SchemaLevelIsolationStrategy struct {
	Strategy    TenantIsolationLevel    `json:"strategy" shape:"one=isolated_schema" doc:"Always isolated_schema."`
	Schema      *SchemaLevelSchema      `json:"schema,omitempty" doc:"How schemas are named and made."`
	Migrations  *SchemaLevelMigrations  `json:"migrations,omitempty" doc:"How schemas are migrated."`
	Performance *SchemaLevelPerformance `json:"performance,omitempty" doc:"Pools and caches."`
}

// SchemaLevelSchema names and makes the schemas. That the pattern holds
// {tenant_id} is not checked.
type SchemaLevelSchema struct {
	NamingPattern       string `json:"namingPattern" default:"tenant_{tenant_id}" doc:"Name of a schema, with the placeholder {tenant_id}."`
	IncludePublicSchema bool   `json:"includePublicSchema" default:"true" doc:"Put the public schema on the search path."`
	SharedSchema        string `json:"sharedSchema" default:"public" doc:"Schema of what tenants share."`
	AutoCreateSchema    bool   `json:"autoCreateSchema" default:"true" doc:"Create a missing schema."`
}

// SchemaLevelMigrations says how the schemas of a fleet are migrated.
type SchemaLevelMigrations struct {
	Strategy        SchemaMigration `json:"strategy" default:"parallel" doc:"In which order."`
	MaxConcurrent   int64           `json:"maxConcurrent" default:"10" shape:"above=0" doc:"Migrations at one time."`
	RollbackOnError bool            `json:"rollbackOnError" default:"true" doc:"Roll back where one fails."`
}

// SchemaMigration is the order in which schemas are migrated.
type SchemaMigration string

// Values lists the orders in the protocol's order.
func (SchemaMigration) Values() []string { return []string{"parallel", "sequential", "on_demand"} }

// SchemaLevelPerformance tunes a database with many schemas.
type SchemaLevelPerformance struct {
	PoolPerSchema  bool  `json:"poolPerSchema" default:"false" doc:"One pool a schema."`
	SchemaCacheTTL int64 `json:"schemaCacheTTL" default:"3600" shape:"above=0" doc:"Seconds that a schema stays cached."`
}

// DatabaseLevelIsolationStrategy gives each tenant a database of its own.
// Source: system/tenant.
type DatabaseLevelIsolationStrategy struct {
	Strategy       TenantIsolationLevel     `json:"strategy" shape:"one=isolated_db" doc:"Always isolated_db."`
	Database       *DatabaseLevelDatabase   `json:"database,omitempty" doc:"How databases are named and made."`
	ConnectionPool *DatabaseLevelPool       `json:"connectionPool,omitempty" doc:"Connections to the databases."`
	Backup         *DatabaseLevelBackup     `json:"backup,omitempty" doc:"How databases are backed up."`
	Encryption     *DatabaseLevelEncryption `json:"encryption,omitempty" doc:"How databases are encrypted."`
}

// DatabaseLevelDatabase names and makes the databases. That the pattern holds
// {tenant_id} is not checked.
type DatabaseLevelDatabase struct {
	NamingPattern       string         `json:"namingPattern" default:"tenant_{tenant_id}" doc:"Name of a database, with the placeholder {tenant_id}."`
	ServerStrategy      ServerStrategy `json:"serverStrategy" default:"shared" doc:"Which server holds a database."`
	SeparateCredentials bool           `json:"separateCredentials" default:"true" doc:"Credentials for each tenant."`
	AutoCreateDatabase  bool           `json:"autoCreateDatabase" default:"true" doc:"Create a missing database."`
}

// ServerStrategy is how databases are spread over servers.
type ServerStrategy string

// Values lists the strategies in the protocol's order.
func (ServerStrategy) Values() []string { return []string{"shared", "sharded", "dedicated"} }

// DatabaseLevelPool bounds the connections to many databases.
type DatabaseLevelPool struct {
	PoolSize       int64 `json:"poolSize" default:"10" shape:"above=0" doc:"Connections to one database."`
	MaxActivePools int64 `json:"maxActivePools" default:"100" shape:"above=0" doc:"Pools at one time."`
	IdleTimeout    int64 `json:"idleTimeout" default:"300" shape:"above=0" doc:"Seconds after which an idle pool closes."`
	UsePooler      bool  `json:"usePooler" default:"true" doc:"Go through a connection pooler."`
}

// DatabaseLevelBackup says how the databases are backed up.
type DatabaseLevelBackup struct {
	Strategy       BackupStrategy `json:"strategy" default:"individual" doc:"One by one or together."`
	FrequencyHours int64          `json:"frequencyHours" default:"24" shape:"above=0" doc:"Hours between two backups."`
	RetentionDays  int64          `json:"retentionDays" default:"30" shape:"above=0" doc:"Days that a backup is kept."`
}

// BackupStrategy is which databases a backup takes together.
type BackupStrategy string

// Values lists the strategies in the protocol's order.
func (BackupStrategy) Values() []string { return []string{"individual", "consolidated", "on_demand"} }

// DatabaseLevelEncryption says how the databases are encrypted.
type DatabaseLevelEncryption struct {
	PerTenantKeys bool          `json:"perTenantKeys" default:"false" doc:"A key for each tenant."`
	Algorithm     string        `json:"algorithm" default:"AES-256-GCM" doc:"Algorithm, any text."`
	KeyManagement KeyManagement `json:"keyManagement,omitempty" doc:"Service that keeps the keys."`
}

// KeyManagement is a service that keeps encryption keys.
type KeyManagement string

// Values lists the services in the protocol's order.
func (KeyManagement) Values() []string {
	return []string{"aws_kms", "azure_key_vault", "gcp_kms", "hashicorp_vault", "custom"}
}

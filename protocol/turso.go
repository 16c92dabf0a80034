package protocol

import "context"

// TursoMultiTenantConfig is how a fleet of Turso databases is routed and kept.
// Source: data/driver/turso-multi-tenant.
type TursoMultiTenantConfig struct {
	OrganizationSlug       string                 `json:"organizationSlug" shape:"minlen=1" doc:"Turso organisation."`
	URLTemplate            string                 `json:"urlTemplate" shape:"minlen=1" doc:"URL of a database, with the placeholder {tenant_id}."`
	GroupAuthToken         string                 `json:"groupAuthToken" shape:"minlen=1" doc:"Token of the group, for the platform's API."`
	TenantResolverStrategy TenantResolverStrategy `json:"tenantResolverStrategy" default:"token" doc:"Where a request names its tenant."`
	Group                  *TursoGroup            `json:"group,omitempty" doc:"Group that holds the databases."`
	Lifecycle              *TenantLifecycle       `json:"lifecycle,omitempty" doc:"What happens to a database with its tenant."`
	MaxCachedConnections   int64                  `json:"maxCachedConnections" default:"100" shape:"min=1" doc:"Connections kept open, least recently used go first."`
	ConnectionCacheTTL     int64                  `json:"connectionCacheTTL" default:"300" shape:"min=0" doc:"Seconds that a connection stays cached."`
}

// TenantResolverStrategy is where a request names its tenant. Source:
// data/driver/turso-multi-tenant.
type TenantResolverStrategy string

// The resolver strategies.
const (
	ResolveHeader    TenantResolverStrategy = "header"
	ResolveSubdomain TenantResolverStrategy = "subdomain"
	ResolvePath      TenantResolverStrategy = "path"
	ResolveToken     TenantResolverStrategy = "token"
	ResolveLookup    TenantResolverStrategy = "lookup"
)

// Values lists the strategies in the protocol's order.
func (TenantResolverStrategy) Values() []string {
	return []string{"header", "subdomain", "path", "token", "lookup"}
}

// TursoGroup is a group of databases that share locations. Source:
// data/driver/turso-multi-tenant.
type TursoGroup struct {
	Name             string   `json:"name" shape:"minlen=1" doc:"Name of the group."`
	PrimaryLocation  string   `json:"primaryLocation" shape:"minlen=2" doc:"Location that takes writes, such as iad."`
	ReplicaLocations []string `json:"replicaLocations,omitzero" default:"[]" shape:"minlen=2" doc:"Further locations."`
	SchemaDatabase   string   `json:"schemaDatabase,omitempty" doc:"Database whose schema the others share."`
}

// TenantLifecycle is what happens to a database with its tenant. The three
// hooks are required once the block is there. Source:
// data/driver/turso-multi-tenant.
type TenantLifecycle struct {
	OnTenantCreate  TenantCreateHook  `json:"onTenantCreate" doc:"When a tenant is created."`
	OnTenantDelete  TenantDeleteHook  `json:"onTenantDelete" doc:"When a tenant is deleted."`
	OnTenantSuspend TenantSuspendHook `json:"onTenantSuspend" doc:"When a tenant is suspended."`
}

// TenantCreateHook is what a new tenant gets.
type TenantCreateHook struct {
	AutoCreate       bool   `json:"autoCreate" default:"true" doc:"Create its database."`
	Group            string `json:"group,omitempty" doc:"Group of the new database."`
	ApplyGroupSchema bool   `json:"applyGroupSchema" default:"true" doc:"Apply the group's schema."`
	SeedData         bool   `json:"seedData" default:"false" doc:"Fill in seed data."`
}

// TenantDeleteHook is what becomes of a deleted tenant's database.
type TenantDeleteHook struct {
	Immediate        bool  `json:"immediate" default:"false" doc:"Destroy it at once."`
	GracePeriodHours int64 `json:"gracePeriodHours" default:"72" shape:"min=0" doc:"Hours until it is destroyed."`
	CreateBackup     bool  `json:"createBackup" default:"true" doc:"Back it up before."`
}

// TenantSuspendHook is what a suspended tenant keeps.
type TenantSuspendHook struct {
	RevokeTokens bool `json:"revokeTokens" default:"true" doc:"Revoke its tokens."`
	ReadOnly     bool `json:"readOnly" default:"true" doc:"Make its database read-only."`
}

// TursoPlatformService manages databases through the Turso platform's API.
// Source: contracts/turso-platform.
type TursoPlatformService interface {
	// CreateDatabase creates a database in a group.
	CreateDatabase(ctx context.Context, options TursoDatabaseOptions) (TursoDatabase, error)
	// DeleteDatabase deletes a database and all that is in it.
	DeleteDatabase(ctx context.Context, name string) error
	// ListDatabases lists the databases of a group, or all for an empty group.
	ListDatabases(ctx context.Context, group string) ([]TursoDatabase, error)
	// Database gives nil, and no error, for a database that does not exist.
	Database(ctx context.Context, name string) (*TursoDatabase, error)
	// CreateToken makes a token for a database. Expiration is text such as 7d;
	// empty never expires.
	CreateToken(ctx context.Context, name string, scope TursoTokenScope, expiration string) (TursoToken, error)
	// RevokeTokens makes all tokens of a database invalid.
	RevokeTokens(ctx context.Context, name string) error
}

// TursoDatabase is what the platform knows of a database. Source:
// contracts/turso-platform.
type TursoDatabase struct {
	Name          string   `json:"name" doc:"Name of the database."`
	DBID          string   `json:"dbId" doc:"Identifier of the database."`
	Hostname      string   `json:"hostname" doc:"Host that serves it."`
	Group         string   `json:"group" doc:"Group that holds it."`
	PrimaryRegion string   `json:"primaryRegion" doc:"Location that takes writes."`
	Regions       []string `json:"regions" doc:"All its locations."`
	Type          string   `json:"type" doc:"Kind of the database."`
	Version       string   `json:"version" doc:"Version of the server."`
	Sleeping      bool     `json:"sleeping" doc:"It is not running now."`
}

// TursoDatabaseOptions says how to create a database. Source:
// contracts/turso-platform.
type TursoDatabaseOptions struct {
	Name           string     `json:"name" doc:"Name of the database."`
	Group          string     `json:"group" doc:"Group that holds it."`
	SchemaDatabase string     `json:"schemaDatabase,omitempty" doc:"Database whose schema it shares."`
	Seed           *TursoSeed `json:"seed,omitempty" doc:"What it starts with."`
}

// TursoSeed is what a new database starts with: another database by name, or
// a dump by URL.
type TursoSeed struct {
	Type string `json:"type" shape:"one=database|dump" doc:"Which of the two."`
	Name string `json:"name,omitempty" doc:"The other database."`
	URL  string `json:"url,omitempty" doc:"The dump."`
}

// TursoToken lets a client use a database. Source: contracts/turso-platform.
type TursoToken struct {
	JWT        string `json:"jwt" doc:"The token."`
	Expiration string `json:"expiration,omitempty" doc:"When it ends."`
}

// TursoTokenScope is what a token allows.
type TursoTokenScope string

// The scopes of a token.
const (
	TokenFullAccess TursoTokenScope = "full-access"
	TokenReadOnly   TursoTokenScope = "read-only"
)

// Values lists the scopes in the protocol's order.
func (TursoTokenScope) Values() []string { return []string{"full-access", "read-only"} }

// Package config reads what people configure: fleet.yaml, the policy that lives
// in the watched repository, and reconciler.yaml, the operator's own settings.
//
// It also holds the reading of YAML and JSON that package bundle shares: text
// becomes documents whose every value knows its line and column, and what is
// wrong with it becomes faults, all of them at once.
package config

import "github.com/tenantops/reconciler/protocol"

// Fleet is fleet.yaml: how a fleet is deployed. Every key is optional.
type Fleet struct {
	Fleet            string                          `json:"fleet" default:"main" shape:"minlen=1,maxlen=63" doc:"Name of the fleet, recorded in every tenant database."`
	Environment      Environment                     `json:"environment" default:"prod" doc:"Environment of tenants that name none; it filters seed sets."`
	IsolationLevel   protocol.TenantIsolationLevel   `json:"isolationLevel" default:"isolated_db" doc:"Isolation of tenants that name none."`
	DatabaseProvider protocol.DatabaseProvider       `json:"databaseProvider" default:"turso" doc:"Provider of tenants that name none."`
	Policy           Policy                          `json:"policy" default:"{}" doc:"What may be done without asking, by class of change."`
	Approval         Approval                        `json:"approval" default:"{}" doc:"Who may approve a plan."`
	Retention        Span                            `json:"retention" default:"7d" doc:"How long removed columns and tables are kept, hidden; 0s drops them at once."`
	NotNull          NotNull                         `json:"notNull" default:"strict" doc:"Who enforces required fields: the database or the engine."`
	Seed             Seed                            `json:"seed" default:"strict" doc:"What a seed record that breaks a constraint does."`
	Drift            Drift                           `json:"drift" default:"report" doc:"What is done about a database that differs from its last deployment."`
	OnFailedVerify   OnFailedVerify                  `json:"onFailedVerify" default:"report" doc:"What is done about a deployment after which a query of an app's verify gives rows."`
	DeletionGuard    Limit                           `json:"deletionGuard" default:"{\"tenants\":1,\"percent\":5}" doc:"Removals beyond which nothing is removed until confirmed."`
	GraceHours       int                             `json:"graceHours" default:"72" shape:"min=0" doc:"Hours until a removed tenant is destroyed."`
	Snapshots        Snapshots                       `json:"snapshots" default:"{}" doc:"Copies made of a tenant database before its rows are put at stake."`
	Backup           Backup                          `json:"backup" default:"{}" doc:"Copies made of a tenant database before it is destroyed."`
	SignUp           SignUp                          `json:"signUp" default:"{}" doc:"What a tenant that signs up begins with."`
	MaxLock          MaxLock                         `json:"maxLock" default:"{}" doc:"How long a deployment may keep writers waiting."`
	Plans            map[string]protocol.TenantQuota `json:"plans" default:"{}" doc:"Quotas by plan."`
	KernelVersion    string                          `json:"kernelVersion,omitempty" shape:"minlen=1" doc:"Version of the kernel that applications run on; apps may want a newer one."`
	Usage            Usage                           `json:"usage" default:"{}" doc:"What counts as use."`
	Databases        Databases                       `json:"databases" default:"{}" doc:"How tenant databases are provided."`
	Rollout          Rollout                         `json:"rollout" default:"{}" doc:"In which order and how fast tenants are deployed."`
	Windows          []Window                        `json:"windows" default:"[]" doc:"When deployments may run; always when empty."`
}

// Usage says what counts as use of a tenant.
type Usage struct {
	Users string `json:"users,omitempty" shape:"format=identifier" doc:"Object whose records are the tenant's users."`
}

// Policy says what is done with a change of each class.
type Policy struct {
	Additive    Action `json:"additive" default:"allow" doc:"New tables, columns and indexes."`
	Widening    Action `json:"widening" default:"allow" doc:"Constraints that are lifted, and defaults that change."`
	Rewrite     Action `json:"rewrite" default:"allow" doc:"Renames, changes of type that lose nothing, and tables that are copied."`
	Narrowing   Action `json:"narrowing" default:"approve" doc:"Constraints that existing rows may break."`
	Destructive Action `json:"destructive" default:"allow" doc:"Columns and tables that are retired and, after the retention, dropped."`
}

// Approval says whose approval of a plan counts.
type Approval struct {
	NotByAuthor bool `json:"notByAuthor" default:"false" doc:"The author of the commit, or of one that it merges, may not approve what it leads to."`
	ByReview    bool `json:"byReview" default:"false" doc:"An approving review of a pull request approves the plans that its preview shows."`
}

// Action is what is done with a change.
type Action string

// The actions, from the most lenient.
const (
	Allow   Action = "allow"
	Approve Action = "approve" // after somebody approved the plan
	Deny    Action = "deny"
)

// Values lists the actions.
func (Action) Values() []string { return []string{"allow", "approve", "deny"} }

// Environment is what a tenant is for. Seed sets name the environments that
// they are meant for.
type Environment string

// The environments.
const (
	Prod Environment = "prod"
	Dev  Environment = "dev"
	Test Environment = "test"
)

// Values lists the environments.
func (Environment) Values() []string { return []string{"prod", "dev", "test"} }

// NotNull is who enforces required fields.
type NotNull string

// NotNullStrict makes the columns of required fields NOT NULL; NotNullEngine
// leaves that to the engine, as ObjectStack 17 does.
const (
	NotNullStrict NotNull = "strict"
	NotNullEngine NotNull = "engine"
)

// Values lists the choices.
func (NotNull) Values() []string { return []string{"strict", "engine"} }

// Seed is what a seed record that breaks a constraint does.
type Seed string

// SeedStrict fails the deployment; SeedSkip leaves the record out and reports
// it.
const (
	SeedStrict Seed = "strict"
	SeedSkip   Seed = "skip"
)

// Values lists the choices.
func (Seed) Values() []string { return []string{"strict", "skip"} }

// Drift is what is done about a database that differs from its last deployment.
type Drift string

// The reactions to drift.
const (
	DriftReport Drift = "report"
	DriftHeal   Drift = "heal"
	DriftIgnore Drift = "ignore"
)

// Values lists the reactions.
func (Drift) Values() []string { return []string{"report", "heal", "ignore"} }

// OnFailedVerify is what is done about a deployment after which a verification
// query gives rows.
type OnFailedVerify string

// VerifyReport says so and leaves the tenant as it is; VerifyRollback takes the
// deployment back and holds its bundle back.
const (
	VerifyReport   OnFailedVerify = "report"
	VerifyRollback OnFailedVerify = "rollback"
)

// Values lists the reactions.
func (OnFailedVerify) Values() []string { return []string{"report", "rollback"} }

// Limit is a number of tenants and a share of the fleet.
type Limit struct {
	Tenants *int     `json:"tenants,omitempty" shape:"min=0" doc:"A number of tenants."`
	Percent *float64 `json:"percent,omitempty" shape:"min=0,max=100" doc:"A share of the tenants, in percent."`
}

// Snapshots says which copies of a tenant database are kept.
type Snapshots struct {
	Keep     int   `json:"keep" default:"3" shape:"min=0" doc:"Copies kept of each tenant; 0 makes none."`
	MaxBytes int64 `json:"maxBytes" default:"10737418240" shape:"min=0" doc:"Size of all tenants' copies together, in bytes."`
}

// Backup says where the databases of tenants that go are kept, and how long.
type Backup struct {
	To        string `json:"to" default:"file:backups" shape:"minlen=1" doc:"Directory as a file: URL, in the data directory or below --file-root."`
	Retention Span   `json:"retention" default:"30d" doc:"How long a backup is kept after it was taken."`
}

// SignUp says what is in the tenant.yaml of a tenant that signs up, beside what
// its request says.
type SignUp struct {
	Apps   []SignUpApp       `json:"apps" default:"[]" doc:"Apps it uses."`
	Labels map[string]string `json:"labels" default:"{}" doc:"Words that waves and commands select it by."`
}

// SignUpApp is an app of a tenant that signs up.
type SignUpApp struct {
	Name    string `json:"name" shape:"format=identifier" doc:"Name of the app."`
	Version string `json:"version,omitempty" shape:"minlen=1" doc:"Version of the app; that of the same commit when absent."`
}

// MaxLock is how long a deployment may keep writers waiting.
type MaxLock struct {
	File   Span `json:"file" default:"30s" doc:"In a database file."`
	Remote Span `json:"remote" default:"3s" doc:"On a server, which takes the lock away after 5s."`
}

// Databases says how tenant databases are provided. Its parts are those of the
// protocol's multi-tenant configuration.
type Databases struct {
	OrganizationSlug string                    `json:"organizationSlug,omitempty" shape:"minlen=1" doc:"Turso organisation."`
	URLTemplate      string                    `json:"urlTemplate,omitempty" shape:"minlen=1" doc:"URL of a database that is made on a server, with the placeholder {tenant_id} for its name; the server's own when absent."`
	GroupAuthToken   string                    `json:"groupAuthToken,omitempty" shape:"minlen=1" doc:"Token of the group: a reference to a secret."`
	Group            *protocol.TursoGroup      `json:"group,omitempty" doc:"Group that holds the databases."`
	Lifecycle        *protocol.TenantLifecycle `json:"lifecycle,omitempty" doc:"What happens to a database with its tenant."`
}

// Rollout says in which order and how fast tenants are deployed.
type Rollout struct {
	MaxConcurrent int    `json:"maxConcurrent" default:"8" shape:"min=1" doc:"Tenants deployed at the same time."`
	Waves         []Wave `json:"waves" default:"[{\"name\":\"all\"}]" shape:"items=1" doc:"Groups of tenants, one after the other; what none of them takes comes last, as the wave rest."`
}

// Wave is a group of tenants that is deployed before the next one. Without
// match it takes what is left; tenants and percent limit how many.
type Wave struct {
	Name          string            `json:"name" shape:"minlen=1,maxlen=63" doc:"Name of the wave."`
	Match         map[string]string `json:"match,omitzero" doc:"Labels that a tenant must have."`
	Tenants       *int              `json:"tenants,omitempty" shape:"min=1" doc:"Number of tenants."`
	Percent       *float64          `json:"percent,omitempty" shape:"above=0,max=100" doc:"Share of the rollout's tenants that match, in percent, rounded up."`
	MaxConcurrent *int              `json:"maxConcurrent,omitempty" shape:"min=1" doc:"Tenants deployed at the same time, where that is fewer than in the rollout."`
	PauseBefore   bool              `json:"pauseBefore,omitempty" doc:"Wait before the wave until somebody resumes the rollout."`
	Bake          Span              `json:"bake,omitempty" doc:"How long to wait after it before the next wave."`
	FailureBudget *Limit            `json:"failureBudget,omitempty" doc:"Failures after which the rollout halts; no limit when absent."`
}

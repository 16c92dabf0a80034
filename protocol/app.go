package protocol

// AppManifest describes an app. It lists names only: the definitions are not
// in it, and it names no permission sets. HasSeedData and SeedData are
// independent. Source: system/app-install.
type AppManifest struct {
	Name             string           `json:"name" shape:"format=identifier" doc:"Identifier of the app."`
	Label            string           `json:"label" shape:"minlen=1" doc:"Name shown to people."`
	Version          string           `json:"version" shape:"minlen=1" doc:"Version of the app."`
	Description      string           `json:"description,omitempty" doc:"What the app is for."`
	MinKernelVersion string           `json:"minKernelVersion,omitempty" doc:"Oldest kernel it runs on."`
	Objects          []string         `json:"objects,omitzero" default:"[]" doc:"Names of its objects."`
	Views            []string         `json:"views,omitzero" default:"[]" doc:"Names of its views."`
	Flows            []string         `json:"flows,omitzero" default:"[]" doc:"Names of its flows."`
	HasSeedData      bool             `json:"hasSeedData" default:"false" doc:"It brings seed data."`
	SeedData         []map[string]any `json:"seedData,omitzero" default:"[]" doc:"Seed sets."`
	Dependencies     []string         `json:"dependencies,omitzero" default:"[]" doc:"Apps it needs."`
}

// AppCompatibilityCheck is whether an app can be installed. Source:
// system/app-install.
type AppCompatibilityCheck struct {
	Compatible bool               `json:"compatible" doc:"The app can be installed."`
	Issues     []AppCompatibility `json:"issues,omitzero" default:"[]" doc:"What stands against it."`
}

// AppCompatibility is one thing that stands against an app.
type AppCompatibility struct {
	Severity AppSeverity `json:"severity" doc:"How bad it is."`
	Message  string      `json:"message" doc:"What it is."`
	Category AppCategory `json:"category" doc:"What kind of thing it is."`
}

// AppSeverity is how bad an AppCompatibility is.
type AppSeverity string

// The severities of an AppCompatibility.
const (
	AppError   AppSeverity = "error"
	AppWarning AppSeverity = "warning"
)

// Values lists the severities in the protocol's order.
func (AppSeverity) Values() []string { return []string{"error", "warning"} }

// AppCategory is the kind of an AppCompatibility.
type AppCategory string

// The categories of an AppCompatibility.
const (
	CategoryKernelVersion     AppCategory = "kernel_version"
	CategoryObjectConflict    AppCategory = "object_conflict"
	CategoryDependencyMissing AppCategory = "dependency_missing"
	CategoryQuotaExceeded     AppCategory = "quota_exceeded"
)

// Values lists the categories in the protocol's order.
func (AppCategory) Values() []string {
	return []string{"kernel_version", "object_conflict", "dependency_missing", "quota_exceeded"}
}

// AppInstallRequest asks for an app. Source: system/app-install.
type AppInstallRequest struct {
	TenantID        TenantID       `json:"tenantId" shape:"minlen=1" doc:"Tenant that gets the app."`
	AppID           string         `json:"appId" shape:"minlen=1" doc:"The app."`
	ConfigOverrides map[string]any `json:"configOverrides,omitzero" doc:"Settings that differ."`
	SkipSeedData    bool           `json:"skipSeedData" default:"false" doc:"Leave its seed data out."`
}

// AppInstallResult is what came of installing an app. Source:
// system/app-install.
type AppInstallResult struct {
	Success          bool     `json:"success" doc:"The app is installed."`
	AppID            string   `json:"appId" doc:"The app."`
	Version          string   `json:"version" doc:"Its version."`
	InstalledObjects []string `json:"installedObjects,omitzero" default:"[]" doc:"Objects created or updated."`
	CreatedTables    []string `json:"createdTables,omitzero" default:"[]" doc:"Tables created."`
	SeededRecords    int      `json:"seededRecords" default:"0" shape:"min=0" doc:"Seed records inserted."`
	DurationMs       *int64   `json:"durationMs,omitempty" shape:"min=0" doc:"How long it took, in milliseconds."`
	Error            string   `json:"error,omitempty" doc:"Why it failed."`
}

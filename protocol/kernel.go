package protocol

// RuntimeMode is what a kernel process runs as. Source: kernel/context.
type RuntimeMode string

// The runtime modes.
const (
	ModeDevelopment  RuntimeMode = "development"
	ModeProduction   RuntimeMode = "production"
	ModeTest         RuntimeMode = "test"
	ModeProvisioning RuntimeMode = "provisioning"
	ModePreview      RuntimeMode = "preview"
)

// Values lists the modes in the protocol's order.
func (RuntimeMode) Values() []string {
	return []string{"development", "production", "test", "provisioning", "preview"}
}

// PreviewRole is the role a preview session simulates.
type PreviewRole string

// Values lists the roles in the protocol's order.
func (PreviewRole) Values() []string { return []string{"admin", "user", "viewer"} }

// PreviewModeConfig describes a preview session. The protocol accepts it in
// any mode and says only in words that production must not use it.
// Source: kernel/context.
type PreviewModeConfig struct {
	AutoLogin         bool        `json:"autoLogin" default:"true" doc:"Sign in as the simulated user without a login page."`
	SimulatedRole     PreviewRole `json:"simulatedRole" default:"admin" doc:"Role of the simulated user."`
	SimulatedUserName string      `json:"simulatedUserName" default:"Preview User" doc:"Name shown for the simulated user."`
	ReadOnly          bool        `json:"readOnly" default:"false" doc:"Refuse every write of the session."`
	ExpiresInSeconds  int64       `json:"expiresInSeconds" default:"0" shape:"min=0" doc:"Length of the session in seconds; 0 never expires."`
	BannerMessage     string      `json:"bannerMessage,omitempty" doc:"Text of the banner shown during the preview."`
}

// KernelContext identifies one running kernel process. Source: kernel/context.
type KernelContext struct {
	InstanceID    string             `json:"instanceId" shape:"format=uuid" doc:"UUID of this process."`
	Mode          RuntimeMode        `json:"mode" default:"production" doc:"What the process runs as."`
	Version       string             `json:"version" doc:"Version of the kernel."`
	AppName       string             `json:"appName,omitempty" doc:"Name of the host application."`
	Cwd           string             `json:"cwd" doc:"Working directory."`
	WorkspaceRoot string             `json:"workspaceRoot,omitempty" doc:"Root of the workspace where it differs from cwd."`
	StartTime     int64              `json:"startTime" doc:"Time of the boot in milliseconds since 1970."`
	Features      map[string]bool    `json:"features,omitzero" default:"{}" doc:"Feature switches of the whole process."`
	PreviewMode   *PreviewModeConfig `json:"previewMode,omitempty" doc:"The preview session, for mode preview."`
}

// TenantRuntimeContext is the context of one request of one tenant, built from
// the session by way of its organisation. TenantRegion is a free string here,
// not a TenantRegion. Source: kernel/context.
type TenantRuntimeContext struct {
	KernelContext
	TenantID     TenantID     `json:"tenantId" shape:"minlen=1" doc:"The tenant that the request belongs to."`
	TenantPlan   TenantPlan   `json:"tenantPlan" doc:"Plan the tenant has subscribed to."`
	TenantRegion string       `json:"tenantRegion,omitempty" doc:"Where the tenant is deployed."`
	TenantDBURL  string       `json:"tenantDbUrl" shape:"minlen=1" doc:"URL of the tenant's database."`
	TenantQuotas *TenantQuota `json:"tenantQuotas,omitempty" doc:"Limits of the tenant."`
}

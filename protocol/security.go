package protocol

// TenantSecurityPolicy is what a tenant demands. Source: system/tenant.
type TenantSecurityPolicy struct {
	Encryption    *EncryptionPolicy `json:"encryption,omitempty" doc:"What must be encrypted."`
	AccessControl *AccessPolicy     `json:"accessControl,omitempty" doc:"How users get in."`
	Compliance    *CompliancePolicy `json:"compliance,omitempty" doc:"Which standards hold."`
}

// EncryptionPolicy says what must be encrypted.
type EncryptionPolicy struct {
	AtRest     bool `json:"atRest" default:"true" doc:"Stored data."`
	InTransit  bool `json:"inTransit" default:"true" doc:"Traffic."`
	FieldLevel bool `json:"fieldLevel" default:"false" doc:"Single fields."`
}

// AccessPolicy says how users get in.
type AccessPolicy struct {
	RequireMFA     bool     `json:"requireMFA" default:"false" doc:"Demand a second factor."`
	RequireSSO     bool     `json:"requireSSO" default:"false" doc:"Demand single sign-on."`
	IPWhitelist    []string `json:"ipWhitelist,omitzero" doc:"Addresses that are let in."`
	SessionTimeout int64    `json:"sessionTimeout" default:"3600" shape:"above=0" doc:"Seconds until a session ends."`
}

// CompliancePolicy says which standards hold and what they demand.
type CompliancePolicy struct {
	Standards          []ComplianceStandard `json:"standards,omitzero" doc:"Standards that hold."`
	RequireAuditLog    bool                 `json:"requireAuditLog" default:"true" doc:"Keep an audit log."`
	AuditRetentionDays int64                `json:"auditRetentionDays" default:"365" shape:"above=0" doc:"Days that it is kept."`
	DataResidency      *DataResidency       `json:"dataResidency,omitempty" doc:"Where data may be."`
}

// ComplianceStandard is a standard that a tenant is held to.
type ComplianceStandard string

// Values lists the standards in the protocol's order.
func (ComplianceStandard) Values() []string {
	return []string{"sox", "hipaa", "gdpr", "pci_dss", "iso_27001", "fedramp"}
}

// DataResidency says where data may be; regions are free text.
type DataResidency struct {
	Region         string   `json:"region,omitempty" doc:"The only region allowed."`
	ExcludeRegions []string `json:"excludeRegions,omitzero" doc:"Regions not allowed."`
}

package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// PermissionSet is a set of rights. Source: security/permission.
type PermissionSet struct {
	Name              string                      `json:"name" shape:"minlen=2,format=snake" doc:"Name of the set."`
	Label             string                      `json:"label,omitempty" doc:"Name shown to people."`
	IsProfile         bool                        `json:"isProfile" default:"false" doc:"It is a user's profile."`
	Objects           map[string]ObjectPermission `json:"objects" doc:"Rights by object."`
	Fields            map[string]FieldPermission  `json:"fields,omitzero" doc:"Rights by object.field."`
	SystemPermissions []string                    `json:"systemPermissions,omitzero" doc:"Rights of the whole system."`
	TabPermissions    map[string]TabPermission    `json:"tabPermissions,omitzero" doc:"Visibility by tab."`
	RowLevelSecurity  []RowLevelPolicy            `json:"rowLevelSecurity,omitzero" doc:"Which records."`
	ContextVariables  map[string]any              `json:"contextVariables,omitzero" doc:"Variables of the policies."`
}

// ObjectPermission is the rights to one object.
type ObjectPermission struct {
	AllowCreate      bool `json:"allowCreate" default:"false" doc:"Create records."`
	AllowRead        bool `json:"allowRead" default:"false" doc:"Read records."`
	AllowEdit        bool `json:"allowEdit" default:"false" doc:"Change records."`
	AllowDelete      bool `json:"allowDelete" default:"false" doc:"Delete records."`
	AllowTransfer    bool `json:"allowTransfer" default:"false" doc:"Give records to another owner."`
	AllowRestore     bool `json:"allowRestore" default:"false" doc:"Bring deleted records back."`
	AllowPurge       bool `json:"allowPurge" default:"false" doc:"Delete records for good."`
	ViewAllRecords   bool `json:"viewAllRecords" default:"false" doc:"Read all records, shared or not."`
	ModifyAllRecords bool `json:"modifyAllRecords" default:"false" doc:"Change all records, shared or not."`
}

// FieldPermission is the rights to one field.
type FieldPermission struct {
	Readable bool `json:"readable" default:"true" doc:"Read the field."`
	Editable bool `json:"editable" default:"false" doc:"Change the field."`
}

// TabPermission is the visibility of a tab.
type TabPermission string

// Values lists the visibilities in the protocol's order.
func (TabPermission) Values() []string {
	return []string{"visible", "hidden", "default_on", "default_off"}
}

// RowLevelPolicy says which records a set is about. Source: security/rls.
type RowLevelPolicy struct {
	Name        string          `json:"name" shape:"format=identifier" doc:"Name of the policy."`
	Label       string          `json:"label,omitempty" doc:"Name shown to people."`
	Description string          `json:"description,omitempty" doc:"Why there is this policy."`
	Object      string          `json:"object" doc:"Object it is about."`
	Operation   PolicyOperation `json:"operation" doc:"Operation it is about."`
	Using       string          `json:"using,omitempty" doc:"Condition of records read or changed."`
	Check       string          `json:"check,omitempty" doc:"Condition of records written."`
	Roles       []string        `json:"roles,omitzero" doc:"Roles it is about; all when absent."`
	Enabled     bool            `json:"enabled" default:"true" doc:"The policy holds."`
	Priority    int64           `json:"priority" default:"0" doc:"Higher ones come first."`
	Tags        []string        `json:"tags,omitzero" doc:"Words to find it by."`
}

// Refine checks that there is a condition. Source: the refinement of the
// schema in security/rls.
func (p RowLevelPolicy) Refine(report shape.Reporter) {
	if p.Using == "" && p.Check == "" {
		report("one of using and check is required")
	}
}

// PolicyOperation is what a RowLevelPolicy is about.
type PolicyOperation string

// Values lists the operations in the protocol's order.
func (PolicyOperation) Values() []string {
	return []string{"select", "insert", "update", "delete", "all"}
}

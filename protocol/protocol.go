// Package protocol is the ObjectStack tenant runtime protocol in Go: its types,
// one file a part, and its services as interfaces. The types are declarations
// for package shape, which parses them, applies their defaults, names every
// issue by path and code, and writes their JSON Schema.
//
// Source: the published schemas of objectstack-ai/spec, version 3.0.9; the
// "Source:" of a type is the file below packages/spec/src that defines it.
// Where the protocol's proposal and its merged form differ, the merged form
// holds and the comment says so. docs/protocol.md lists every part.
package protocol

import "github.com/tenantops/reconciler/protocol/shape"

// Shapes lists the shape of every type of the protocol that is parsed from
// JSON, in the order of docs/protocol.md.
func Shapes() []*shape.Shape {
	return []*shape.Shape{
		shape.Of[RuntimeMode](),
		shape.Of[PreviewModeConfig](),
		shape.Of[KernelContext](),
		shape.Of[TenantRuntimeContext](),

		shape.Of[TenantIsolationLevel](),
		shape.Of[DatabaseProvider](),
		shape.Of[TenantConnectionConfig](),
		shape.Of[TenantQuota](),
		shape.Of[TenantUsage](),
		shape.Of[QuotaEnforcementResult](),
		shape.Of[Tenant](),
		shape.Of[RowLevelIsolationStrategy](),
		shape.Of[SchemaLevelIsolationStrategy](),
		shape.Of[DatabaseLevelIsolationStrategy](),
		shape.Of[TenantIsolationConfig](),
		shape.Of[TenantSecurityPolicy](),

		shape.Of[TenantProvisioningStatus](),
		shape.Of[TenantPlan](),
		shape.Of[TenantRegion](),
		shape.Of[ProvisioningStep](),
		shape.Of[TenantProvisioningRequest](),
		shape.Of[TenantProvisioningResult](),

		shape.Of[DeployStatus](),
		shape.Of[SchemaChange](),
		shape.Of[DeployDiff](),
		shape.Of[MigrationStatement](),
		shape.Of[MigrationPlan](),
		shape.Of[DeployValidationIssue](),
		shape.Of[DeployValidationResult](),
		shape.Of[DeployManifest](),
		shape.Of[DeployBundle](),

		shape.Of[AppManifest](),
		shape.Of[AppCompatibilityCheck](),
		shape.Of[AppInstallRequest](),
		shape.Of[AppInstallResult](),

		shape.Of[ResolvedTenantContext](),
		shape.Of[DeployExecutionResult](),
		shape.Of[IntrospectedSchema](),
		shape.Of[IntrospectedTable](),
		shape.Of[IntrospectedColumn](),
		shape.Of[IntrospectedIndex](),
		shape.Of[MigrationApplyResult](),
		shape.Of[TursoMultiTenantConfig](),
		shape.Of[TenantResolverStrategy](),

		shape.Of[FieldType](),
		shape.Of[SelectOption](),
		shape.Of[Field](),
		shape.Of[Index](),
		shape.Of[Object](),
		shape.Of[View](),
		shape.Of[Flow](),
		shape.Of[PermissionSet](),
		shape.Of[Dataset](),
		shape.Of[DatasetMode](),
	}
}

// ShapeOf finds a shape by the name of its type in the protocol, such as
// "TenantQuota".
func ShapeOf(name string) (*shape.Shape, bool) {
	for _, s := range Shapes() {
		if s.Name() == name {
			return s, true
		}
	}
	return nil, false
}

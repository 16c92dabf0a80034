package protocol_test

import (
	"fmt"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// The context of a request of a tenant on plan pro, with quotas. What the
// kernel does not say takes the protocol's defaults.
func Example_tenantContext() {
	context, report := shape.ParseJSON[protocol.TenantRuntimeContext]([]byte(`{
		"instanceId": "550e8400-e29b-41d4-a716-446655440000",
		"version": "3.0.9",
		"cwd": "/srv/app",
		"startTime": 1771891200000,
		"tenantId": "acme",
		"tenantPlan": "pro",
		"tenantDbUrl": "libsql://acme.example",
		"tenantQuotas": {"maxUsers": 500, "maxObjects": 100}
	}`), shape.Strip)
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(context.TenantID, context.TenantPlan, context.Mode)
	fmt.Println(*context.TenantQuotas.MaxUsers, "users,", *context.TenantQuotas.MaxObjects, "objects")
	fmt.Println("deployments a day:", context.TenantQuotas.MaxDeploymentsPerDay)
	// Output:
	// acme pro production
	// 500 users, 100 objects
	// deployments a day: <nil>
}

// Files that people write are parsed strictly, and every issue says where it
// is and what to do.
func Example_strict() {
	_, report := shape.ParseJSON[protocol.Tenant]([]byte(`{
		"id": "acme",
		"isolationLevel": "own_db",
		"quotas": {"maxUsers": 0, "maxObject": 100}
	}`), shape.Strict)
	for _, issue := range report.Issues {
		fmt.Println(issue)
	}
	// Output:
	// name: is required (a string)
	// isolationLevel: must be one of shared_schema, isolated_schema, isolated_db
	// quotas.maxUsers: must be above 0
	// quotas.maxObject: unknown key "maxObject", did you mean "maxObjects"?
}

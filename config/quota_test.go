package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

func TestOwnQuotasStandOverThoseOfThePlan(t *testing.T) {
	plan := protocol.TenantQuota{MaxObjects: new(int64(50)), MaxUsers: new(int64(5))}
	fleet := config.Fleet{Plans: map[string]protocol.TenantQuota{"free": plan, "enterprise": {MaxStorageBytes: new(int64(2))}}}
	own := protocol.TenantQuota{MaxObjects: new(int64(9)), APIRateLimit: new(int64(60))}
	for _, test := range []struct {
		name string
		plan protocol.TenantPlan
		own  *protocol.TenantQuota
		want protocol.TenantQuota
	}{
		{"a plan with limits", protocol.PlanFree, nil, plan},
		{"a plan without limits", protocol.PlanPro, nil, protocol.TenantQuota{}},
		{
			"limits of its own", protocol.PlanFree, &own,
			protocol.TenantQuota{MaxObjects: new(int64(9)), MaxUsers: new(int64(5)), APIRateLimit: new(int64(60))},
		},
		{
			"the other key for storage", "enterprise", &protocol.TenantQuota{MaxStorage: new(int64(5))}, protocol.TenantQuota{MaxStorage: new(int64(5))},
		},
		{"limits of its own alone", protocol.PlanPro, &own, own},
	} {
		if diff := cmp.Diff(test.want, fleet.QuotasOf(test.plan, test.own)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	*fleet.QuotasOf(protocol.PlanFree, nil).MaxUsers = 1
	if *plan.MaxUsers != 5 {
		t.Error("the result shares a limit with the plan")
	}
}

package contracttest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
)

func TestProvisioning(t *testing.T) {
	contracttest.Provisioning(t, func(testing.TB) contracttest.ProvisioningFixture {
		m := memoryProvisioning{}
		return contracttest.ProvisioningFixture{
			Service: m,
			Write: func(_ testing.TB, tenant protocol.TenantID) error {
				if m[tenant] == nil || m[tenant].Status != protocol.TenantActive {
					return errors.New("access denied")
				}
				return nil
			},
			Plan: func(_ testing.TB, tenant protocol.TenantID) protocol.TenantPlan { return m[tenant].Plan },
		}
	})
}

// memoryProvisioning gives each organisation one tenant, by its id.
type memoryProvisioning map[protocol.TenantID]*protocol.TenantProvisioningResult

func (m memoryProvisioning) ProvisionTenant(_ context.Context, r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningResult, error) {
	if r.OrgID == "" {
		return protocol.TenantProvisioningResult{}, errors.New("a request needs an organisation")
	}
	id := protocol.TenantID(r.OrgID)
	if m[id] == nil {
		m[id] = &protocol.TenantProvisioningResult{
			TenantID: id, ConnectionURL: "memory:" + r.OrgID, Status: protocol.TenantActive,
			Plan: cmp.Or(r.Plan, protocol.PlanFree), Region: cmp.Or(r.Region, protocol.RegionUSEast),
			Steps: []protocol.ProvisioningStep{{Name: "create_database", Status: protocol.StepCompleted}},
		}
	}
	return *m[id], nil
}

func (m memoryProvisioning) SuspendTenant(_ context.Context, tenant protocol.TenantID) error {
	return m.set(tenant, protocol.TenantSuspended)
}

func (m memoryProvisioning) ResumeTenant(_ context.Context, tenant protocol.TenantID) error {
	return m.set(tenant, protocol.TenantActive)
}

func (m memoryProvisioning) DestroyTenant(_ context.Context, tenant protocol.TenantID) error {
	return m.set(tenant, protocol.TenantDestroying)
}

func (m memoryProvisioning) set(tenant protocol.TenantID, status protocol.TenantProvisioningStatus) error {
	if m[tenant] == nil {
		return protocol.ErrUnknownTenant
	}
	m[tenant].Status = status
	return nil
}

func (m memoryProvisioning) TenantStatus(_ context.Context, tenant protocol.TenantID) (protocol.TenantProvisioningStatus, error) {
	if m[tenant] == nil {
		return protocol.TenantFailed, protocol.ErrUnknownTenant
	}
	return m[tenant].Status, nil
}

func (m memoryProvisioning) MigrateTenantPlan(_ context.Context, tenant protocol.TenantID, plan protocol.TenantPlan) error {
	switch {
	case m[tenant] == nil:
		return protocol.ErrUnknownTenant
	case !slices.Contains(plan.Values(), string(plan)):
		return errors.New("there is no such plan")
	}
	m[tenant].Plan = plan
	return nil
}

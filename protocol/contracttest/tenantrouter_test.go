package contracttest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
)

func TestTenantRouter(t *testing.T) {
	contracttest.TenantRouter(t, func(testing.TB) contracttest.TenantRouterFixture {
		m := &memoryRouter{plans: map[protocol.TenantID]protocol.TenantPlan{}}
		return contracttest.TenantRouterFixture{
			Service: m, Capacity: 3, Unknown: "session of nobody",
			Add: func(_ testing.TB, plan protocol.TenantPlan) (protocol.TenantID, any) {
				tenant := protocol.TenantID(fmt.Sprint("t", len(m.plans)))
				m.plans[tenant] = plan
				return tenant, "session of " + string(tenant)
			},
			SetPlan: func(_ testing.TB, tenant protocol.TenantID, plan protocol.TenantPlan) { m.plans[tenant] = plan },
		}
	})
}

// memoryRouter keeps three clients; a session is "session of TENANT".
type memoryRouter struct {
	mu      sync.Mutex
	plans   map[protocol.TenantID]protocol.TenantPlan
	clients []*client // the one used longest ago first
}

type client struct{ tenant protocol.TenantID }

func (m *memoryRouter) ResolveTenant(_ context.Context, session any) (*protocol.ResolvedTenantContext, error) {
	for tenant, plan := range m.plans {
		if session == "session of "+string(tenant) {
			return &protocol.ResolvedTenantContext{
				TenantID: tenant, Plan: plan, Region: protocol.RegionUSEast,
				DBURL: "memory:" + string(tenant), Status: protocol.TenantActive,
			}, nil
		}
	}
	return nil, nil
}

func (m *memoryRouter) TenantClient(_ context.Context, tenant protocol.TenantID) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.plans[tenant]; !known {
		return nil, protocol.ErrUnknownTenant
	}
	used := &client{tenant}
	if at := m.index(tenant); at >= 0 {
		used = m.clients[at]
		m.clients = slices.Delete(m.clients, at, at+1)
	}
	m.clients = append(m.clients, used)
	m.clients = m.clients[max(0, len(m.clients)-3):]
	return used, nil
}

func (m *memoryRouter) InvalidateCache(tenant protocol.TenantID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = slices.DeleteFunc(m.clients, func(c *client) bool { return c.tenant == tenant })
}

func (m *memoryRouter) index(tenant protocol.TenantID) int {
	return slices.IndexFunc(m.clients, func(c *client) bool { return c.tenant == tenant })
}

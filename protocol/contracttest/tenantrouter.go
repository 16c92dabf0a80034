package contracttest

import (
	"slices"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/protocol"
)

// TenantRouterFixture is a TenantRouter and the tenants that it routes to.
type TenantRouterFixture struct {
	Service protocol.TenantRouter
	// Capacity is how many clients the router keeps, at least 2.
	Capacity int
	// Add makes a tenant of a plan and returns its id and a session of it.
	Add func(t testing.TB, plan protocol.TenantPlan) (protocol.TenantID, any)
	// Unknown is a session of nobody.
	Unknown any
	// SetPlan changes a tenant's plan without telling the router.
	SetPlan func(t testing.TB, tenant protocol.TenantID, plan protocol.TenantPlan)
}

// TenantRouter exercises the contract of protocol.TenantRouter.
func TenantRouter(t *testing.T, open func(testing.TB) TenantRouterFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, TenantRouterFixture)
	}{
		{"a session leads to all that is known of its tenant", knownSession},
		{"an unknown session leads to nobody and is no error", unknownSession},
		{"a tenant's client is opened once", cachedClient},
		{"callers at the same time share one client", sharedClient},
		{"the client used longest ago goes first", evictedClient},
		{"a tenant that is not known has no client", unknownClient},
		{"invalidation forgets client and context", invalidation},
		{"invalidation of a tenant that is not known does nothing", invalidationOfNobody},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func (f TenantRouterFixture) client(t testing.TB, tenant protocol.TenantID) any {
	t.Helper()
	client := must(f.Service.TenantClient(t.Context(), tenant))(t)
	if client == nil {
		t.Fatalf("got no client for tenant %q", tenant)
	}
	return client
}

func (f TenantRouterFixture) resolve(t testing.TB, session any) *protocol.ResolvedTenantContext {
	t.Helper()
	resolved := must(f.Service.ResolveTenant(t.Context(), session))(t)
	if resolved == nil {
		t.Fatal("got nobody for a session of a tenant")
	}
	return resolved
}

func knownSession(t *testing.T, f TenantRouterFixture) {
	tenant, session := f.Add(t, protocol.PlanPro)
	_, other := f.Add(t, protocol.PlanFree)
	got := f.resolve(t, session)
	if got.TenantID != tenant || got.Plan != protocol.PlanPro || got.DBURL == "" || got.Status != protocol.TenantActive {
		t.Errorf("got %+v, want the active tenant %q of plan pro with a database", got, tenant)
	}
	if !slices.Contains(got.Region.Values(), string(got.Region)) {
		t.Errorf("got region %q, want one of the protocol's", got.Region)
	}
	if beside := f.resolve(t, other); beside.TenantID == tenant || beside.DBURL == got.DBURL {
		t.Errorf("got %+v for another session, want another tenant and database", beside)
	}
}

func unknownSession(t *testing.T, f TenantRouterFixture) {
	f.Add(t, protocol.PlanFree)
	for _, session := range []any{f.Unknown, nil} {
		got, err := f.Service.ResolveTenant(t.Context(), session)
		if got != nil || err != nil {
			t.Errorf("got %+v and error %v for session %v, want neither", got, err, session)
		}
	}
}

func cachedClient(t *testing.T, f TenantRouterFixture) {
	one, _ := f.Add(t, protocol.PlanFree)
	two, _ := f.Add(t, protocol.PlanFree)
	first := f.client(t, one)
	if f.client(t, one) != first {
		t.Error("got another client the second time")
	}
	if f.client(t, two) == first {
		t.Error("two tenants share a client")
	}
}

func sharedClient(t *testing.T, f TenantRouterFixture) {
	tenant, _ := f.Add(t, protocol.PlanFree)
	clients := make([]any, 8)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			client, err := f.Service.TenantClient(t.Context(), tenant)
			if err != nil {
				t.Error(err)
			}
			clients[i] = client
		})
	}
	all.Wait()
	for _, client := range clients {
		if client != clients[0] {
			t.Fatal("got two clients for one tenant")
		}
	}
}

func evictedClient(t *testing.T, f TenantRouterFixture) {
	var tenants []protocol.TenantID
	var clients []any
	for range f.Capacity {
		tenant, _ := f.Add(t, protocol.PlanFree)
		tenants, clients = append(tenants, tenant), append(clients, f.client(t, tenant))
	}
	f.client(t, tenants[0]) // now tenants[1] is the one used longest ago
	more, _ := f.Add(t, protocol.PlanFree)
	f.client(t, more)
	if f.client(t, tenants[0]) != clients[0] {
		t.Error("the client used last but one is gone")
	}
	if f.client(t, tenants[1]) == clients[1] {
		t.Error("the client used longest ago is still there")
	}
}

func unknownClient(t *testing.T, f TenantRouterFixture) {
	tenant, _ := f.Add(t, protocol.PlanFree)
	client := f.client(t, tenant)
	for range f.Capacity {
		_, err := f.Service.TenantClient(t.Context(), "nobody")
		wantError(t, err, protocol.ErrUnknownTenant)
	}
	if f.client(t, tenant) != client {
		t.Error("the client of another tenant is gone")
	}
}

func invalidation(t *testing.T, f TenantRouterFixture) {
	tenant, session := f.Add(t, protocol.PlanFree)
	other, _ := f.Add(t, protocol.PlanFree)
	client, kept := f.client(t, tenant), f.client(t, other)
	f.resolve(t, session)
	f.SetPlan(t, tenant, protocol.PlanEnterprise)
	f.Service.InvalidateCache(tenant)
	if f.client(t, tenant) == client {
		t.Error("got the client from before the invalidation")
	}
	if got := f.resolve(t, session).Plan; got != protocol.PlanEnterprise {
		t.Errorf("got plan %q, want enterprise", got)
	}
	if f.client(t, other) != kept {
		t.Error("the client of another tenant is gone")
	}
}

func invalidationOfNobody(t *testing.T, f TenantRouterFixture) {
	tenant, _ := f.Add(t, protocol.PlanFree)
	client := f.client(t, tenant)
	f.Service.InvalidateCache("nobody")
	if f.client(t, tenant) != client {
		t.Error("the client of another tenant is gone")
	}
}

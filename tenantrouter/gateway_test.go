package tenantrouter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/tenantrouter"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

func TestTenantRouterContract(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, kind databasetest.Kind) {
		contracttest.TenantRouter(t, func(t testing.TB) contracttest.TenantRouterFixture { return gatewayFixture(t, kind) })
	}, databasetest.File, databasetest.Server)
}

func gatewayFixture(t testing.TB, kind databasetest.Kind) contracttest.TenantRouterFixture {
	h := newHouseOn(t, kind, func(o *tenantrouter.Options) { o.MaxConnections = 3 })
	n := 0
	return contracttest.TenantRouterFixture{
		Service: h.gateway, Capacity: 3, Unknown: protocol.TenantID("nobody"),
		Add: func(_ testing.TB, plan protocol.TenantPlan) (protocol.TenantID, any) {
			n++
			id := protocol.TenantID(fmt.Sprint("t", n))
			h.add(id, func(r *tenantrouter.Record) { r.Plan = plan })
			if n%2 == 0 {
				return id, id
			}
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header.Set("X-Tenant-ID", string(id))
			return id, request
		},
		SetPlan: func(_ testing.TB, id protocol.TenantID, plan protocol.TenantPlan) {
			h.change(id, func(r *tenantrouter.Record) { r.Plan = plan })
		},
	}
}

func TestClosedGateway(t *testing.T) {
	h := newHouse(t, nil)
	h.add("acme", nil)
	h.get("acme", whose)
	must(t, h.gateway.Close())
	wantNoHandles(t, h)
	wantError(t, h.get("acme", whose), http.StatusServiceUnavailable, "unavailable")
}

func TestOptions(t *testing.T) {
	_, err := tenantrouter.Open(tenantrouter.Options{MaxConnections: -1, TTL: -1})
	for _, want := range []string{"records", "where databases are", "at least one connection", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	o := tenantrouter.Options{}.FromProtocol(protocol.TursoMultiTenantConfig{
		MaxCachedConnections: 7, ConnectionCacheTTL: 30,
		Lifecycle: &protocol.TenantLifecycle{OnTenantSuspend: protocol.TenantSuspendHook{ReadOnly: true}},
	})
	if o.MaxConnections != 7 || o.TTL != 30*time.Second || o.OnSuspend.RevokeTokens || !o.OnSuspend.ReadOnly {
		t.Errorf("got %+v", o)
	}
}

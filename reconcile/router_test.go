package reconcile_test

import (
	"errors"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// The router reads in a database that was deployed to whose it is: it serves
// the tenant, and nobody else whose record leads there.
func TestRouterKnowsWhoseADatabaseIs(t *testing.T) {
	w := newWorld(t, files{
		"apps/shop/app.yaml": "name: shop\nlabel: Shop\nversion: 1.0.0\n", "apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n",
		"tenants/acme/tenant.yaml": "id: acme\nname: Acme\napps: [{name: shop}]\n",
	})
	w.mustSync()
	databases, err := tenantrouter.New(tenantrouter.Config{DataDir: w.data})
	if err != nil {
		t.Fatal(err)
	}
	records := &tenantrouter.MemoryRecords{}
	for _, id := range []protocol.TenantID{"acme", "globex"} {
		records.Put(tenantrouter.Record{
			ID: id, Status: protocol.TenantActive, Connection: &protocol.TenantConnectionConfig{URL: "file:tenants/acme.db"},
		})
	}
	gateway, err := tenantrouter.Open(tenantrouter.Options{Records: records, Files: databases})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	if _, err := gateway.TenantClient(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	if _, err := gateway.TenantClient(t.Context(), "globex"); !errors.Is(err, tenantrouter.ErrOwnedElsewhere) {
		t.Errorf("got %v for another tenant, want ErrOwnedElsewhere", err)
	}
}

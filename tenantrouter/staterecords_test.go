package tenantrouter_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// What the reconciler records in its state is what requests meet, a moment
// later also in another process.
func TestStateRecords(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	limit := int64(600)
	var store *state.Store
	h := newHouse(t, func(o *tenantrouter.Options) {
		var err error
		store, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), state.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, store.Close()) })
		o.Records, o.Now = tenantrouter.RecordsOf(store), func() time.Time { return now }
	})
	h.add("acme", nil)
	must(t, store.SaveTenants(t.Context(), state.Tenant{
		ID:   "acme",
		Spec: bundle.TenantSpec{ID: "acme", Name: "Acme", OrgID: "org_42", Plan: protocol.PlanPro, Region: protocol.RegionEUWest},
		Quotas: protocol.TenantQuota{
			APIRateLimit: &limit,
		},
		Origin: state.FromGit, Lifecycle: state.Lifecycle{Status: protocol.TenantActive, StatusSince: now},
	}))
	must(t, store.SaveObserved(t.Context(), state.Observed{
		Tenant: "acme", Sync: state.Synced, Health: state.Healthy, AppliedRevision: "0123", BundleDigest: "feed", ObservedAt: now,
	}))
	if got := h.get("acme", whose); got.Body.String() != "database of acme" {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	resolved, err := h.gateway.Resolve(t.Context(), "acme")
	must(t, err)
	if resolved.Plan != protocol.PlanPro || resolved.Region != protocol.RegionEUWest || *resolved.Quotas.APIRateLimit != 600 ||
		resolved.Schema != (tenantrouter.Schema{Revision: "0123", BundleDigest: "feed"}) {
		t.Errorf("got %+v", resolved)
	}
	wantError(t, h.get("globex", whose), http.StatusNotFound, "unknown_tenant")
	must(t, store.SaveLifecycle(t.Context(), "acme", state.Lifecycle{Status: protocol.TenantSuspended, StatusSince: now}))
	now = now.Add(time.Second)
	wantError(t, h.get("acme", whose), http.StatusForbidden, "tenant_suspended")
	must(t, store.ForgetTenant(t.Context(), "acme"))
	now = now.Add(time.Second)
	wantError(t, h.get("acme", whose), http.StatusNotFound, "unknown_tenant")
}

// An application opens the state that a reconciler has open.
func TestOpenState(t *testing.T) {
	dir := t.TempDir()
	if _, err := tenantrouter.OpenState(t.Context(), dir); err == nil {
		t.Error("there is no state, and it was opened")
	}
	store, err := state.Open(t.Context(), filepath.Join(dir, "state.db"), state.Options{})
	must(t, err)
	must(t, store.SaveTenants(t.Context(), state.Tenant{
		ID: "acme", Spec: bundle.TenantSpec{ID: "acme", Name: "Acme"}, Origin: state.FromGit,
		Lifecycle: state.Lifecycle{Status: protocol.TenantActive, StatusSince: time.Now()},
	}))
	must(t, store.Close()) // here both are one process, which has a file once
	records, err := tenantrouter.OpenState(t.Context(), dir)
	must(t, err)
	record, err := records.Tenant(t.Context(), "acme")
	must(t, err)
	if record.Name != "Acme" || record.Status != protocol.TenantActive {
		t.Errorf("got %+v", record)
	}
	must(t, records.Close())
}

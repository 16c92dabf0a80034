package statetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var tenants = []exercise{
	{"every field of a tenant is kept", tenantFields},
	{"tenants come in the order of their ids", tenantOrder},
	{"what git says anew leaves the lifecycle as it is", tenantAgain},
	{"a lifecycle is saved with its events, or not at all", tenantLifecycle},
	{"a tenant has the schema revision that was observed", tenantRevision},
	{"a tenant that is forgotten leaves its history", tenantForgotten},
	{"tenants that are not simply active are unsettled", tenantUnsettled},
	{"a tenant that is not recorded is not found", tenantUnknown},
}

// tenant is one with a value in every field that is saved.
func tenant(id protocol.TenantID) state.Tenant {
	limit := int64(7)
	duration := int64(12)
	return state.Tenant{
		ID: id,
		Spec: bundle.TenantSpec{
			ID: string(id), Name: "Acme Größe", OrgID: "org_42", Plan: protocol.PlanPro, Region: protocol.RegionEUWest,
			IsolationLevel: protocol.IsolatedDB, DatabaseProvider: protocol.ProviderTurso,
			ConnectionConfig: &protocol.TenantConnectionConfig{
				URL: "libsql://acme.example", AuthToken: "$env:RECONCILER_SECRET_ACME", Group: "eu",
			},
			Quotas: &protocol.TenantQuota{MaxObjects: &limit}, ProvisioningStatus: protocol.TenantActive,
			Apps: []bundle.AppRef{{Name: "crm", Version: "1.2.0"}}, Labels: map[string]string{"tier": "canary"},
			Environment: config.Prod, Policy: &config.OwnPolicy{Narrowing: config.Deny},
			LegalHold: &bundle.LegalHold{Reason: "case 7"}, Customizations: map[string]any{"theme": []any{"dark", 1.5}},
		},
		Quotas: protocol.TenantQuota{MaxObjects: &limit, MaxUsers: &limit},
		Origin: state.FromSignUp, Revision: "aaaa", Pending: "status,plan",
		Lifecycle: state.Lifecycle{
			Status: protocol.TenantProvisioning, StatusSince: now, RemovedAt: now.Add(time.Hour), Operation: "provision",
			Steps: []protocol.ProvisioningStep{{
				Name: "create_database", Status: protocol.StepFailed, StartedAt: "2026-03-04T05:06:07.008Z",
				CompletedAt: "2026-03-04T05:06:08.008Z", DurationMs: &duration, Error: "disk full",
			}},
		},
	}
}

func tenantFields(f *fixture) {
	ctx, s := f.Context(), f.store()
	want := tenant("acme")
	f.must(s.SaveTenants(ctx, want))
	s = f.reopened(s)
	one, err := s.Tenant(ctx, "acme")
	f.must(err)
	f.equal(one, want)
	all, err := s.Tenants(ctx)
	f.must(err)
	f.equal(all, []state.Tenant{want})
}

func tenantOrder(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveTenants(ctx))
	all, err := s.Tenants(ctx)
	f.must(err)
	f.equal(all, []state.Tenant{})
	f.must(s.SaveTenants(ctx, tenant("globex"), tenant("acme")))
	f.must(s.SaveTenants(ctx, tenant("beta")))
	all, err = s.Tenants(ctx)
	f.must(err)
	f.equal(all, []state.Tenant{tenant("acme"), tenant("beta"), tenant("globex")})
	if err := s.SaveTenants(ctx, tenant("other"), state.Tenant{ID: "nowhere"}); err == nil {
		f.Error("a tenant without a status was saved")
	}
	all, err = s.Tenants(ctx)
	f.must(err)
	f.equal(len(all), 3)
}

func tenantAgain(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveTenants(ctx, tenant("acme")))
	again := tenant("acme")
	again.Spec.Plan, again.Quotas, again.Revision, again.Origin = protocol.PlanFree, protocol.TenantQuota{}, "bbbb", state.FromGit
	want := again
	again.Lifecycle = state.Lifecycle{Status: protocol.TenantActive, StatusSince: now.Add(time.Minute)}
	f.must(s.SaveTenants(ctx, again))
	got, err := s.Tenant(ctx, "acme")
	f.must(err)
	f.equal(got, want)
}

func tenantLifecycle(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveTenants(ctx, tenant("acme"), tenant("globex")))
	want := tenant("acme")
	want.Lifecycle = state.Lifecycle{Status: protocol.TenantSuspended, StatusSince: now.Add(time.Minute), Operation: "suspend"}
	f.must(s.SaveLifecycle(ctx, "acme", want.Lifecycle, state.Event{Kind: "suspended", Tenant: "acme"}))
	got, err := s.Tenant(ctx, "acme")
	f.must(err)
	f.equal(got, want)
	other, err := s.Tenant(ctx, "globex")
	f.must(err)
	f.equal(other, tenant("globex"))

	wrong := state.Lifecycle{Status: "sleeping"}
	if err := s.SaveLifecycle(ctx, "acme", wrong, state.Event{Kind: "slept", Tenant: "acme"}); err == nil {
		f.Error("a status that does not exist was saved")
	}
	err = s.SaveLifecycle(ctx, "nobody", want.Lifecycle, state.Event{Kind: "suspended", Tenant: "nobody"})
	if !errors.Is(err, state.ErrNotFound) {
		f.Errorf("got error %v, want ErrNotFound", err)
	}
	events, err := s.Events(ctx, state.EventQuery{})
	f.must(err)
	f.equal(events, []state.Event{{At: now, Kind: "suspended", Tenant: "acme"}})
}

func tenantRevision(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveTenants(ctx, tenant("acme")))
	seen := observation("acme", 1)
	f.must(s.SaveObserved(ctx, seen))
	got, err := s.Tenant(ctx, "acme")
	f.must(err)
	f.equal([]string{got.Bundle, got.AppliedRevision}, []string{seen.BundleDigest, seen.AppliedRevision})
}

func tenantForgotten(f *fixture) {
	ctx, s := f.Context(), f.store()
	f.must(s.SaveTenants(ctx, tenant("acme"), tenant("globex")))
	f.must(s.SaveObserved(ctx, observation("acme", 1), observation("globex", 1)))
	f.must(s.SaveDeployment(ctx, deployment("acme", 1)))
	for range 2 { // a second time changes nothing
		f.must(s.ForgetTenant(ctx, "acme", state.Event{Kind: "destroyed", Tenant: "acme"}))
	}
	all, err := s.Tenants(ctx)
	f.must(err)
	f.equal(len(all), 1)
	seen, err := s.Observed(ctx)
	f.must(err)
	f.equal(seen, map[protocol.TenantID]state.Observed{"globex": observation("globex", 1)})
	history, err := s.Deployments(ctx, "acme", 0)
	f.must(err)
	f.equal(history, []state.Deployment{deployment("acme", 1)})
}

func tenantUnsettled(f *fixture) {
	ctx, s := f.Context(), f.store()
	var want []state.Tenant
	for id, set := range map[protocol.TenantID]func(*state.Tenant){
		"active":    func(*state.Tenant) {},
		"b-new":     func(t *state.Tenant) { t.Status = protocol.TenantProvisioning },
		"c-removed": func(t *state.Tenant) { t.RemovedAt = now },
		"d-pending": func(t *state.Tenant) { t.Revision = "" },
		"e-ahead":   func(t *state.Tenant) { t.Pending = state.PendingPlan },
		"f-halfway": func(t *state.Tenant) {
			t.Operation, t.Steps = "suspend", []protocol.ProvisioningStep{{Name: "block_writes", Status: protocol.StepFailed}}
		},
		"resumed": func(t *state.Tenant) {
			t.Operation, t.Steps = "resume", []protocol.ProvisioningStep{{Name: "make_writable", Status: protocol.StepCompleted}}
		},
	} {
		t := tenant(id)
		t.Pending, t.Lifecycle = "", state.Lifecycle{Status: protocol.TenantActive, StatusSince: now}
		set(&t)
		f.must(s.SaveTenants(ctx, t))
		if id != "active" && id != "resumed" {
			want = append(want, t)
		}
	}
	slices.SortFunc(want, func(a, b state.Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	got, err := s.UnsettledTenants(ctx)
	f.must(err)
	f.equal(got, want)
	f.equal(want[2].PendingCommit(), true)
}

func tenantUnknown(f *fixture) {
	_, err := f.store().Tenant(f.Context(), "nobody")
	if !errors.Is(err, state.ErrNotFound) {
		f.Errorf("got error %v, want ErrNotFound", err)
	}
}

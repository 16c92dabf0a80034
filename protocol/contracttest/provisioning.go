package contracttest

import (
	"testing"

	"github.com/tenantops/reconciler/protocol"
)

// ProvisioningFixture is a ProvisioningService without tenants. Its functions
// look at tenants past the service.
type ProvisioningFixture struct {
	Service protocol.ProvisioningService
	// Write writes to the tenant's database as its application would, with
	// the access that it has now.
	Write func(t testing.TB, tenant protocol.TenantID) error
	// Plan returns the plan whose quotas the tenant has.
	Plan func(t testing.TB, tenant protocol.TenantID) protocol.TenantPlan
}

// Provisioning exercises the contract of protocol.ProvisioningService.
func Provisioning(t *testing.T, open func(testing.TB) ProvisioningFixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, ProvisioningFixture)
	}{
		{"a request gives an active tenant with a database", provision},
		{"what the request leaves out has the protocol's defaults", provisionDefaults},
		{"the same request gives the same tenant", provisionAgain},
		{"a request without an organisation is an error", provisionNobody},
		{"a suspended tenant cannot be written to", suspend},
		{"a resumed tenant works again", resume},
		{"a destroyed tenant is gone, or on its way", destroy},
		{"a request for a suspended tenant leaves it suspended", provisionSuspended},
		{"another plan brings its quotas", migratePlan},
		{"another plan leaves a suspended tenant suspended", migrateSuspended},
		{"a tenant that is not known is an error", provisionUnknown},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

var (
	acme = protocol.TenantProvisioningRequest{
		OrgID: "acme", Plan: protocol.PlanPro, Region: protocol.RegionEUWest, DisplayName: "Acme", AdminEmail: "ada@acme.example",
	}
	beta = protocol.TenantProvisioningRequest{OrgID: "beta"}
)

func (f ProvisioningFixture) provision(t testing.TB, r protocol.TenantProvisioningRequest) protocol.TenantProvisioningResult {
	t.Helper()
	return must(f.Service.ProvisionTenant(t.Context(), r))(t)
}

// want fails unless a method went well and left the tenant in a status.
func (f ProvisioningFixture) want(t testing.TB, err error, tenant protocol.TenantID, want protocol.TenantProvisioningStatus) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := must(f.Service.TenantStatus(t.Context(), tenant))(t); got != want {
		t.Fatalf("got status %q, want %q", got, want)
	}
}

func provision(t *testing.T, f ProvisioningFixture) {
	got := f.provision(t, acme)
	if got.TenantID == "" || got.ConnectionURL == "" || got.Error != "" {
		t.Errorf("got %+v, want a tenant with a database", got)
	}
	if got.Status != protocol.TenantActive || got.Plan != acme.Plan || got.Region != acme.Region {
		t.Errorf("got %s, %s and %s, want what was asked for", got.Status, got.Plan, got.Region)
	}
	if len(got.Steps) == 0 {
		t.Error("got no steps")
	}
	for _, step := range got.Steps {
		if step.Name == "" || step.Status != protocol.StepCompleted && step.Status != protocol.StepSkipped {
			t.Errorf("got step %+v, want one that is done", step)
		}
	}
	if err := f.Write(t, got.TenantID); err != nil {
		t.Error(err)
	}
	f.want(t, nil, got.TenantID, protocol.TenantActive)
}

func provisionDefaults(t *testing.T, f ProvisioningFixture) {
	got := f.provision(t, protocol.TenantProvisioningRequest{OrgID: "acme"})
	if got.Plan != protocol.PlanFree || got.Region != protocol.RegionUSEast {
		t.Errorf("got %s and %s, want free and us-east", got.Plan, got.Region)
	}
}

func provisionAgain(t *testing.T, f ProvisioningFixture) {
	first, again := f.provision(t, acme), f.provision(t, acme)
	if again.TenantID != first.TenantID || again.ConnectionURL != first.ConnectionURL || again.Status != protocol.TenantActive {
		t.Errorf("got %+v, want the tenant of before, %+v", again, first)
	}
	if other := f.provision(t, beta); other.TenantID == first.TenantID || other.ConnectionURL == first.ConnectionURL {
		t.Errorf("got %+v for another organisation, want another tenant and database", other)
	}
}

func provisionSuspended(t *testing.T, f ProvisioningFixture) {
	tenant := f.provision(t, acme).TenantID
	f.want(t, f.Service.SuspendTenant(t.Context(), tenant), tenant, protocol.TenantSuspended)
	if again := f.provision(t, acme); again.TenantID != tenant || again.Status != protocol.TenantSuspended {
		t.Errorf("got %+v, want the suspended tenant %q", again, tenant)
	}
	f.want(t, nil, tenant, protocol.TenantSuspended)
	if f.Write(t, tenant) == nil {
		t.Error("the tenant can be written to again")
	}
}

func provisionNobody(t *testing.T, f ProvisioningFixture) {
	if got, err := f.Service.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{}); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}

func suspend(t *testing.T, f ProvisioningFixture) {
	tenant, other := f.provision(t, acme).TenantID, f.provision(t, beta).TenantID
	for range 2 { // a second time changes nothing
		f.want(t, f.Service.SuspendTenant(t.Context(), tenant), tenant, protocol.TenantSuspended)
	}
	if f.Write(t, tenant) == nil {
		t.Error("the tenant can still be written to")
	}
	if err := f.Write(t, other); err != nil {
		t.Errorf("another tenant was suspended with it: %v", err)
	}
}

func resume(t *testing.T, f ProvisioningFixture) {
	tenant := f.provision(t, acme).TenantID
	f.want(t, f.Service.SuspendTenant(t.Context(), tenant), tenant, protocol.TenantSuspended)
	for range 2 {
		f.want(t, f.Service.ResumeTenant(t.Context(), tenant), tenant, protocol.TenantActive)
	}
	if err := f.Write(t, tenant); err != nil {
		t.Error(err)
	}
}

func destroy(t *testing.T, f ProvisioningFixture) {
	tenant, other := f.provision(t, acme).TenantID, f.provision(t, beta).TenantID
	if err := f.Service.DestroyTenant(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	if err := f.Service.DestroyTenant(t.Context(), tenant); err != nil { // so is the second time
		wantError(t, err, protocol.ErrUnknownTenant)
	}
	if status, err := f.Service.TenantStatus(t.Context(), tenant); err != nil {
		wantError(t, err, protocol.ErrUnknownTenant)
	} else if status != protocol.TenantDestroying {
		t.Errorf("got status %q, want destroying", status)
	}
	if f.Write(t, tenant) == nil {
		t.Error("the tenant can still be written to")
	}
	f.want(t, nil, other, protocol.TenantActive)
	if err := f.Write(t, other); err != nil {
		t.Errorf("another tenant was destroyed with it: %v", err)
	}
}

func migrateSuspended(t *testing.T, f ProvisioningFixture) {
	tenant := f.provision(t, acme).TenantID
	f.want(t, f.Service.SuspendTenant(t.Context(), tenant), tenant, protocol.TenantSuspended)
	f.want(t, f.Service.MigrateTenantPlan(t.Context(), tenant, protocol.PlanFree), tenant, protocol.TenantSuspended)
	if got := f.Plan(t, tenant); got != protocol.PlanFree {
		t.Errorf("got plan %q, want free", got)
	}
}

func migratePlan(t *testing.T, f ProvisioningFixture) {
	tenant, other := f.provision(t, acme).TenantID, f.provision(t, beta).TenantID
	f.want(t, f.Service.MigrateTenantPlan(t.Context(), tenant, protocol.PlanEnterprise), tenant, protocol.TenantActive)
	if got := f.Plan(t, tenant); got != protocol.PlanEnterprise {
		t.Errorf("got plan %q, want enterprise", got)
	}
	if got := f.Plan(t, other); got != protocol.PlanFree {
		t.Errorf("got plan %q of another tenant, want free", got)
	}
	if err := f.Service.MigrateTenantPlan(t.Context(), tenant, "gold"); err == nil {
		t.Error("a plan that does not exist was accepted")
	}
	if got := f.Plan(t, tenant); got != protocol.PlanEnterprise {
		t.Errorf("got plan %q, want enterprise still", got)
	}
}

func provisionUnknown(t *testing.T, f ProvisioningFixture) {
	ctx := t.Context()
	status, err := f.Service.TenantStatus(ctx, "nobody")
	wantError(t, err, protocol.ErrUnknownTenant)
	if status != protocol.TenantFailed {
		t.Errorf("got status %q, want failed", status)
	}
	wantError(t, f.Service.SuspendTenant(ctx, "nobody"), protocol.ErrUnknownTenant)
	wantError(t, f.Service.ResumeTenant(ctx, "nobody"), protocol.ErrUnknownTenant)
	wantError(t, f.Service.DestroyTenant(ctx, "nobody"), protocol.ErrUnknownTenant)
	wantError(t, f.Service.MigrateTenantPlan(ctx, "nobody", protocol.PlanPro), protocol.ErrUnknownTenant)
}

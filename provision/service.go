package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

var _ protocol.ProvisioningService = (*Service)(nil)

// SuspendTenant implements protocol.ProvisioningService. Until git says so too
// the suspension is pending, and goes before what git says.
func (s *Service) SuspendTenant(ctx context.Context, tenant protocol.TenantID) error {
	return s.SetStatus(ctx, tenant, protocol.TenantSuspended, "asked for")
}

// ResumeTenant implements protocol.ProvisioningService, in the same way.
func (s *Service) ResumeTenant(ctx context.Context, tenant protocol.TenantID) error {
	return s.SetStatus(ctx, tenant, protocol.TenantActive, "asked for")
}

// SetStatus suspends a tenant or resumes it, for a reason.
func (s *Service) SetStatus(ctx context.Context, tenant protocol.TenantID, status protocol.TenantProvisioningStatus, reason string) error {
	defer s.Lock(tenant)()
	t, c, err := s.living(ctx, tenant)
	if err != nil {
		return err
	}
	if t.Spec.ProvisioningStatus != status {
		t.Spec.ProvisioningStatus = status
		if err := s.pend(ctx, &t, state.PendingStatus); err != nil {
			return err
		}
	}
	switch {
	case t.Status == status && !Halfway(t.Lifecycle):
		return nil
	case status == protocol.TenantSuspended:
		return s.Suspend(ctx, &t, c, reason)
	}
	return s.Resume(ctx, &t, reason)
}

// alive refuses what cannot be done to a tenant that is being removed.
func alive(t state.Tenant) error {
	if t.RemovedAt.IsZero() {
		return nil
	}
	return fmt.Errorf("tenant %q is being removed since %s (put its directory back to keep it)", t.ID, stamp(t.RemovedAt))
}

// pend records what was done to a tenant that git does not say yet.
func (s *Service) pend(ctx context.Context, t *state.Tenant, what string, events ...state.Event) error {
	if !t.PendingCommit() && !t.Awaits(what) {
		t.Pending = strings.TrimPrefix(t.Pending+","+what, ",")
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.Store.SaveTenants(ctx, *t); err != nil {
		return err
	}
	for _, e := range events {
		if err := s.Store.AddEvent(ctx, e); err != nil {
			return err
		}
	}
	s.OnPending()
	return nil
}

// DestroyTenant implements protocol.ProvisioningService: the tenant is removed
// as if git no longer had it.
func (s *Service) DestroyTenant(ctx context.Context, tenant protocol.TenantID) error {
	return s.Destroy(ctx, tenant, "asked for")
}

// Destroy removes a tenant, for a reason.
func (s *Service) Destroy(ctx context.Context, tenant protocol.TenantID, reason string) error {
	defer s.Lock(tenant)()
	t, err := s.tenant(ctx, tenant)
	if err != nil {
		return err
	}
	c, err := s.Fleet.Config(ctx)
	if err != nil {
		return err
	}
	if t.RemovedAt.IsZero() {
		if err := s.pend(ctx, &t, state.PendingRemoval); err != nil {
			return err
		}
	}
	_, err = s.Remove(ctx, &t, c, reason, "")
	return err
}

// TenantStatus implements protocol.ProvisioningService.
func (s *Service) TenantStatus(ctx context.Context, tenant protocol.TenantID) (protocol.TenantProvisioningStatus, error) {
	t, err := s.tenant(ctx, tenant)
	if err != nil {
		return protocol.TenantFailed, err
	}
	return t.Status, nil
}

// living reads a tenant that is not being removed, and fleet.yaml.
func (s *Service) living(ctx context.Context, tenant protocol.TenantID) (state.Tenant, config.Fleet, error) {
	t, err := s.tenant(ctx, tenant)
	if err == nil {
		err = alive(t)
	}
	if err != nil {
		return t, config.Fleet{}, err
	}
	c, err := s.Fleet.Config(ctx)
	return t, c, err
}

// MigrateTenantPlan implements protocol.ProvisioningService. The plan is pending
// until git says it too.
func (s *Service) MigrateTenantPlan(ctx context.Context, tenant protocol.TenantID, plan protocol.TenantPlan) error {
	if !slices.Contains(plan.Values(), string(plan)) {
		return fmt.Errorf("%w: there is no plan %q (use %s)", ErrRequest, plan, strings.Join(plan.Values(), ", "))
	}
	defer s.Lock(tenant)()
	t, c, err := s.living(ctx, tenant)
	if err != nil {
		return err
	}
	if t.Spec.Plan == plan {
		return nil
	}
	event := s.event(state.EventPlanChanged, t, "asked for", fmt.Sprintf("%s to %s", t.Spec.Plan, plan))
	t.Spec.Plan, t.Quotas = plan, c.QuotasOf(plan, t.Spec.Quotas)
	err = s.pend(ctx, &t, state.PendingPlan, event)
	s.OnChange(tenant)
	return err
}

// PlanOf returns the plan whose quotas a tenant has.
func (s *Service) PlanOf(ctx context.Context, tenant protocol.TenantID) (protocol.TenantPlan, error) {
	t, err := s.tenant(ctx, tenant)
	return t.Spec.Plan, err
}

// Sweep removes copies of databases that an earlier process has left on a
// server. It is called before anybody makes one.
func (s *Service) Sweep(ctx context.Context) error {
	if sweeper, ok := s.Provider.(interface{ Sweep(context.Context) error }); ok {
		return sweeper.Sweep(ctx)
	}
	return nil
}

// Orphan is a database that nobody owns, or a tenant whose database is gone.
type Orphan struct {
	Kind   string // database or tenant
	Tenant protocol.TenantID
	URL    string
	Detail string
}

// Orphans lists the databases where the provider places them that belong to no
// tenant that is recorded, and the tenants that were deployed to and have none.
// By tenant. It changes nothing.
func (s *Service) Orphans(ctx context.Context) ([]Orphan, error) {
	tenants, err := s.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	there, err := s.Provider.List(ctx)
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	var orphans []Orphan
	for _, t := range tenants {
		at, err := s.Provider.Locate(t.ID, t.Spec.ConnectionConfig)
		if err != nil {
			orphans = append(orphans, Orphan{Kind: "tenant", Tenant: t.ID, Detail: err.Error()})
			continue
		}
		owned[at.URL] = true
		missing := !slices.ContainsFunc(there, func(d Database) bool { return d.URL == at.URL })
		if at.Own && missing && t.Bundle != "" {
			orphans = append(orphans, Orphan{Kind: "tenant", Tenant: t.ID, URL: at.URL, Detail: "its database does not exist"})
		}
	}
	for _, d := range there {
		if !owned[d.URL] {
			orphans = append(orphans, Orphan{Kind: "database", Tenant: d.Tenant, URL: d.URL, Detail: "no tenant in git or in state has it"})
		}
	}
	slices.SortStableFunc(orphans, func(a, b Orphan) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	return orphans, nil
}

// isUnknown tells that a tenant is not recorded.
func isUnknown(err error) bool { return errors.Is(err, protocol.ErrUnknownTenant) }

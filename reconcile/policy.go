package reconcile

import (
	"fmt"
	"math"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/state"
)

// SnapshotPolicy is what fleet.yaml says about snapshots.
func SnapshotPolicy(c config.Fleet) deploy.SnapshotPolicy {
	return deploy.SnapshotPolicy{Keep: c.Snapshots.Keep, MaxBytes: c.Snapshots.MaxBytes}
}

// MaxLock is what fleet.yaml says about how long writers may be kept waiting.
func MaxLock(c config.Fleet) deploy.MaxLock {
	return deploy.MaxLock{File: c.MaxLock.File.Duration(), Remote: c.MaxLock.Remote.Duration()}
}

// SnapshotPolicy is what the fleet.yaml says that was read last, and whether
// one was. It may be called at any time, by any goroutine.
func (r *Reconciler) SnapshotPolicy() (deploy.SnapshotPolicy, bool) {
	if policy := r.snapshots.Load(); policy != nil {
		return *policy, true
	}
	return deploy.SnapshotPolicy{}, false
}

// Approval is whose approvals count by the fleet.yaml that was read last. Until
// one was, those of authors do not. It may be called at any time, by any
// goroutine.
func (r *Reconciler) Approval() config.Approval {
	if a := r.approval.Load(); a != nil {
		return *a
	}
	return config.Approval{NotByAuthor: true}
}

// policyOf is the policy for a tenant in the words of a deployment: the
// fleet's, and the tenant's own where that is stricter.
func policyOf(c config.Fleet, own *config.OwnPolicy, ownDrift config.Drift) deploy.Policy {
	p := c.Policy
	if own != nil {
		p, _ = p.With(*own)
	}
	drift, _ := c.Drift.With(ownDrift)
	return deploy.Policy{
		Plan: deploy.PlanPolicy{
			NullableRequired: c.NotNull == config.NotNullEngine,
			SeedMode:         string(c.Seed),
			KeepValues:       p.Destructive != config.Allow,
			Retire:           c.Retention.Duration() > 0,
		},
		Retention: c.Retention.Duration(),
		Classes: map[string]string{
			"additive": string(p.Additive), "widening": string(p.Widening), "rewrite": string(p.Rewrite),
			"narrowing": string(p.Narrowing), "destructive": string(p.Destructive),
		},
		Drift:       string(drift),
		RollBack:    c.OnFailedVerify == config.VerifyRollback,
		NotByAuthor: c.Approval.NotByAuthor,
	}
}

// tenantPolicy is the policy for a tenant in the words of a deployment.
func tenantPolicy(c config.Fleet, t bundle.TenantSpec) deploy.Policy {
	p := policyOf(c, t.Policy, t.Drift)
	p.Plan.DropTables = t.DropTables
	return underHold(p, t.LegalHold)
}

// underHold is a policy for a tenant that may be under a legal hold: then what
// goes is retired, and is never due.
func underHold(p deploy.Policy, hold *bundle.LegalHold) deploy.Policy {
	if hold == nil {
		return p
	}
	p.Plan.Retire, p.Retention = true, math.MaxInt64
	return p
}

// heldBy is the legal hold of a tenant by a file of it that does not count alone:
// one of an earlier commit, or of one that is broken. It sets a hold and lifts none.
func heldBy(known state.Tenant, spec bundle.TenantSpec) *bundle.LegalHold {
	if spec.LegalHold == nil {
		return known.Spec.LegalHold
	}
	return spec.LegalHold
}

// common is the policy of the tenants that have none of their own, once for all
// of them, and as text.
type common struct {
	policy deploy.Policy
	text   string
}

func commonOf(c config.Fleet) common {
	p := tenantPolicy(c, bundle.TenantSpec{})
	return common{p, policyText(p)}
}

func policyText(p deploy.Policy) string { return fmt.Sprintf("%+v", p) }

func ownPolicy(t bundle.TenantSpec) bool {
	return t.Policy != nil || t.Drift != "" || t.LegalHold != nil || len(t.DropTables) > 0
}

// policy is that of a tenant; its map is not to be written to.
func (f *reading) policy(t *bundle.Tenant) deploy.Policy {
	if f.past || f.leapt { // nothing is purged on account of what fleet.yaml once said, or of a clock that may be wrong
		spec := t.Spec
		spec.LegalHold = heldBy(f.records[t.ID], spec)
		p := tenantPolicy(f.loaded.Config, spec)
		p.Retention = math.MaxInt64
		return p
	}
	if ownPolicy(t.Spec) || f.common.text == "" {
		return tenantPolicy(f.loaded.Config, t.Spec)
	}
	return f.common.policy
}

// policyText is a tenant's policy as text.
func (f *reading) policyText(t *bundle.Tenant, p deploy.Policy) string {
	if f.past || f.leapt || ownPolicy(t.Spec) || f.common.text == "" {
		return policyText(p)
	}
	return f.common.text
}

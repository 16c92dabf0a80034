package reconcile

import (
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
)

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
		NotByAuthor: c.Approval.NotByAuthor,
	}
}

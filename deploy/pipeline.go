package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/tenantrouter"
)

// PipelineConfig is what a Pipeline works with. All of it is required but
// Policy, Snapshots and Quotas.
type PipelineConfig struct {
	Deployer    *Deployer // with a Store
	Tenants     tenants
	Fleet       string // that the tenants' databases belong to
	Environment string // prod, dev or test: seed sets for others are left out
	Policy      Policy // drift is always healed: the caller has seen the plan
	Snapshots   SnapshotPolicy
	Quotas      func(protocol.TenantID) tenantrouter.Quotas // nil for none
}

// tenants opens the databases of tenants.
type tenants interface {
	// Open opens a tenant's database for writing. A tenant that is not known
	// gives an error matching protocol.ErrUnknownTenant.
	Open(ctx context.Context, tenant protocol.TenantID) (database.Conn, error)
}

// Pipeline is the protocol's deploy pipeline over a Deployer. It may be used
// by many goroutines at once.
type Pipeline struct {
	config PipelineConfig
	memory memory
}

var _ protocol.DeployPipelineService = (*Pipeline)(nil)

// NewPipeline returns a Pipeline.
func NewPipeline(c PipelineConfig) *Pipeline {
	c.Policy.Drift = "heal"
	return &Pipeline{config: c}
}

// PlanDeployment plans a bundle for a tenant and remembers both. Rows or a
// policy that stand in the way do not keep it from being planned, but from
// being executed. A bundle with errors gives an error matching
// bundle.ErrInvalid.
func (p *Pipeline) PlanDeployment(ctx context.Context, tenant protocol.TenantID, b protocol.DeployBundle) (protocol.MigrationPlan, error) {
	fail := func(err error) (protocol.MigrationPlan, error) {
		return protocol.MigrationPlan{}, fmt.Errorf("plan deployment of tenant %q: %w", tenant, err)
	}
	if err := invalid(p.ValidateBundle(b)); err != nil {
		return fail(err)
	}
	desired, err := compile(p.seedsHere(b))
	if err != nil {
		return fail(err)
	}
	conn, err := p.config.Tenants.Open(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	a := p.config.Deployer.Assess(ctx, conn, p.request(tenant, desired))
	takes := time.Duration(0)
	if a.Plan != nil {
		takes = Estimate(ctx, conn, a.Plan)
	}
	if err := conn.Close(); err != nil {
		return fail(err)
	}
	if a.Plan == nil && a.Err != nil {
		return fail(a.Err)
	}
	migration := protocol.MigrationPlan{Statements: []protocol.MigrationStatement{}, Dialect: schema.Dialect, Reversible: true}
	if a.Plan != nil {
		migration = a.Plan.Migration
		migration.Statements = slices.Clone(migration.Statements) // the caller's own; a.Plan is shared
		estimated := takes.Milliseconds()
		migration.EstimatedDurationMs = &estimated
	}
	p.memory.remember(planKey(tenant, migration), remembered{desired: desired, plan: planDigest(a.Plan)})
	return migration, nil
}

// ExecuteDeployment runs a plan that PlanDeployment made, with the seed data
// and the metadata of the bundle that it was made for: the bundle planned
// last, when several needed the same statements. Only the newest maxPlans
// plans are known.
func (p *Pipeline) ExecuteDeployment(ctx context.Context, tenant protocol.TenantID, m protocol.MigrationPlan) (result protocol.DeployExecutionResult, err error) {
	fail := func(err error) (protocol.DeployExecutionResult, error) {
		return result, fmt.Errorf("execute deployment of tenant %q: %w", tenant, err)
	}
	planned, ok := p.memory.recall(planKey(tenant, m))
	if !ok {
		return fail(fmt.Errorf("%w, or too long ago; plan the bundle again and execute what that gives", protocol.ErrUnknownPlan))
	}
	conn, err := p.config.Tenants.Open(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	result, err = p.run(ctx, conn, p.request(tenant, planned.desired), planned.plan)
	if err := errors.Join(err, conn.Close()); err != nil {
		return fail(err)
	}
	return result, nil
}

// run carries a request out if it still leads to the plan of that digest.
func (p *Pipeline) run(ctx context.Context, conn database.Conn, r Request, digest string) (protocol.DeployExecutionResult, error) {
	start := p.config.Deployer.now()
	a := p.config.Deployer.Assess(ctx, conn, r)
	switch {
	case a.Plan == nil && a.Err != nil:
		return protocol.DeployExecutionResult{}, a.Err
	case planDigest(a.Plan) != digest:
		return protocol.DeployExecutionResult{}, fmt.Errorf("%w: the tenant has changed since; plan the bundle again", protocol.ErrStalePlan)
	}
	done := p.config.Deployer.carryOut(ctx, conn, r, a, start)
	switch {
	case errors.Is(done.Err, apply.ErrStale):
		return protocol.DeployExecutionResult{}, fmt.Errorf("%w: plan the bundle again: %w", protocol.ErrStalePlan, done.Err)
	case done.Changed:
		return p.execution(done, start), done.Err // an error: committed, and not recorded
	}
	return p.execution(done, start), nil
}

// execution says the result of a deployment in the protocol's words. One that
// had nothing to do is the newest there is.
func (p *Pipeline) execution(done Result, start time.Time) protocol.DeployExecutionResult {
	now := p.config.Deployer.now()
	result := protocol.DeployExecutionResult{
		DeploymentID: done.DeploymentID, Status: protocol.DeployReady, StatementsExecuted: done.Statements,
		DurationMs:  float64(now.Sub(start).Microseconds()) / 1000,
		CompletedAt: now.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if result.DeploymentID == "" && done.seen.Record.Last != nil {
		result.DeploymentID = done.seen.Record.Last.Deployment
	}
	if done.Err != nil && !done.Changed {
		result.Status, result.Error = protocol.DeployFailed, done.Message
		if done.Next != "" {
			result.Error += " (" + done.Next + ")"
		}
	}
	return result
}

func (p *Pipeline) request(tenant protocol.TenantID, desired *bundle.Desired) Request {
	var quotas tenantrouter.Quotas
	if p.config.Quotas != nil {
		quotas = p.config.Quotas(tenant)
	}
	return Request{
		Owner: p.owner(tenant), Quotas: quotas,
		Desired: desired, Policy: p.config.Policy, Snapshots: p.config.Snapshots, Subject: "bundle " + desired.Bundle.Manifest.Version,
	}
}

func (p *Pipeline) owner(tenant protocol.TenantID) apply.Owner {
	return apply.Owner{Fleet: p.config.Fleet, Environment: p.config.Environment, Tenant: string(tenant)}
}

// seedsHere leaves out the seed sets that are meant for other environments.
func (p *Pipeline) seedsHere(b protocol.DeployBundle) protocol.DeployBundle {
	b.SeedData = slices.DeleteFunc(slices.Clone(b.SeedData), func(definition map[string]any) bool {
		set, _ := shape.Parse[protocol.Dataset](definition, shape.Strip)
		return !slices.Contains(set.Env, p.config.Environment)
	})
	return b
}

// compile composes the bundle of a caller like that of a file.
func compile(b protocol.DeployBundle) (*bundle.Desired, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not JSON: %w", bundle.ErrInvalid, err)
	}
	desired, faults := bundle.Compile(text)
	if desired == nil {
		return nil, &bundle.InvalidError{Faults: faults}
	}
	return desired, nil
}

// planDigest is empty for a tenant that has nothing to do.
func planDigest(p *plan.Plan) string {
	if p == nil {
		return ""
	}
	return p.Digest
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func planCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "plan",
		Short: "what sync would do; writes nothing",
		Long: `Say what "reconciler sync" would do to every tenant: its changes, statements, risk,
the rows that stand in the way, and the digest by which the plan is known.
Tenants that need the same plan are shown together.

Nothing is written to a tenant, to state or to the data directory, which need
not exist; only the clone of a remote repository that is kept in it is brought
up to date. Exit code 1: there is something to do. 3: some tenants are blocked
or cannot be looked at.`,
		Example: `  reconciler plan --repo ./company --data ./data
  reconciler plan --repo ./company --data ./data --revision add-vat-number
  reconciler plan --repo ./company --data ./data -o json | jq -r '.tenants[] | .tenant + " " + .action'`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error { return c.plan(ctx) }),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "log-format")
	c.revisionFlag(command)
	c.tenantFlag(command)
	return command
}

func (c *cli) plan(ctx context.Context) error {
	w, err := c.openFleetToLook(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	report, err := reconcile.New(w.config).Plan(ctx, c.selection())
	if err != nil {
		return err
	}
	answer := planAnswerOf(report)
	if err := c.print(answer, answer.people); err != nil {
		return err
	}
	switch {
	case report.Status == state.Partial:
		return outcome(exitPartial)
	case slices.ContainsFunc(report.Tenants, changes):
		return outcome(exitChanges)
	}
	return nil
}

// planAnswer is what a pass would do.
type planAnswer struct {
	Revision *string      `json:"revision"`
	Tenants  []planTenant `json:"tenants"`

	commit gitrepo.Commit
}

// planTenant is what a pass would do to one tenant.
type planTenant struct {
	Tenant     protocol.TenantID       `json:"tenant"`
	Action     deploy.Action           `json:"action"`
	Class      *diff.Class             `json:"class"` // the most dangerous one of the plan's changes
	PlanDigest *string                 `json:"planDigest"`
	Diff       *protocol.DeployDiff    `json:"diff"`
	Plan       *protocol.MigrationPlan `json:"plan"`
	PreChecks  []preCheck              `json:"preChecks"`
	Warnings   []plan.Warning          `json:"warnings"`
	Quotas     []quotaAnswer           `json:"quotas"` // that it adds to
	Error      *problem                `json:"error"`

	made *plan.Plan
}

// preCheck is a query that must find no row before the plan may run.
type preCheck struct {
	plan.PreCheck
	Count *int64   `json:"count"` // null when it was not asked, since the plan may not run anyway
	IDs   []string `json:"ids"`   // of the first rows
}

// changes tells that a sync would do something to the tenant.
func changes(t reconcile.Tenant) bool {
	switch t.Result.Action {
	case deploy.Create, deploy.Update, reconcile.Resume:
		return true
	case reconcile.Suspend, reconcile.Remove:
		return t.Health == state.Suspended && t.Sync == state.OutOfSync
	}
	return false
}

func planAnswerOf(r reconcile.Report) planAnswer {
	answer := planAnswer{Revision: optional(r.Revision.Hash), Tenants: []planTenant{}, commit: r.Revision}
	for _, t := range r.Tenants {
		answer.Tenants = append(answer.Tenants, planTenantOf(t))
	}
	return answer
}

func planTenantOf(t reconcile.Tenant) planTenant {
	answer := planTenant{
		Tenant: t.ID, Action: t.Result.Action, PreChecks: []preCheck{}, Warnings: []plan.Warning{}, Quotas: []quotaAnswer{},
		Error: problemOf(t.Result.Reason, t.Result.Message, t.Result.Next),
	}
	for _, f := range t.Faults {
		if !f.IsError() {
			answer.Warnings = append(answer.Warnings, plan.Warning{Code: f.Code, Message: f.Error()})
		}
	}
	for _, q := range t.Result.Quotas {
		answer.Quotas = append(answer.Quotas, quotaAnswerOf(q))
	}
	made := t.Result.Plan
	if made == nil {
		return answer
	}
	migration, takes := made.Migration, max(1, t.Estimate.Milliseconds()) // plans are shared, estimates are not
	migration.EstimatedDurationMs = &takes
	answer.made, answer.PlanDigest, answer.Diff, answer.Plan = made, &made.Digest, &made.Diff, &migration
	class := made.Class()
	answer.Class = &class
	answer.Warnings = append(answer.Warnings, made.Warnings...)
	if d := t.Result.Differences; len(d) > 0 {
		answer.Warnings = append(answer.Warnings, plan.Warning{
			Code: "drift", Message: fmt.Sprintf("somebody changed %s by hand, and the plan puts that right: %s", t.ID, deploy.Words(d)),
		})
	}
	if t.Result.Staged {
		answer.Warnings = append(answer.Warnings, plan.Warning{Code: "staged", Message: staged(t.ID, made)})
	}
	for _, f := range made.Foreign {
		answer.Warnings = append(answer.Warnings, foreign(f))
	}
	for _, check := range made.PreChecks {
		answer.PreChecks = append(answer.PreChecks, preCheckOf(check, t.Result.Assessment))
	}
	return answer
}

// staged says how a plan goes that would keep writers waiting too long.
func staged(tenant protocol.TenantID, p *plan.Plan) string {
	var tables []string
	for _, f := range p.Staged.Fills {
		tables = append(tables, f.Table)
	}
	return fmt.Sprintf("%s has too many rows for one transaction (maxLock): %s is filled in batches first, while applications write, and the plan then takes effect at once",
		tenant, strings.Join(tables, ", "))
}

// foreign is the warning about something that the reconciler did not make.
func foreign(f diff.Foreign) plan.Warning {
	name := f.Name
	if f.Table != f.Name {
		name = f.Table + "." + f.Name
	}
	return plan.Warning{Code: "foreign", Message: fmt.Sprintf("%s %s was made by somebody else and is kept", f.Kind, name)}
}

func preCheckOf(check plan.PreCheck, a deploy.Assessment) preCheck {
	answer := preCheck{PreCheck: check, IDs: []string{}}
	if a.Checked {
		answer.Count = new(int64)
	}
	for _, f := range a.Findings {
		if f.PreCheck == check {
			*answer.Count, answer.IDs = f.Count, f.IDs
		}
	}
	return answer
}

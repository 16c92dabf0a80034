package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

func syncCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "sync",
		Short: "one pass over the fleet, then exit",
		Long: `Bring every tenant's database to the revision, and say what was done to each.

With waves in fleet.yaml it goes on from wave to wave as far as it may without
waiting: up to one that bakes, that a person has to let begin, or that a window
keeps waiting. The next sync goes on from there. Tenants that --tenant names do not
wait, for nothing of this.

A tenant that fails does not hold up the others: the exit code is 3 then, and when
tenants wait for their wave, and the answer has the reason and the next step. Only one process works on a data
directory at a time. The first SIGINT or SIGTERM lets what is under way finish.`,
		Example: `  reconciler sync --repo ./company --data ./data
  reconciler sync --repo ./company --data ./data --tenant acme --tenant globex
  reconciler sync --repo https://git.example/company.git --data ./data --revision v2 -o json`,
		Args: cobra.NoArgs,
		RunE: c.start(func(ctx context.Context, _ []string) error { return c.sync(ctx) }),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "actor", "log-format")
	c.revisionFlag(command)
	c.tenantFlag(command)
	c.acceptFlag(command, "deploy a branch that has left the commit deployed last behind, as after a force push")
	return command
}

// acceptFlag adds --accept-rewrite, by which a person agrees to a force push.
func (c *cli) acceptFlag(command *cobra.Command, usage string) {
	command.Flags().BoolVar(&c.acceptRewrite, "accept-rewrite", false, usage)
}

func (c *cli) tenantFlag(command *cobra.Command) {
	command.Flags().StringArrayVar(&c.tenants, "tenant", nil, "only this tenant; may be given several times")
}

// selection is the part of the fleet that flags name.
func (c *cli) selection() reconcile.Selection {
	s := reconcile.Selection{Revision: c.revision, AcceptRewrite: c.acceptRewrite}
	for _, id := range c.tenants {
		s.Tenants = append(s.Tenants, protocol.TenantID(id))
	}
	return s
}

func (c *cli) sync(ctx context.Context) error {
	report, err := c.syncFleet(ctx)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return err
	case err != nil && len(report.Tenants) == 0:
		if c.output == asTable {
			return err // which says it all to people
		}
		report = reconcile.Report{Status: state.Failed}
	}
	answer := syncAnswerOf(report)
	err = errors.Join(err, c.print(answer, answer.people))
	if err == nil && report.Status == state.Partial {
		return outcome(exitPartial)
	}
	return err
}

func (c *cli) syncFleet(ctx context.Context) (reconcile.Report, error) {
	w, err := c.openFleet(ctx)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer w.close()
	progress := c.progress()
	defer progress.clear()
	w.config.OnRead, w.config.OnTenant = progress.begin, progress.tenant
	w.config.By = deploy.Doer{Actor: c.actor(), Via: viaCLI}
	return reconcile.New(w.config).Sync(ctx, c.selection())
}

// syncAnswer is what a pass did.
type syncAnswer struct {
	Revision *string         `json:"revision"`
	Status   state.Operation `json:"status"`
	Tenants  []syncTenant    `json:"tenants"`

	commit gitrepo.Commit
}

// syncTenant is what a pass did to one tenant.
type syncTenant struct {
	Tenant       protocol.TenantID `json:"tenant"`
	Status       string            `json:"status"`       // its health, or its sync when that is good, or Held
	DeploymentID *string           `json:"deploymentId"` // null when there was nothing to try
	PlanDigest   *string           `json:"planDigest"`
	Statements   int               `json:"statements"`
	DurationMs   float64           `json:"durationMs"`
	SeedIssues   []plan.SeedIssue  `json:"seedIssues"` // records left out, with seed: skip
	Error        *problem          `json:"error"`

	duration time.Duration
}

func syncAnswerOf(r reconcile.Report) syncAnswer {
	answer := syncAnswer{
		Revision: optional(r.Revision.Hash), Status: r.Status, Tenants: []syncTenant{}, commit: r.Revision,
	}
	for _, t := range r.Tenants {
		answer.Tenants = append(answer.Tenants, syncTenantOf(t))
	}
	return answer
}

func syncTenantOf(t reconcile.Tenant) syncTenant {
	answer := syncTenant{
		Tenant: t.ID, Status: word(t.Sync, t.Health), DeploymentID: optional(t.Result.DeploymentID),
		Statements: t.Result.Statements, DurationMs: milliseconds(t.Result.Duration), duration: t.Result.Duration,
		SeedIssues: append([]plan.SeedIssue{}, t.Result.SeedIssues...),
		Error:      problemOf(t.Result.Reason, t.Result.Message, t.Result.Next),
	}
	if t.Result.Plan != nil {
		answer.PlanDigest = &t.Result.Plan.Digest
	}
	if t.Result.Action == reconcile.Held {
		answer.Status = "Held"
	}
	return answer
}

// word says in one word how a tenant is.
func word(sync state.Sync, health state.Health) string {
	if health != state.Healthy {
		return string(health)
	}
	return string(sync)
}

func (a syncAnswer) people(p *page) {
	p.commit(a.commit)
	p.line("%s: %s", p.word(string(a.Status)), plural(len(a.Tenants), "tenant"))
	p.line("")
	var rows [][]string
	for _, t := range a.Tenants {
		rows = append(rows, []string{
			string(t.Tenant), orDash(short(text(t.PlanDigest))), fmt.Sprint(t.Statements), elapsed(t.duration), t.Status,
		})
	}
	p.table([]string{"TENANT", "PLAN", "STATEMENTS", "TIME", "STATUS"}, rows)
	var wrong []tenantProblem
	for _, t := range a.Tenants {
		wrong = append(wrong, tenantProblem{t.Tenant, t.Error})
	}
	p.problems(wrong)
	for _, t := range a.Tenants {
		for _, issue := range t.SeedIssues {
			p.line("%s: seed %s", t.Tenant, issue)
		}
	}
}

// commit adds the line that names a revision.
func (p *page) commit(c gitrepo.Commit) {
	if c.Hash != "" {
		p.line("commit %s %q by %s", short(c.Hash), c.Subject, c.Author)
	}
}

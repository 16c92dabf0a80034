package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func showCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "show DEPLOYMENT",
		Short: "a deployment with its diff, statements, timing and error",
		Long: `Show one deployment: the commit it came from, the statuses it went through, what
it changed, each statement with the time it took, and the error it ended with.

DEPLOYMENT is an id as "reconciler history" prints it, or its first digits. The
command works while the daemon runs.`,
		Example: `  reconciler show --data ./data 019a1f2e-44c0
  reconciler show --data ./data 019a1f2e-44c0 -o json | jq -r '.plan.statements[].sql'`,
		Args: cobra.ExactArgs(1),
		RunE: c.reading(func(ctx context.Context, store *state.Store, args []string) error {
			deployment, err := deploymentOf(ctx, store, args[0])
			if err != nil {
				return err
			}
			ran, err := c.planOf(ctx, store, deployment)
			if err != nil {
				return err
			}
			answer := showAnswerOf(deployment, ran)
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "secrets-dir")
	return command
}

// deploymentOf finds a deployment by its id or the first digits of that.
func deploymentOf(ctx context.Context, store *state.Store, id string) (state.Deployment, error) {
	d, err := store.Deployment(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		err = fmt.Errorf("there is no deployment %q: \"reconciler history TENANT\" lists those of a tenant", id)
	}
	return d, err
}

// planOf returns the plan of a deployment as state has it, or the statements
// that the tenant's journal has: those are left when state was rebuilt. It is
// nil when there is neither, as for an attempt that got no plan.
func (c *cli) planOf(ctx context.Context, store *state.Store, d state.Deployment) (*plan.Plan, error) {
	stored, err := store.Plan(ctx, d.PlanDigest)
	if err == nil {
		return plan.Decode(stored.Body)
	}
	if !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	if d.Status != protocol.DeployReady {
		return nil, nil
	}
	conn, err := c.openTenant(ctx, store, d.Tenant)
	if err != nil {
		return nil, fmt.Errorf("state has no plan %.12s; look into the tenant's journal: %w", d.PlanDigest, err)
	}
	defer conn.Close()
	entries, err := apply.Journal(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", d.Tenant, err)
	}
	for _, e := range entries {
		if e.Deployment == d.ID {
			return journaled(e), nil
		}
	}
	return nil, nil
}

// journaled is what a journal keeps of a plan.
func journaled(e apply.Entry) *plan.Plan {
	p := &plan.Plan{Digest: e.Plan, WayBack: e.WayBack}
	for i, sql := range e.Statements {
		p.Migration.Statements = append(p.Migration.Statements, protocol.MigrationStatement{SQL: sql, Order: i})
	}
	return p
}

// showAnswer is one deployment with everything that is known about it.
type showAnswer struct {
	deploymentAnswer
	Diff           *protocol.DeployDiff    `json:"diff"`
	Plan           *protocol.MigrationPlan `json:"plan"`
	StatementMs    []float64               `json:"statementMs"` // by statement of plan; empty when not known
	Registry       int                     `json:"registry"`    // statements on registered metadata
	Seeds          int                     `json:"seeds"`       // seed statements
	WayBack        []string                `json:"wayBack"`
	statementTimes []time.Duration
}

func showAnswerOf(d state.Deployment, ran *plan.Plan) showAnswer {
	answer := showAnswer{
		deploymentAnswer: deploymentAnswerOf(d), StatementMs: []float64{}, WayBack: []string{},
		statementTimes: d.StatementTimes,
	}
	for _, t := range d.StatementTimes {
		answer.StatementMs = append(answer.StatementMs, milliseconds(t))
	}
	if ran == nil {
		return answer
	}
	answer.Plan, answer.Registry, answer.Seeds = &ran.Migration, len(ran.Registry), len(ran.Seeds)
	if ran.Bundle != "" { // a journal has no diff
		answer.Diff = &ran.Diff
	}
	answer.WayBack = append(answer.WayBack, ran.WayBack...)
	return answer
}

func (a showAnswer) people(p *page) {
	p.line("deployment  %s", a.ID)
	p.line("tenant      %s", a.Tenant)
	p.line("commit      %s %s", a.Revision, a.commit())
	p.line("author      %s", author(a.Author, a.AuthorEmail))
	p.line("status      %s", p.word(string(a.Status)))
	p.line("started     %s, took %s", a.StartedAt, elapsed(a.duration))
	p.line("plan        %s", orDash(text(a.PlanDigest)))
	p.line("bundle      %s", a.BundleDigest)
	if a.PreviousBundle != nil {
		p.line("before      %s", *a.PreviousBundle)
	}
	if a.Error != nil {
		p.line("reason      %s: %s", a.Error.Reason, a.Error.Message)
		p.line("next        %s", a.Error.Next)
	}
	p.transitions(a.Transitions)
	if a.Diff != nil {
		p.diff(*a.Diff)
	}
	if a.Plan != nil {
		p.statements(a.Plan.Statements, a.statementTimes)
		p.line("\nand %s of metadata, %s", plural(a.Registry, "row"), plural(a.Seeds, "seed record"))
	}
}

func author(name, email string) string {
	if email == "" {
		return orDash(name)
	}
	return fmt.Sprintf("%s <%s>", name, email)
}

// transitions adds the statuses of a deployment and when each began.
func (p *page) transitions(list []state.Transition) {
	var rows [][]string
	for _, t := range list {
		at := "-"
		if len(rows) > 0 {
			at = "+" + t.At.Sub(list[0].At).String()
		}
		rows = append(rows, []string{string(t.Status), at})
	}
	p.line("")
	p.table([]string{"STATUS", "AFTER"}, rows)
}

// diff adds the changes of a deployment: + added, ~ modified, - removed.
func (p *page) diff(d protocol.DeployDiff) {
	p.line("\nchanges")
	if len(d.Changes) == 0 {
		p.line("  none")
	}
	for _, c := range d.Changes {
		p.line("  %s", changed(c.ChangeType, c.EntityType, c.ParentEntity, c.EntityName))
	}
}

// changed is one change in a line: "+ field customer.phone".
func changed(what protocol.ChangeType, kind protocol.EntityType, parent, name string) string {
	sign := map[protocol.ChangeType]string{protocol.ChangeAdded: "+", protocol.ChangeModified: "~", protocol.ChangeRemoved: "-"}
	if parent != "" {
		name = parent + "." + name
	}
	return fmt.Sprintf("%s %s %s", sign[what], kind, name)
}

// statements adds numbered statements, with their times where they are known.
func (p *page) statements(list []protocol.MigrationStatement, times []time.Duration) {
	p.line("\nstatements")
	if len(list) == 0 {
		p.line("  none")
	}
	for i, s := range list {
		took := ""
		if i < len(times) {
			took = "  -- " + elapsed(times[i])
		}
		p.line("  %3d  %s%s", i+1, strings.ReplaceAll(s.SQL, "\n", "\n       "), took)
	}
}

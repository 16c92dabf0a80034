package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func historyCommand(c *cli) *cobra.Command {
	limit := uint(20)
	command := &cobra.Command{
		Use:   "history TENANT",
		Short: "deployments of a tenant, newest first",
		Long: `List what was tried on a tenant, newest first: each deployment with its commit,
how it ended, how many statements ran and how long it took.

It reads DIR/state.db alone, and works while the daemon runs.`,
		Example: `  reconciler history --data ./data acme
  reconciler history --data ./data acme --limit 0 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: c.reading(func(ctx context.Context, store *state.Store, args []string) error {
			answer, err := historyOf(ctx, store, protocol.TenantID(args[0]), int(limit))
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	command.Flags().UintVar(&limit, "limit", limit, "show this `number`; 0 for all")
	return command
}

// historyAnswer is what was tried on a tenant.
type historyAnswer struct {
	Tenant      protocol.TenantID  `json:"tenant"`
	Deployments []deploymentAnswer `json:"deployments"`
}

// deploymentAnswer is one attempt.
type deploymentAnswer struct {
	ID              string                `json:"id"`
	Tenant          protocol.TenantID     `json:"tenant"`
	Status          protocol.DeployStatus `json:"status"`
	Revision        string                `json:"revision"`
	Author          string                `json:"author"`
	AuthorEmail     string                `json:"authorEmail"`
	Subject         string                `json:"subject"`
	Reverts         *string               `json:"reverts"` // the commit that Revision takes back
	Rollout         *int                  `json:"rollout"` // that it belongs to; null for none
	BundleDigest    string                `json:"bundleDigest"`
	PreviousBundle  *string               `json:"previousBundle"`
	PlanDigest      *string               `json:"planDigest"`
	FromFingerprint string                `json:"fromFingerprint"`
	ToFingerprint   *string               `json:"toFingerprint"`
	Statements      int                   `json:"statements"`
	DurationMs      float64               `json:"durationMs"`
	StartedAt       *stamp                `json:"startedAt"`
	CompletedAt     *stamp                `json:"completedAt"`
	Transitions     []state.Transition    `json:"transitions"`
	Reason          *string               `json:"reason"` // heal for one that put drift right; null for others
	Error           *problem              `json:"error"`

	duration time.Duration
}

func deploymentAnswerOf(d state.Deployment) deploymentAnswer {
	var rollout *int
	if d.Rollout > 0 {
		rollout = &d.Rollout
	}
	answer := deploymentAnswer{
		Rollout: rollout,
		ID:      d.ID, Tenant: d.Tenant, Status: d.Status,
		Revision: d.Revision, Author: d.Author, AuthorEmail: d.AuthorEmail, Subject: d.Subject, Reverts: optional(d.Reverts),
		BundleDigest: d.BundleDigest, PreviousBundle: optional(d.PreviousBundle), PlanDigest: optional(d.PlanDigest),
		FromFingerprint: d.FromFingerprint, ToFingerprint: optional(d.ToFingerprint),
		Statements: d.Statements, DurationMs: milliseconds(d.Duration),
		StartedAt: stampOf(d.StartedAt), CompletedAt: stampOf(d.CompletedAt),
		Transitions: d.Transitions, duration: d.Duration,
	}
	if d.Error == "" {
		answer.Reason = optional(d.Reason)
	} else {
		answer.Error = problemOf(d.Reason, d.Error, d.Next)
	}
	return answer
}

// commit is the subject of the commit and what it takes back.
func (d deploymentAnswer) commit() string {
	switch {
	case d.Reason != nil:
		return *d.Reason + " (" + d.Subject + ")"
	case d.Reverts == nil:
		return d.Subject
	}
	return d.Subject + " (reverts " + short(*d.Reverts) + ")"
}

func historyOf(ctx context.Context, store *state.Store, tenant protocol.TenantID, limit int) (historyAnswer, error) {
	answer := historyAnswer{Tenant: tenant, Deployments: []deploymentAnswer{}}
	deployments, err := store.Deployments(ctx, tenant, limit)
	if err != nil {
		return answer, err
	}
	if _, seen, err := store.ObservedOf(ctx, tenant); err != nil {
		return answer, err
	} else if !seen && len(deployments) == 0 {
		return answer, unseen(tenant)
	}
	for _, d := range deployments {
		answer.Deployments = append(answer.Deployments, deploymentAnswerOf(d))
	}
	return answer, nil
}

// unseen is the error for a tenant that state does not know.
func unseen(tenant protocol.TenantID) error {
	return fmt.Errorf("tenant %q has not been seen: \"reconciler status\" lists those that have", tenant)
}

func (a historyAnswer) people(p *page) {
	if len(a.Deployments) == 0 {
		p.line("nothing has been deployed to %s", a.Tenant)
	}
	var rows [][]string
	for _, d := range a.Deployments {
		rows = append(rows, []string{
			d.StartedAt.String(), d.ID, string(d.Status), short(d.Revision), d.Author,
			fmt.Sprint(d.Statements), elapsed(d.duration), d.commit(),
		})
	}
	p.table([]string{"STARTED", "DEPLOYMENT", "STATUS", "REVISION", "AUTHOR", "STATEMENTS", "TIME", "COMMIT"}, rows)
	for _, d := range a.Deployments {
		if d.Error != nil {
			p.line("")
			p.problem(d.ID, d.Error)
		}
	}
}

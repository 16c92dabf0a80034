package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/state"
)

func approveCommand(c *cli) *cobra.Command {
	var q approveRequest
	command := &cobra.Command{
		Use:   "approve PLAN",
		Short: "let a plan run whose changes need approval",
		Long: `Approve one plan, by its digest or the first 12 digits or more of it, for every
tenant that needs just this plan. A class of change that fleet.yaml has "approve"
for runs then; one that it has "deny" for does not.

A tenant that waits names the digest in "reconciler status". Another commit, or
another schema to start from, is another plan and needs another approval. With
"approval: {notByAuthor: true}" in fleet.yaml the approval of the author of the
commit does not count.`,
		Example: `  reconciler approve 6f4ce1997b2c --reason "names were cleaned up" --data ./data
  reconciler approve 6f4ce1997b2c --actor "Bo Lind <bo@example.com>" --data ./data`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			q.Plan, q.Actor = strings.ToLower(args[0]), c.actor()
			if err := q.check(); err != nil {
				return err
			}
			answer, err := change(ctx, c, approvePath, q, (*control).approve)
			if err != nil {
				return err
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data", "actor")
	command.Flags().StringVar(&q.Reason, "reason", "", "why, for the record")
	return command
}

func approvalsCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "approvals",
		Short: "plans that were approved, newest first",
		Long: `List who approved which plan, newest first.

It reads DIR/state.db alone, and works while the daemon runs.`,
		Example: `  reconciler approvals --data ./data`,
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, store *state.Store, _ []string) error {
			approvals, err := store.Approvals(ctx, "")
			if err != nil {
				return err
			}
			answer := approvalsAnswer{Approvals: []approvalAnswer{}}
			for _, a := range approvals {
				answer.Approvals = append(answer.Approvals, approvalAnswerOf(a))
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	return command
}

// approveRequest asks for the approval of a plan.
type approveRequest struct {
	Plan   string `json:"plan"` // digest or the beginning of it
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
}

var planPrefix = regexp.MustCompile(`\A[0-9a-f]{12,64}\z`)

func (q approveRequest) check() error {
	if !planPrefix.MatchString(q.Plan) {
		return usagef("%q is no digest of a plan: give at least its first 12 digits, as \"reconciler status\" has them", q.Plan)
	}
	return nil
}

// approvalAnswer is an approval.
type approvalAnswer struct {
	PlanDigest string  `json:"planDigest"`
	Actor      string  `json:"actor"`
	Via        string  `json:"via"`
	Reason     *string `json:"reason"`
	At         *stamp  `json:"at"`
}

func approvalAnswerOf(a state.Approval) approvalAnswer {
	return approvalAnswer{PlanDigest: a.Plan, Actor: a.Actor, Via: a.Via, Reason: optional(a.Reason), At: stampOf(a.At)}
}

// approveAnswer is an approval and what it is of.
type approveAnswer struct {
	approvalAnswer
	Class   diff.Class    `json:"class"`
	Changes []auditChange `json:"changes"`
}

func (a approveAnswer) people(p *page) {
	p.line("%s has approved plan %s, %s", a.Actor, short(a.PlanDigest), a.Class)
	for _, c := range a.Changes {
		p.line("  %s", c)
	}
}

// approvalsAnswer is what was approved, newest first.
type approvalsAnswer struct {
	Approvals []approvalAnswer `json:"approvals"`
}

func (a approvalsAnswer) people(p *page) {
	if len(a.Approvals) == 0 {
		p.line("no plan was approved")
	}
	var rows [][]string
	for _, one := range a.Approvals {
		rows = append(rows, []string{short(one.PlanDigest), one.Actor, one.At.String(), text(one.Reason)})
	}
	p.table([]string{"PLAN", "BY", "WHEN", "REASON"}, rows)
}

// approve records an approval of a plan that is known, by a command.
func (k *control) approve(ctx context.Context, q approveRequest) (approveAnswer, error) {
	return k.approveVia(ctx, q, viaCLI)
}

func (k *control) approveVia(ctx context.Context, q approveRequest, via string) (answer approveAnswer, err error) {
	if err := errors.Join(q.check(), needActor(q.Actor)); err != nil {
		return answer, err
	}
	digest, err := k.store.PlanDigest(ctx, q.Plan)
	if errors.Is(err, state.ErrNotFound) {
		return answer, fmt.Errorf("no plan %s is known here: one is once \"reconciler sync\" or \"run\" has come to a tenant that needs it; "+
			"see \"reconciler status\"", q.Plan)
	}
	if err != nil {
		return answer, err
	}
	stored, err := k.store.Plan(ctx, digest)
	if err != nil {
		return answer, err
	}
	made, err := plan.Decode(stored.Body)
	if err != nil {
		return answer, err
	}
	a := state.Approval{Plan: digest, Actor: q.Actor, Via: via, Reason: q.Reason, At: k.now()}
	if err := k.store.Approve(ctx, a); err != nil {
		return answer, err
	}
	answer = approveAnswer{approvalAnswer: approvalAnswerOf(a), Class: made.Class(), Changes: auditChangesOf(made.Diff.Changes)}
	return answer, k.changed(ctx)
}

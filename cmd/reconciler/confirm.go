package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/state"
)

func confirmCommand(c *cli) *cobra.Command {
	var q confirmRequest
	command := &cobra.Command{
		Use:   "confirm COMMIT",
		Short: "let the tenants go that a commit has no longer",
		Long: `Say that the tenants that COMMIT has no longer are meant to go, where
deletionGuard in fleet.yaml holds that back: "reconciler status" names the commit
and the tenants. It is the commit that the last pass was at, by its first 7 digits
or more. The word holds for that commit alone: after another one it is asked
again.`,
		Example: `  reconciler status --data ./data
  reconciler confirm 0641a47f05db --reason "the trial is over" --data ./data`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			q.Revision, q.Actor = strings.ToLower(args[0]), c.actor()
			answer, err := change(ctx, c, confirmPath, q, (*control).confirm)
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

// confirmRequest says that removals are meant.
type confirmRequest struct {
	Revision string `json:"revision"` // or its beginning
	Actor    string `json:"actor"`
	Reason   string `json:"reason"`
}

// confirmAnswer is a confirmation.
type confirmAnswer struct {
	Revision string  `json:"revision"`
	Actor    string  `json:"actor"`
	Reason   *string `json:"reason"`
	At       *stamp  `json:"at"`
}

func (a confirmAnswer) people(p *page) {
	p.line("what commit %s has no longer may go", short(a.Revision))
}

const leastDigits = 7 // of a commit, as git shows it

// confirm records a confirmation of the commit that waits for one.
func (k *control) confirm(ctx context.Context, q confirmRequest) (answer confirmAnswer, err error) {
	if err := needActor(q.Actor); err != nil {
		return answer, err
	}
	if len(q.Revision) < leastDigits {
		return answer, usagef("%q is not a commit: give its first %d digits or more, as \"reconciler status\" has it", q.Revision, leastDigits)
	}
	pass, ok, err := k.store.LastPass(ctx)
	switch {
	case err != nil:
		return answer, err
	case !ok || pass.WaitingReason == "":
		return answer, errors.New("nothing waits to be confirmed")
	case !strings.HasPrefix(pass.WaitingRevision, q.Revision):
		return answer, fmt.Errorf("what waits to be confirmed is commit %s: %s", pass.WaitingRevision, pass.WaitingMessage)
	}
	word := state.Confirmation{Revision: pass.WaitingRevision, Actor: q.Actor, Via: viaCLI, Reason: q.Reason, At: k.now()}
	if err := k.store.Confirm(ctx, word); err != nil {
		return answer, err
	}
	answer = confirmAnswer{Revision: word.Revision, Actor: word.Actor, Reason: optional(word.Reason), At: stampOf(word.At)}
	return answer, k.changed(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Actions on a rollout, as requests name them.
const (
	rolloutPause   = "pause"
	rolloutResume  = "resume"
	rolloutAbort   = "abort"
	rolloutPromote = "promote"
)

func rolloutPauseCommand(c *cli) *cobra.Command {
	return c.rolloutChange(rolloutPause, &cobra.Command{
		Use:   "pause [ROLLOUT]",
		Short: "stop the rollout that is under way until it is resumed",
		Long: `Stop the rollout that is under way: from now on no tenant of it is tried, whatever
wave it is in. A deployment that is under way ends as it would have. A rollout that
supersedes it is paused too. Tenants without a database are still given one.`,
		Example: `  reconciler rollout pause --reason "support is swamped" --data ./data`,
	}, true)
}

func rolloutResumeCommand(c *cli) *cobra.Command {
	return c.rolloutChange(rolloutResume, &cobra.Command{
		Use:   "resume [ROLLOUT]",
		Short: "let a rollout go on that waits for a person",
		Long: `Let the rollout go on: one that was paused, that pauses before a wave
(pauseBefore in fleet.yaml), or that has halted because too many tenants failed.
After a halt the failures so far do not count again; as many as the budget has may
follow.`,
		Example: `  reconciler rollout resume --data ./data
  reconciler rollout resume --reason "both canaries were test tenants" --data ./data`,
	}, false)
}

func rolloutAbortCommand(c *cli) *cobra.Command {
	return c.rolloutChange(rolloutAbort, &cobra.Command{
		Use:   "abort [ROLLOUT]",
		Short: "end the rollout that is under way",
		Long: `End the rollout: tenants that it has reached stay at the new version, the others
at the old one, until a commit changes what existing tenants should have. Revert
the commit in git as well, or the next one brings it along. "reconciler rollback
--rollout" takes it back where it was.`,
		Example: `  reconciler rollout abort --reason "wrong branch" --data ./data`,
	}, true)
}

func rolloutPromoteCommand(c *cli) *cobra.Command {
	var p fleet.Promotion
	var tenant string
	command := &cobra.Command{
		Use:   "promote [ROLLOUT] --wave WAVE | --all | --tenant TENANT",
		Short: "let a hotfix go on without waiting for bake and window",
		Long: `Let waves begin without waiting for the bake time of the one before and for a
maintenance window: those up to --wave, by name or number, or all. --tenant lets
one tenant go before its wave, even one that pauses before it begins. Pre-checks,
failure budgets and approvals of plans hold as before, and so do a pause and,
for waves, pauseBefore.`,
		Example: `  reconciler rollout promote --all --reason "fixes the outage" --data ./data
  reconciler rollout promote --wave 2 --reason "hotfix" --data ./data
  reconciler rollout promote --tenant acme --reason "they asked for it" --data ./data`,
		Args: cobra.MaximumNArgs(1),
	}
	q := rolloutRequest{Action: rolloutPromote}
	command.RunE = c.start(func(ctx context.Context, args []string) error {
		p.Tenant = protocol.TenantID(tenant)
		q.Promotion = p
		if err := q.check(); err != nil {
			return err
		}
		return c.changeRollout(ctx, args, q)
	})
	setting(command, "data", "actor")
	flags := command.Flags()
	flags.StringVar(&p.Wave, "wave", "", "the `wave`, by name or number, and those before it")
	flags.BoolVar(&p.All, flagAll, false, "all waves")
	flags.StringVar(&tenant, "tenant", "", "this `tenant` alone")
	flags.StringVar(&q.Reason, "reason", "", "why; needed")
	return command
}

// rolloutChange makes a command that changes a rollout of its description.
func (c *cli) rolloutChange(action string, command *cobra.Command, why bool) *cobra.Command {
	q := rolloutRequest{Action: action}
	command.Args = cobra.MaximumNArgs(1)
	command.RunE = c.start(func(ctx context.Context, args []string) error {
		if err := q.check(); err != nil {
			return err
		}
		return c.changeRollout(ctx, args, q)
	})
	setting(command, "data", "actor")
	usage := "why, for the record"
	if why {
		usage = "why; needed"
	}
	command.Flags().StringVar(&q.Reason, "reason", "", usage)
	return command
}

func (c *cli) changeRollout(ctx context.Context, args []string, q rolloutRequest) (err error) {
	if q.Rollout, err = rolloutID(args); err != nil {
		return err
	}
	q.Actor = c.actor()
	answer, err := change(ctx, c, rolloutPath, q, (*control).rollout)
	if err != nil {
		return err
	}
	return c.print(answer, answer.people)
}

// rolloutRequest asks for a rollout to be changed.
type rolloutRequest struct {
	Rollout   int             `json:"rollout,omitempty"` // 0 for the newest
	Action    string          `json:"action"`
	Promotion fleet.Promotion `json:"promotion,omitzero"`
	Actor     string          `json:"actor"`
	Reason    string          `json:"reason"`
}

func (q rolloutRequest) check() error {
	if q.Action != rolloutResume && q.Reason == "" {
		return usagef("--reason is missing: say why, for those who find the rollout so")
	}
	given := 0
	for _, yes := range []bool{q.Promotion.All, q.Promotion.Wave != "", q.Promotion.Tenant != ""} {
		if yes {
			given++
		}
	}
	if q.Action == rolloutPromote && given != 1 {
		return usagef("name what is to go on, once: --wave WAVE, --all or --tenant TENANT")
	}
	return nil
}

// rolloutChanged is a rollout after a command has changed it.
type rolloutChanged struct {
	rolloutAnswer
	Did string `json:"did"`
}

func (a rolloutChanged) people(p *page) {
	p.line("%s", a.Did)
	p.summary(a.rolloutAnswer)
}

// rollout changes a rollout. A pass that changes it at the same time is heard.
func (k *control) rollout(ctx context.Context, q rolloutRequest) (answer rolloutChanged, err error) {
	if err := errors.Join(q.check(), needActor(q.Actor)); err != nil {
		return answer, err
	}
	for {
		r, _, err := rolloutOf(ctx, k.store, q.Rollout)
		if err != nil {
			return answer, err
		}
		e := state.Event{At: k.now(), Actor: q.Actor, Via: viaCLI, Revision: r.Revision, Reason: q.Reason}
		if answer.Did, e.Kind, err = k.applyTo(ctx, &r, q); err != nil {
			return answer, err
		}
		if q.Action == rolloutPromote {
			e.Detail = fmt.Sprintf("rollout %d: %s", r.ID, answer.Did)
		}
		err = k.store.SaveRollout(ctx, &r, e)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		answer.rolloutAnswer = rolloutAnswerOf(r)
		return answer, errors.Join(err, k.changed(ctx))
	}
}

// applyTo changes a rollout in memory, and says what was done and its event.
func (k *control) applyTo(ctx context.Context, r *state.Rollout, q rolloutRequest) (did, kind string, err error) {
	switch q.Action {
	case rolloutPause:
		return "paused", state.EventRolloutPaused, fleet.Pause(r, q.Actor, q.Reason)
	case rolloutAbort:
		return "ended", state.EventRolloutAborted, fleet.Abort(r, q.Actor, q.Reason, k.now())
	case rolloutResume:
		failed, err := k.failed(ctx, *r)
		if err != nil {
			return "", "", err
		}
		lifted, err := fleet.Resume(r, failed)
		return "lifted " + lifted, state.EventRolloutResumed, err
	case rolloutPromote:
		places, err := k.store.RolloutTenants(ctx, r.ID)
		if err != nil {
			return "", "", err
		}
		part, err := fleet.Promote(r, places, q.Promotion)
		return part + " may go on without bake and window", state.EventRolloutPromoted, err
	}
	return "", "", usagef("there is nothing that %q does to a rollout", q.Action)
}

// failed counts the tenants of each wave that have failed.
func (k *control) failed(ctx context.Context, r state.Rollout) ([]int, error) {
	places, err := k.store.RolloutTenants(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	observed, err := k.store.Observed(ctx)
	counts := make([]int, len(r.Waves))
	for _, at := range places {
		row := observed[at.Tenant]
		if at.Wave < len(counts) && fleet.ProgressOf(&row, at.Target, "") == fleet.Failed {
			counts[at.Wave]++
		}
	}
	return counts, err
}

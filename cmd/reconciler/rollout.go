package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func rolloutCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "rollout",
		Short: "a commit on its way through the fleet: look at it, stop it, let it go on",
		Long: `A commit that changes what tenants should have goes to them in the waves of
fleet.yaml, as a rollout. These commands look at rollouts and change the one that
is under way. docs/rollouts.md has the whole of it.`,
		Example: `  reconciler rollout show --data ./data
  reconciler rollout pause --reason "support is swamped" --data ./data`,
	}
	command.AddCommand(rolloutListCommand(c), rolloutShowCommand(c), rolloutPauseCommand(c), rolloutResumeCommand(c),
		rolloutAbortCommand(c), rolloutPromoteCommand(c))
	return command
}

func rolloutListCommand(c *cli) *cobra.Command {
	newest := uint(20)
	command := &cobra.Command{
		Use:   "list",
		Short: "rollouts, the newest first",
		Long:  "List rollouts, the newest first: the commit, how far it went, and how it ended.",
		Example: `  reconciler rollout list --data ./data
  reconciler rollout list --data ./data --limit 0 -o json`,
		Args: cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, store *state.Store, _ []string) error {
			list, err := store.Rollouts(ctx, int(newest))
			if err != nil {
				return err
			}
			answer := rolloutsAnswer{Rollouts: []rolloutAnswer{}}
			for _, r := range list {
				answer.Rollouts = append(answer.Rollouts, rolloutAnswerOf(r))
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	command.Flags().UintVar(&newest, "limit", newest, "at most this `number`; 0 for all")
	return command
}

func rolloutShowCommand(c *cli) *cobra.Command {
	return c.rolloutLook(&cobra.Command{
		Use:   "show [ROLLOUT]",
		Short: "which tenants of a rollout are where, and why",
		Long: `Show a rollout, the newest one unless another is named by its number: its waves,
and the tenants that it has not reached, with the reason of each that does not
just wait for its turn. -o json has all of its tenants. The tenants of the newest 50 rollouts are known.`,
		Example: `  reconciler rollout show --data ./data
  reconciler rollout show 12 --data ./data
  reconciler rollout show --data ./data -o json | jq -r '.tenants[] | select(.error) | .tenant'`,
		Args: cobra.MaximumNArgs(1),
	})
}

// rolloutLook makes show of its description.
func (c *cli) rolloutLook(command *cobra.Command) *cobra.Command {
	command.RunE = c.start(func(ctx context.Context, args []string) error {
		id, err := rolloutID(args)
		if err != nil {
			return err
		}
		store, err := c.readState(ctx)
		if err != nil {
			return err
		}
		defer store.Close()
		r, newest, err := rolloutOf(ctx, store, id)
		if err != nil {
			return err
		}
		answer, err := rolloutDetail(ctx, store, r, newest)
		if err != nil {
			return err
		}
		return c.print(answer, answer.people)
	})
	setting(command, "data")
	return command
}

// rolloutID reads the argument that names a rollout; 0 for the newest.
func rolloutID(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	id, err := strconv.Atoi(args[0])
	if err != nil || id < 1 {
		return 0, usagef("%q is not the number of a rollout: see \"reconciler rollout list\"", args[0])
	}
	return id, nil
}

// rolloutOf reads a rollout, the newest for 0, and tells whether it is that.
func rolloutOf(ctx context.Context, store *state.Store, id int) (r state.Rollout, newest bool, err error) {
	last, ok, err := store.LastRollout(ctx)
	if err != nil {
		return r, false, err
	}
	if !ok {
		return r, false, fmt.Errorf("there was no rollout yet: one begins with a commit that changes tenants that have been deployed")
	}
	if id == 0 || id == last.ID {
		return last, true, nil
	}
	r, err = store.Rollout(ctx, id)
	return r, false, noRollout(id, err)
}

// noRollout says where the rollouts are that there are.
func noRollout(id int, err error) error {
	if errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("there is no rollout %d: see \"reconciler rollout list\"", id)
	}
	return err
}

// rolloutsAnswer is a list of rollouts.
type rolloutsAnswer struct {
	Rollouts []rolloutAnswer `json:"rollouts"`
}

// rolloutAnswer is a rollout.
type rolloutAnswer struct {
	ID        int                 `json:"id"`
	Revision  string              `json:"revision"`
	Status    state.Operation     `json:"status"`
	Paused    *string             `json:"paused"`   // who paused it, and why
	Promoted  []protocol.TenantID `json:"promoted"` // tenants that do not wait for their wave
	StartedAt *stamp              `json:"startedAt"`
	EndedAt   *stamp              `json:"endedAt"` // null while it is under way, or halted
	Waves     []waveAnswer        `json:"waves"`
	Error     *problem            `json:"error"` // why it waits, or how it ended
}

func (a rolloutAnswer) word() string {
	r := state.Rollout{Status: a.Status}
	if a.Error != nil {
		r.Reason = a.Error.Reason
	}
	return fleet.Word(r)
}

// waveAnswer is a wave of a rollout.
type waveAnswer struct {
	Name      string `json:"name"`
	Tenants   int    `json:"tenants"`
	StartedAt *stamp `json:"startedAt"`
	DoneAt    *stamp `json:"doneAt"`   // when none of it was left to be tried
	Promoted  bool   `json:"promoted"` // it waits for neither bake nor window
}

func rolloutAnswerOf(r state.Rollout) rolloutAnswer {
	answer := rolloutAnswer{
		ID: r.ID, Revision: r.Revision, Status: r.Status, Paused: optional(r.Paused), Promoted: append([]protocol.TenantID{}, r.Promoted...),
		StartedAt: stampOf(r.StartedAt), EndedAt: stampOf(r.EndedAt), Waves: []waveAnswer{},
	}
	if r.Reason != "" || r.Next != "" {
		answer.Error = problemOf(r.Reason, r.Message, r.Next)
	}
	for _, w := range r.Waves {
		answer.Waves = append(answer.Waves, waveAnswer{w.Name, w.Tenants, stampOf(w.StartedAt), stampOf(w.DoneAt), w.Promoted})
	}
	return answer
}

// summary adds the lines that say how a rollout is.
func (p *page) summary(a rolloutAnswer) {
	p.line("rollout %d of commit %s: %s", a.ID, short(a.Revision), p.word(a.word()))
	if a.Error != nil {
		p.line("  %s", a.Error.Message)
		if a.Error.Next != "" {
			p.line("  next: %s", a.Error.Next)
		}
	}
}

func (a rolloutsAnswer) people(p *page) {
	if len(a.Rollouts) == 0 {
		p.line("there was no rollout yet")
		return
	}
	var rows [][]string
	for _, r := range a.Rollouts {
		waves, tenants := 0, 0
		for _, w := range r.Waves {
			tenants += w.Tenants
			if w.Tenants > 0 {
				waves++
			}
		}
		rows = append(rows, []string{
			strconv.Itoa(r.ID), short(r.Revision), r.word(), strconv.Itoa(waves), strconv.Itoa(tenants), r.StartedAt.String(), r.EndedAt.String(),
		})
	}
	p.table([]string{"ROLLOUT", "COMMIT", "STATUS", "WAVES", "TENANTS", "STARTED", "ENDED"}, rows)
}

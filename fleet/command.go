package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// ErrNotNow says that a rollout is not where a command could change it, or has
// no such part.
var ErrNotNow = errors.New("this cannot be done to the rollout now")

// refusal is an ErrNotNow in the words of its case.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrNotNow }

func notNow(r *state.Rollout, format string, args ...any) error {
	return refusal(fmt.Sprintf("rollout %d %s", r.ID, fmt.Sprintf(format, args...)))
}

// underWay refuses a rollout that has ended.
func underWay(r *state.Rollout) error {
	if r.Open() {
		return nil
	}
	return notNow(r, "has ended (%s)", Word(*r))
}

// Word says in a word or two how a rollout is: Running; Running, Baking.
func Word(r state.Rollout) string {
	if r.Reason == "" {
		return string(r.Status)
	}
	return string(r.Status) + ", " + r.Reason
}

// Waits tells that a rollout has not halted and still goes no further before a
// person does something: it is paused, or awaits a resume or an approval.
func Waits(r state.Rollout) bool {
	return r.Open() && r.Status == state.Running && slices.Contains([]string{reason.Paused, reason.AwaitingResume, reason.AwaitingApproval}, r.Reason)
}

// say is why a rollout waits as a command leaves it: until the next pass looks,
// nobody is told what the command has just changed.
func say(r *state.Rollout, why stop) {
	r.Status, r.Reason, r.Message, r.Next = state.Running, why.reason, why.message, why.next
}

// Pause stops a rollout until it is resumed: no tenant of it is tried from now
// on.
func Pause(r *state.Rollout, who, why string) error {
	if err := underWay(r); err != nil {
		return err
	}
	if r.Paused != "" {
		return notNow(r, "is paused already: %s", r.Paused)
	}
	r.Paused = fmt.Sprintf("%s paused it: %s", who, why)
	say(r, paused(r))
	return nil
}

// Resume lets a rollout go on that waits for a person: one that is paused, that
// pauses before a wave, or that has halted. Then the failures so far, failed by
// wave, are no reason to halt again. It returns what was lifted, in words.
func Resume(r *state.Rollout, failed []int) (string, error) {
	if err := underWay(r); err != nil {
		return "", err
	}
	switch {
	case r.Paused != "":
		r.Paused = ""
		say(r, stop{})
		return "the pause", nil
	case r.Reason == reason.BudgetExceeded:
		total := 0
		for i, n := range failed[:min(len(failed), len(r.Waves))] {
			r.Waves[i].Forgiven = max(r.Waves[i].Forgiven, n)
			total += n
		}
		say(r, stop{})
		return fmt.Sprintf("the halt after %s failed", tenants(total)), nil
	case r.Reason == reason.AwaitingResume:
		at := slices.IndexFunc(r.Waves, func(w state.Wave) bool { return w.Tenants > 0 && w.StartedAt.IsZero() && !w.Resumed })
		if at >= 0 {
			r.Waves[at].Resumed = true
			say(r, stop{})
			return "the pause before wave " + r.Waves[at].Name, nil
		}
	}
	return "", notNow(r, "waits for nobody (%s)", Word(*r))
}

// Abort ends a rollout: the tenants that it has not reached stay as they are
// until git wants something else of them.
func Abort(r *state.Rollout, who, why string, now time.Time) error {
	if err := underWay(r); err != nil {
		return err
	}
	r.EndedAt, r.Status, r.Reason = now, state.Failed, reason.Aborted
	r.Message = fmt.Sprintf("%s ended it: %s", who, why)
	r.Next = "the tenants that were not reached wait for another commit"
	return nil
}

// Promotion is what is to go on without bake and window.
type Promotion struct {
	Wave   string // by name or number, and those before it
	All    bool
	Tenant protocol.TenantID
}

// Promote lets a part of a rollout go on without waiting for bake or window, and
// returns the part in words. Checks, budgets, approvals and pauses hold.
func Promote(r *state.Rollout, places []state.RolloutTenant, p Promotion) (string, error) {
	if err := underWay(r); err != nil {
		return "", err
	}
	if p.Tenant != "" {
		if !slices.ContainsFunc(places, func(at state.RolloutTenant) bool { return at.Tenant == p.Tenant }) {
			return "", notNow(r, "does not have tenant %q", p.Tenant)
		}
		if !slices.Contains(r.Promoted, p.Tenant) {
			r.Promoted = append(slices.Clone(r.Promoted), p.Tenant)
		}
		return fmt.Sprintf("tenant %q", p.Tenant), nil
	}
	last := len(r.Waves) - 1
	if !p.All {
		if last = waveOf(r, p.Wave); last < 0 {
			return "", notNow(r, "has no wave %q; its waves are %s", p.Wave, waveNames(r))
		}
	}
	for i := range r.Waves[:last+1] {
		r.Waves[i].Promoted = true
	}
	next := slices.IndexFunc(r.Waves, func(w state.Wave) bool { return w.DoneAt.IsZero() })
	if waits := r.Reason == reason.Baking || r.Reason == reason.OutsideWindow; waits && next >= 0 && next <= last {
		say(r, stop{})
	}
	if p.All {
		return "all waves", nil
	}
	return "waves up to " + r.Waves[last].Name, nil
}

func waveNames(r *state.Rollout) string {
	names := make([]string, len(r.Waves))
	for i, w := range r.Waves {
		names[i] = w.Name
	}
	return strings.Join(names, ", ")
}

// waveOf finds a wave by its name, else by its number from 1; -1 for none.
func waveOf(r *state.Rollout, name string) int {
	if at := slices.IndexFunc(r.Waves, func(w state.Wave) bool { return w.Name == name }); at >= 0 {
		return at
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(r.Waves) {
		return n - 1
	}
	return -1
}

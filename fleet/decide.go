package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Input is what is known when it is decided how a revision goes on.
type Input struct {
	Now      time.Time
	Revision string
	Rollout  config.Rollout
	Windows  []config.Window
	Tenants  []Tenant              // all of the revision, by id
	Last     *state.Rollout        // the newest one; nil when there was none
	Places   []state.RolloutTenant // its tenants
}

// Decision is which rollout there is now, how far it may go, and when to decide
// again. It is asked about tenants once its rollout has an id.
type Decision struct {
	// Rollout is the last one as it is now, or a new one without an id; nil
	// when there was none and nothing is to be done.
	Rollout *state.Rollout
	Places  []state.RolloutTenant
	Begins  bool // Rollout is new, to be recorded with its places
	Changed bool // Rollout is not as it was
	// Superseded is the one that a new one takes the place of, ended; or nil.
	Superseded *state.Rollout
	Events     []state.Event // what is to be recorded with Rollout

	Due  int       // tenants of the rollout that may be deployed now
	Wake time.Time // when time alone changes the decision; zero for never

	limit   int // tenants at a time
	specs   []config.Wave
	tallies []tally
	places  map[protocol.TenantID]int      // wave of each tenant of the rollout
	waits   map[protocol.TenantID]int      // wave of each that waits
	at      map[protocol.TenantID]Progress // of each tenant of the rollout
	stop    stop
}

// Decide says how a revision goes on: with the rollout that is under way, with
// another one, or without. A rollout is over the tenants that lack what git
// wants; it goes on through later revisions that want the same of them, and is
// superseded by one that does not.
func Decide(in Input) Decision {
	s := step{Input: in}
	s.Decision = Decision{Rollout: in.Last, Places: in.Places, limit: in.Rollout.MaxConcurrent}
	if in.idle() {
		return s.Decision
	}
	if in.Last != nil {
		last := *in.Last
		last.Waves = slices.Clone(last.Waves)
		s.Decision.Rollout = &last
	}
	if !s.goesOn() {
		s.begin()
	}
	if s.Decision.Rollout != nil {
		s.advance()
	}
	return s.Decision
}

// idle tells that every tenant has what git wants and that no rollout is under
// way: nearly always.
func (in *Input) idle() bool {
	if in.Last != nil && (in.Last.Open() || in.Last.Reason == reason.Aborted) {
		return false
	}
	return !slices.ContainsFunc(in.Tenants, func(t Tenant) bool {
		return t.Target != "" && !t.New && t.Progress != Reached && t.Progress != Aside
	})
}

// step is one decision while it is made.
type step struct {
	Input
	Decision
}

// tenant is one of the revision.
func (s *step) tenant(id protocol.TenantID) (Tenant, bool) {
	at, ok := slices.BinarySearchFunc(s.Tenants, id, func(t Tenant, id protocol.TenantID) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return Tenant{}, false
	}
	return s.Tenants[at], true
}

// needs tells that a tenant lacks what git wants and that nobody has tried to
// give it: what failed before is tried again without a rollout of its own.
func needs(t Tenant) bool { return t.Target != "" && !t.New && t.Progress == Pending }

// goesOn tells that the last rollout is about what the revision wants: of every
// tenant of it the same as when it began, and of no other anything new. What
// is removed or broken since is no reason to begin anew. One that has ended is
// about nothing any more, unless somebody has ended it: then its tenants stay.
func (s *step) goesOn() bool {
	last := s.Decision.Rollout
	targets := make(map[protocol.TenantID]string, len(s.Input.Places))
	if last != nil && (last.Open() || last.Reason == reason.Aborted) {
		for _, p := range s.Input.Places {
			targets[p.Tenant] = p.Target
		}
	}
	for _, t := range s.Tenants {
		target, member := targets[t.ID]
		if needs(t) && target != t.Target {
			return false
		}
		if member && last.Open() && t.Target != "" && target != t.Target {
			return false
		}
	}
	return true
}

// begin makes a rollout over the tenants that need one, and ends the last one.
// From a rollout that is under way the new one takes over the tenants that are
// where they should be, so that their waves count, with the time they have
// baked.
func (s *step) begin() {
	last := s.Decision.Rollout
	open := last != nil && last.Open()
	var members []Tenant
	carried := map[protocol.TenantID]bool{}
	if open {
		for _, p := range s.Input.Places {
			t, _ := s.tenant(p.Tenant)
			carried[p.Tenant] = t.Target != "" && t.Target == p.Target && t.Progress != Pending
		}
		s.supersede(last)
	}
	pending := 0
	for _, t := range s.Tenants {
		if needs(t) {
			pending++
		}
		if needs(t) || carried[t.ID] {
			members = append(members, t)
		}
	}
	if pending == 0 {
		s.Changed = open
		return
	}
	waves := s.Input.Rollout.All()
	r := &state.Rollout{Revision: s.Revision, Status: state.Running, StartedAt: s.Now}
	s.Decision.Rollout, s.Decision.Places, s.Begins, s.Changed = r, assign(waves, members), true, true
	for _, w := range waves {
		r.Waves = append(r.Waves, state.Wave{Name: w.Name})
	}
	kept := make([]bool, len(waves)) // every tenant of the wave is carried
	for i := range kept {
		kept[i] = true
	}
	for _, p := range s.Decision.Places {
		r.Waves[p.Wave].Tenants++
		kept[p.Wave] = kept[p.Wave] && carried[p.Tenant]
	}
	if open {
		s.Superseded = last
		r.Paused = last.Paused
		keepClocks(r, *last, kept)
	}
	s.event(state.EventRolloutStarted, "")
}

func (s *step) supersede(last *state.Rollout) {
	last.EndedAt, last.Reason, last.Next = s.Now, reason.Superseded, ""
	last.Message = "a newer revision wants something else of its tenants"
	if last.Status == state.Running {
		last.Status = state.Partial
	}
	s.Events = append(s.Events, state.Event{
		At: s.Now, Kind: state.EventRolloutReplaced, Revision: last.Revision, Reason: last.Message, Detail: fmt.Sprintf("rollout %d", last.ID),
	})
}

// keepClocks takes over when a wave was done, where nothing has changed for any
// tenant of it: commits that concern others would else keep it from ever having
// baked.
func keepClocks(r *state.Rollout, last state.Rollout, kept []bool) {
	for i := range r.Waves {
		w := &r.Waves[i]
		at := slices.IndexFunc(last.Waves, func(old state.Wave) bool { return old.Name == w.Name })
		if at < 0 || !kept[i] || w.Tenants == 0 || last.Waves[at].DoneAt.IsZero() {
			continue
		}
		old := last.Waves[at]
		w.StartedAt, w.DoneAt, w.Forgiven, w.Resumed = old.StartedAt, old.DoneAt, old.Forgiven, old.Resumed
	}
}

func (s *step) event(kind, reason string) {
	s.Events = append(s.Events, state.Event{At: s.Now, Kind: kind, Revision: s.Revision, Reason: reason})
}

package fleet

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// tally counts the tenants of a wave by their progress. Those that git has no
// longer, or whose files are wrong, are in no count.
type tally [Unapproved + 1]int

func (t tally) total() (n int) {
	for _, count := range t {
		n += count
	}
	return n
}

// stop is why waves do not begin, in the words of the rollout.
type stop struct{ reason, message, next string }

// advance carries the rollout as far as it may go now.
func (s *step) advance() {
	before := *s.Decision.Rollout
	before.Waves = slices.Clone(before.Waves)
	s.count()
	r := s.Decision.Rollout
	if r.Open() {
		r.Revision = s.Revision
		s.waves(r)
	} else if r.Reason == reason.Aborted {
		s.stopAt(0, stop{reason: reason.Aborted})
	}
	if !same(before, *r) {
		s.Changed = true
	}
	if before.Status == state.Running && r.Status == state.Failed && r.Open() {
		s.event(state.EventRolloutHalted, r.Message)
	}
	if before.Open() && !r.Open() {
		s.event(state.EventRolloutEnded, string(r.Status)+": "+r.Message)
	}
}

func same(a, b state.Rollout) bool {
	return a.Revision == b.Revision && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message &&
		a.Next == b.Next && a.EndedAt.Equal(b.EndedAt) && slices.Equal(a.Waves, b.Waves)
}

// count takes stock of each wave.
func (s *step) count() {
	r := s.Decision.Rollout
	s.tallies = make([]tally, len(r.Waves))
	s.places = make(map[protocol.TenantID]int, len(s.Decision.Places))
	s.waits, s.at = map[protocol.TenantID]int{}, make(map[protocol.TenantID]Progress, len(s.Decision.Places))
	s.specs = specsOf(s.Input.Rollout, r.Waves)
	for _, p := range s.Decision.Places {
		t, ok := s.tenant(p.Tenant)
		if p.Wave >= len(r.Waves) {
			continue // a row that is damaged keeps nobody from being deployed
		}
		s.places[p.Tenant] = p.Wave
		if ok && t.Target != "" {
			s.tallies[p.Wave][t.Progress]++
			s.at[p.Tenant] = t.Progress
		}
	}
}

// specsOf finds what fleet.yaml says of the waves of a rollout, by name: what
// is changed while it is under way holds. Of a wave that is gone it says
// nothing.
func specsOf(c config.Rollout, waves []state.Wave) []config.Wave {
	specs := make([]config.Wave, len(waves))
	for i, w := range waves {
		for _, spec := range c.All() {
			if spec.Name == w.Name {
				specs[i] = spec
			}
		}
	}
	return specs
}

// waves goes through the waves up to the first that does not let the next one
// begin.
func (s *step) waves(r *state.Rollout) {
	r.Status, r.Reason, r.Message, r.Next = state.Running, "", "", ""
	if r.Paused != "" {
		s.stopAt(0, paused(r))
		return
	}
	open, change := config.Windows(s.Windows, s.Now)
	for i := range r.Waves {
		w, t, spec := &r.Waves[i], s.tallies[i], s.specs[i]
		if w.StartedAt.IsZero() && t.total() > 0 && spec.PauseBefore && !w.Resumed {
			s.stopAt(i, stop{reason.AwaitingResume, fmt.Sprintf("wave %s begins when somebody lets it", w.Name), `run "reconciler rollout resume" to let it begin`})
			return
		}
		if t[Pending] > 0 && !open && !w.Promoted {
			s.stopAt(i, closed(w.Name, change))
			s.wakeAt(change)
			return
		}
		if w.StartedAt.IsZero() && t.total() > 0 {
			w.StartedAt = s.Now
		}
		if allowed := s.Allowed(i); t[Failed] > allowed {
			s.halt(i, t[Failed], allowed)
			return
		}
		s.Due += t[Pending]
		if t[Pending] > 0 && w.DoneAt.IsZero() {
			s.limit = limited(s.limit, spec.MaxConcurrent)
			s.waitFrom(i + 1)
			return
		}
		if s.holdsBack(r, i) {
			return
		}
	}
	if s.Due == 0 {
		s.end(r)
	}
}

// holdsBack tells that a wave that has no tenant left to be tried keeps the next
// ones waiting: for an approval, which may be of their plan too, or until it
// has baked, from the moment when it was done.
func (s *step) holdsBack(r *state.Rollout, i int) bool {
	w, t := &r.Waves[i], s.tallies[i]
	last := !s.anyAfter(i)
	if n := t[Unapproved]; n > 0 && !last && !r.Waves[i+1].Promoted {
		s.stopAt(i+1, stop{
			reason.AwaitingApproval, fmt.Sprintf("%s of wave %s cannot be deployed before the plan is approved", tenants(n), w.Name),
			`see "reconciler status" for the plans, and run "reconciler approve PLAN"`,
		})
		return true
	}
	if w.DoneAt.IsZero() {
		w.DoneAt = s.Now
	}
	until := w.DoneAt.Add(s.specs[i].Bake.Duration())
	if last || t.total() == 0 || r.Waves[i+1].Promoted || !s.Now.Before(until) {
		return false
	}
	s.stopAt(i+1, stop{reason: reason.Baking, message: fmt.Sprintf("wave %s bakes until %s", w.Name, stamp(until))})
	s.wakeAt(until)
	return true
}

// anyAfter tells that a later wave has a tenant.
func (s *step) anyAfter(i int) bool {
	return slices.ContainsFunc(s.tallies[i+1:], func(t tally) bool { return t.total() > 0 })
}

func paused(r *state.Rollout) stop {
	return stop{reason.Paused, r.Paused, `run "reconciler rollout resume" to let it go on`}
}

func closed(wave string, opens time.Time) stop {
	if opens.IsZero() {
		return stop{reason.OutsideWindow, "no maintenance window opens any more", "correct windows in fleet.yaml"}
	}
	return stop{
		reason.OutsideWindow, fmt.Sprintf("wave %s waits for the maintenance window that opens at %s", wave, stamp(opens)),
		fmt.Sprintf(`run "reconciler rollout promote --wave %s --reason TEXT" to go on without it`, wave),
	}
}

func (s *step) halt(i, failed, allowed int) {
	w := s.Decision.Rollout.Waves[i]
	s.stopAt(i, stop{
		reason.BudgetExceeded, fmt.Sprintf("%d of %s in wave %s failed, and its budget is %d", failed, tenants(w.Tenants), w.Name, allowed),
		`see "reconciler rollout show"; it goes on by itself once those that failed recover; else correct the cause with another commit, or run "reconciler rollout resume" to go on all the same`,
	})
	s.Decision.Rollout.Status = state.Failed
}

// stopAt makes a wave and all after it wait, and says why.
func (s *step) stopAt(i int, why stop) {
	s.stop = why
	if r := s.Decision.Rollout; r.Open() {
		r.Reason, r.Message, r.Next = why.reason, why.message, why.next
	}
	s.waitFrom(i)
}

// waitFrom makes the tenants that were not tried wait, from a wave on; where
// somebody has stopped the rollout those that were tried in vain as well.
func (s *step) waitFrom(i int) {
	byHand := s.stop.reason == reason.Paused || s.stop.reason == reason.Aborted
	for id, progress := range s.at {
		wave := s.places[id]
		switch promoted := slices.Contains(s.Decision.Rollout.Promoted, id); {
		case wave < i || progress == Reached || progress == Aside, progress != Pending && !byHand:
		case promoted && !byHand && s.stop.reason != reason.BudgetExceeded:
			s.Due++
		default:
			s.waits[id] = wave
		}
	}
}

func (s *step) wakeAt(at time.Time) {
	if !at.IsZero() && (s.Wake.IsZero() || at.Before(s.Wake)) {
		s.Wake = at
	}
}

// end closes a rollout that has come to all its tenants.
func (s *step) end(r *state.Rollout) {
	var sum tally
	for _, t := range s.tallies {
		for p, n := range t {
			sum[p] += n
		}
	}
	lacking := sum[Failed] + sum[Blocked] + sum[Unapproved]
	r.EndedAt, r.Status = s.Now, state.Succeeded
	r.Message = tenants(sum[Reached]) + " reached"
	switch {
	case lacking > 0 && sum[Reached] == 0 && sum[Failed] > 0:
		r.Status = state.Failed
	case lacking > 0:
		r.Status = state.Partial
	}
	if lacking > 0 {
		r.Message = fmt.Sprintf("%s, %d failed, %d blocked", r.Message, sum[Failed], sum[Blocked]+sum[Unapproved])
		r.Next = `see "reconciler rollout show" for the reasons; what failed is tried again by itself`
	}
}

// Allowed is how many tenants of a wave may fail in all.
func (d *Decision) Allowed(wave int) int {
	w := d.Rollout.Waves[wave]
	allowed := budget(d.specs[wave].FailureBudget, w.Tenants)
	if allowed > math.MaxInt-w.Forgiven {
		return math.MaxInt
	}
	return allowed + w.Forgiven
}

func limited(limit int, own *int) int {
	if own != nil {
		return min(limit, *own)
	}
	return limit
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

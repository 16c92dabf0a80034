package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// Watch turns what passes report into events: one when something begins, one
// when it is over, and none while it lasts. Its methods must not overlap.
type Watch struct {
	tell func(Event)

	failing, drifted map[protocol.TenantID]bool
	failure          string // of the last pass; empty for none
	deletion         string // what waited after the last pass
	awaySince        time.Time
	rollout          state.Rollout
}

// Known is what was known when the daemon ended last.
type Known struct {
	Observed map[protocol.TenantID]state.Observed
	Source   state.Source
	Pass     state.Pass
	Rollout  state.Rollout
}

// NewWatch begins with what was known, so that a restart tells of nothing
// twice.
func NewWatch(tell func(Event), known Known) *Watch {
	w := &Watch{
		tell: tell, failing: map[protocol.TenantID]bool{}, drifted: map[protocol.TenantID]bool{},
		awaySince: known.Source.AwaySince, deletion: known.Pass.WaitingMessage, rollout: known.Rollout,
	}
	// One that ended with its process was not told of.
	if known.Pass.Status == state.Failed && known.Pass.WaitingMessage == "" && !strings.Contains(known.Pass.Error, context.Canceled.Error()) {
		w.failure = known.Pass.Error
	}
	for id, row := range known.Observed {
		switch {
		case known.Pass.WaitingReason != "" && row.Reason == known.Pass.WaitingReason:
		case row.Reason == reason.Drift:
			w.drifted[id] = true
		case row.Health.Problem():
			w.failing[id] = true
		}
	}
	return w
}

// Pass tells of what a pass changed.
func (w *Watch) Pass(r reconcile.Report, err error) {
	if err != nil && r.Waiting != nil { // a commit without any tenant: what waits says more than that nothing is done
		w.deletions(r.Waiting)
		return
	}
	if err != nil {
		if text := err.Error(); text != w.failure {
			w.failure = text
			w.tell(Event{
				Kind: PassFailed, Message: "a pass failed, and nothing is deployed: " + text, Revision: r.Revision.Hash,
				Next: "see \"reconciler status\"; it is tried again at each poll",
			})
		}
		return
	}
	if w.failure != "" {
		w.failure = ""
		w.tell(Event{Kind: PassRecovered, Message: "passes work again", Revision: r.Revision.Hash})
	}
	failing, drifted := sorted(r)
	w.problems(r, failing)
	w.drift(r, drifted)
	w.deletions(r.Waiting)
}

// sorted picks out the tenants that have something to tell of. Of those whose
// removal waits the event of that tells.
func sorted(r reconcile.Report) (failing, drifted []reconcile.Tenant) {
	for _, t := range r.Tenants {
		switch {
		case r.Waiting != nil && t.Result.Reason == r.Waiting.Reason:
		case t.Result.Reason == reason.Drift:
			drifted = append(drifted, t)
		case t.Problem():
			failing = append(failing, t)
		}
	}
	return failing, drifted
}

func (w *Watch) problems(r reconcile.Report, failing []reconcile.Tenant) {
	fresh := news(w.failing, failing)
	had := len(w.failing)
	w.failing = idsOf(failing)
	switch {
	case len(fresh) > 0:
		w.tell(about(TenantsFailing, r, fresh, "fail or are blocked"))
	case had > 0 && len(failing) == 0:
		w.tell(Event{Kind: TenantsRecovered, Message: "no tenant fails any more", Revision: r.Revision.Hash})
	}
}

func (w *Watch) drift(r reconcile.Report, drifted []reconcile.Tenant) {
	fresh := news(w.drifted, drifted)
	w.drifted = idsOf(drifted)
	if len(fresh) > 0 {
		w.tell(about(DriftFound, r, fresh, "have a schema that somebody else changed"))
	}
}

func (w *Watch) deletions(waiting *reconcile.Removal) {
	if waiting == nil {
		w.deletion = ""
		return
	}
	if waiting.Message != w.deletion {
		w.tell(Event{Kind: DeletionWaiting, Message: waiting.Message, Next: waiting.Next, Revision: waiting.Revision})
	}
	w.deletion = waiting.Message
}

// about is an event on tenants, with the reasons that they give. Their messages
// stay where the fleet is: they may quote rows.
func about(kind Kind, r reconcile.Report, tenants []reconcile.Tenant, what string) Event {
	reasons := map[string]int{}
	for _, t := range tenants {
		reasons[t.Result.Reason]++
	}
	var counted []string
	for reason, n := range reasons {
		counted = append(counted, fmt.Sprintf("%s: %d", reason, n))
	}
	slices.Sort(counted)
	e := Event{Kind: kind, Revision: r.Revision.Hash, Tenants: ids(tenants), Next: `see "reconciler status"`}
	if len(tenants) == 1 {
		e.Message = fmt.Sprintf("tenant %s: %s", tenants[0].ID, tenants[0].Result.Reason)
		e.Next = fmt.Sprintf("see \"reconciler status %s\"", tenants[0].ID)
		return e
	}
	e.Message = fmt.Sprintf("%d tenants %s (%s)", len(tenants), what, strings.Join(counted, ", "))
	return e
}

// news are the tenants that were not known.
func news(known map[protocol.TenantID]bool, tenants []reconcile.Tenant) []reconcile.Tenant {
	return slices.DeleteFunc(slices.Clone(tenants), func(t reconcile.Tenant) bool { return known[t.ID] })
}

func idsOf(tenants []reconcile.Tenant) map[protocol.TenantID]bool {
	known := make(map[protocol.TenantID]bool, len(tenants))
	for _, t := range tenants {
		known[t.ID] = true
	}
	return known
}

func ids(tenants []reconcile.Tenant) []protocol.TenantID {
	list := make([]protocol.TenantID, len(tenants))
	for i, t := range tenants {
		list[i] = t.ID
	}
	return list
}

// Source tells of a git host that has gone away, and that is back.
func (w *Watch) Source(s state.Source) {
	was := w.awaySince
	w.awaySince = s.AwaySince
	switch {
	case was.IsZero() && !s.AwaySince.IsZero():
		w.tell(Event{
			Kind: SourceAway, Revision: s.Revision, Message: "the repository does not answer: " + s.Error,
			Next: "the last commit stands until it does; look at the git host, and at the token",
		})
	case !was.IsZero() && s.AwaySince.IsZero():
		w.tell(Event{Kind: SourceBack, Revision: s.Revision, Message: "the repository answers again"})
	}
}

// Rollout tells of a rollout that has begun, halted or ended.
func (w *Watch) Rollout(r state.Rollout) {
	was := w.rollout
	w.rollout = r
	fresh := r.ID != was.ID
	if r.ID == 0 || !fresh && r.Status == was.Status && r.Open() == was.Open() {
		return
	}
	e := Event{Revision: r.Revision, Rollout: r.ID, Next: r.Next}
	switch {
	case !r.Open():
		e.Kind, e.Message = RolloutFinished, fmt.Sprintf("rollout %d of %.12s ended: %s", r.ID, r.Revision, r.Status)
	case r.Status != state.Running:
		e.Kind, e.Message = RolloutHalted, fmt.Sprintf("rollout %d of %.12s has halted: %s", r.ID, r.Revision, r.Message)
	case fresh:
		e.Kind, e.Message = RolloutStarted, fmt.Sprintf("rollout %d of %.12s has started", r.ID, r.Revision)
	default:
		return // it goes on
	}
	w.tell(e)
}

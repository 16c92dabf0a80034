package main

import (
	"context"
	"regexp"
	"strconv"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// rolloutDetails is a rollout with its tenants.
type rolloutDetails struct {
	rolloutAnswer
	Tenants []rolloutTenant `json:"tenants"` // by wave and id
}

// rolloutTenant is where a tenant of a rollout is.
type rolloutTenant struct {
	Tenant protocol.TenantID `json:"tenant"`
	Wave   string            `json:"wave"`
	Status string            `json:"status"` // Reached, Failed, Blocked, Held or Waiting
	Error  *problem          `json:"error"`

	wave int
}

// Where a tenant of a rollout can be.
const (
	placeReached = "Reached"
	placeFailed  = "Failed"
	placeBlocked = "Blocked"
	placeHeld    = "Held" // or suspended
	placeWaiting = "Waiting"
)

// rolloutDetail finds out where the tenants of a rollout are: of the newest one
// what was seen last says so, of an older one its deployments.
func rolloutDetail(ctx context.Context, store *state.Store, r state.Rollout, newest bool) (rolloutDetails, error) {
	answer := rolloutDetails{rolloutAnswer: rolloutAnswerOf(r), Tenants: []rolloutTenant{}}
	places, err := store.RolloutTenants(ctx, r.ID)
	if err != nil {
		return answer, err
	}
	where, err := whereThen(ctx, store, r.ID)
	if newest && err == nil {
		where, err = whereNow(ctx, store)
	}
	for _, at := range places {
		one := rolloutTenant{Tenant: at.Tenant, Wave: "-", wave: at.Wave}
		if at.Wave < len(r.Waves) {
			one.Wave = r.Waves[at.Wave].Name
		}
		one.Status, one.Error = where(at)
		answer.Tenants = append(answer.Tenants, one)
	}
	return answer, err
}

func whereNow(ctx context.Context, store *state.Store) (func(state.RolloutTenant) (string, *problem), error) {
	observed, err := store.Observed(ctx)
	return func(at state.RolloutTenant) (string, *problem) {
		row := observed[at.Tenant]
		status := placeWaiting
		switch fleet.ProgressOf(&row, at.Target, "") {
		case fleet.Reached:
			return placeReached, nil
		case fleet.Failed:
			status = placeFailed
		case fleet.Blocked, fleet.Unapproved:
			status = placeBlocked
		default:
			if row.Reason == reason.Held || row.Health == state.Suspended {
				status = placeHeld
			}
		}
		return status, problemOf(row.Reason, row.Message, row.Next)
	}, err
}

func whereThen(ctx context.Context, store *state.Store, id int) (func(state.RolloutTenant) (string, *problem), error) {
	list, err := store.RolloutDeployments(ctx, id)
	newest := map[protocol.TenantID]state.Deployment{}
	for _, d := range list {
		newest[d.Tenant] = d
	}
	return func(at state.RolloutTenant) (string, *problem) {
		d, tried := newest[at.Tenant]
		switch {
		case !tried:
			return placeWaiting, nil
		case d.Status == protocol.DeployReady:
			return placeReached, nil
		}
		return placeFailed, problemOf(d.Reason, d.Error, d.Next)
	}, err
}

// mostTenants is how many tenants of a wave that wait are shown to people by name.
const mostTenants = 50

// here is what the next step says that leads to this page.
var here = regexp.MustCompile(`^see "reconciler rollout show"( for the reasons)?; `)

func (a rolloutDetails) people(p *page) {
	if a.Error != nil {
		why := *a.Error
		why.Next = here.ReplaceAllString(why.Next, "")
		a.Error = &why
	}
	p.summary(a.rolloutAnswer)
	p.line("  started %s, ended %s", a.StartedAt.String(), a.EndedAt.String())
	p.line("")
	counts := make([]map[string]int, len(a.Waves))
	for i := range counts {
		counts[i] = map[string]int{}
	}
	var behind []tenantProblem
	for _, t := range a.Tenants {
		if t.wave < len(counts) {
			counts[t.wave][t.Status]++
		}
		if t.Status != placeReached && t.Status != placeWaiting {
			behind = append(behind, tenantProblem{t.Tenant, t.Error})
		}
	}
	var rows [][]string
	for i, w := range a.Waves {
		if w.Tenants == 0 {
			continue // it takes no time, and no part
		}
		n := func(status string) string { return strconv.Itoa(counts[i][status]) }
		rows = append(rows, []string{
			w.Name, strconv.Itoa(w.Tenants), n(placeReached), n(placeFailed), n(placeBlocked), n(placeHeld), n(placeWaiting), w.StartedAt.String(), w.DoneAt.String(),
		})
	}
	p.table([]string{"WAVE", "TENANTS", "REACHED", "FAILED", "BLOCKED", "HELD", "WAITING", "STARTED", "DONE"}, rows)
	p.waiting(a)
	p.problems(behind)
}

// waiting adds who waits, wave by wave.
func (p *page) waiting(a rolloutDetails) {
	waits := make([][]string, len(a.Waves))
	for _, t := range a.Tenants {
		if t.Status == placeWaiting && t.wave < len(waits) {
			waits[t.wave] = append(waits[t.wave], string(t.Tenant))
		}
	}
	verb, gap := "wait", true
	if a.EndedAt != nil {
		verb = "not reached"
	}
	for i, names := range waits {
		if len(names) == 0 {
			continue
		}
		if gap {
			p.line("")
			gap = false
		}
		p.line("%s in wave %s: %s", verb, a.Waves[i].Name, first(mostTenants, names))
	}
}

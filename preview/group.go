package preview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/tenantrouter"
)

// groups gathers tenants by plan.
type groups struct {
	run       *run
	byKey     map[string]*Group
	order     []*Group
	stopped   []Stop
	held      []tenantID
	unchanged int
	planned   []tenantID // that a rollout is over: those with a database
}

func newGroups(r *run) *groups { return &groups{run: r, byKey: map[string]*Group{}} }

// add takes a tenant, in order of id, by the policy that it was planned by.
func (g *groups) add(t reconcile.Tenant, policy deploy.Policy) {
	switch {
	case planned(t):
		g.plan(t, policy)
	case t.Result.Action == reconcile.Held:
		g.held = append(g.held, t.ID)
	case t.Result.Err != nil:
		g.stopped = stop(g.stopped, t)
	case t.Result.Action == deploy.None, t.Result.Action == reconcile.Resume: // of which changes tells
		g.unchanged++
	}
}

func (g *groups) plan(t reconcile.Tenant, policy deploy.Policy) {
	made, doubt := t.Result.Plan, g.run.unsure[t.ID]
	if doubt == "" {
		doubt = string(g.run.report.Unbound)
	}
	key := made.Digest + doubt
	one := g.byKey[key]
	if one == nil {
		one = groupOf(made, policy)
		if one.Unbound = Optional(doubt); doubt != "" {
			one.Digest = ""
		}
		g.byKey[key], g.order = one, append(g.order, one)
	}
	if doubt != "" && t.Result.Reason == reason.AwaitingApproval {
		t.Result.Message = strings.Replace(t.Result.Message, fmt.Sprintf(" (plan %.12s)", made.Digest), "", 1)
		t.Result.Next = "approve the plan that a preview bound to the live databases gives"
	}
	one.take(t)
	if t.Result.Action != deploy.Create {
		g.planned = append(g.planned, t.ID)
	}
}

// groupOf is the group of a plan, without tenants.
func groupOf(made *plan.Plan, policy deploy.Policy) *Group {
	g := &Group{
		Digest: Optional(made.Digest), Class: made.Class(), Reversible: made.Migration.Reversible, Diff: made.Diff,
		Statements: made.Migration.Statements, Metadata: len(made.Registry), Seeds: len(made.Seeds), Warnings: warnings(made), made: made,
	}
	for _, c := range made.PreChecks {
		g.PreChecks = append(g.PreChecks, PreCheck{Message: c.Message, Next: c.Next, Advisory: c.Advisory})
	}
	if made.Staged != nil {
		for _, f := range made.Staged.Fills {
			if !slices.Contains(g.Fills, f.Table) {
				g.Fills = append(g.Fills, f.Table)
			}
		}
	}
	for _, s := range made.Steps {
		if name, ok := strings.CutPrefix(s.Change, "retire "); ok && !slices.ContainsFunc(g.Retired, func(r Retired) bool { return r.Name == name }) {
			g.Retired = append(g.Retired, Retired{Name: name, For: Milliseconds(policy.Retention)})
		}
	}
	return g
}

func warnings(made *plan.Plan) []plan.Warning {
	list := slices.Clone(made.Warnings)
	for _, f := range made.Foreign {
		name := f.Name
		if f.Table != f.Name {
			name = f.Table + "." + f.Name
		}
		list = append(list, plan.Warning{Code: "foreign", Message: f.Kind + " " + name + " was made by somebody else and is kept"})
	}
	return list
}

// take adds a tenant to the group.
func (g *Group) take(t reconcile.Tenant) {
	g.Tenants = append(g.Tenants, t.ID)
	g.Action = worse(g.Action, t.Result.Action)
	g.Longest = max(g.Longest, Milliseconds(t.Estimate))
	g.Total += Milliseconds(t.Estimate)
	g.Rows += t.Rows
	g.weigh(t)
	if t.Result.Staged {
		g.Staged = append(g.Staged, t.ID)
	}
	if t.Result.Err != nil {
		g.Blocked = stop(g.Blocked, t)
		g.NeedsApproval = g.NeedsApproval || t.Result.Reason == reason.AwaitingApproval
	}
	if t.Result.Beyond != nil {
		then := t
		then.Result.Assessment = deploy.Fail(t.Result.Beyond)
		g.Beyond = stop(g.Beyond, then)
	}
	if t.Result.Checked {
		for i := range g.PreChecks {
			g.PreChecks[i].found(t.ID, g.made.PreChecks[i], t.Result.Findings)
		}
	}
	for _, q := range t.Result.Quotas {
		g.quota(t.ID, q)
	}
}

// worse is the action that a reader has to know of.
func worse(a, b deploy.Action) deploy.Action {
	order := []deploy.Action{"", deploy.Create, deploy.Update, deploy.Failed, deploy.Blocked}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

func (c *PreCheck) found(id tenantID, check plan.PreCheck, findings []apply.Finding) {
	c.Asked++
	for _, f := range findings {
		if f.PreCheck == check {
			c.Found = append(c.Found, RowCount{Tenant: id, Rows: f.Count})
		}
	}
}

// quota keeps, of each quota, the tenant that comes closest to its limit.
func (g *Group) quota(id tenantID, q tenantrouter.Check) {
	at := slices.IndexFunc(g.Quotas, func(had Quota) bool { return had.Quota == q.Quota && had.Object == q.Object })
	if at < 0 {
		g.Quotas = append(g.Quotas, Quota{Check: q, Tenant: id, Tenants: 1})
		return
	}
	had := &g.Quotas[at]
	had.Tenants++
	if q.Would-q.Limit > had.Would-had.Limit {
		had.Check, had.Tenant = q, id
	}
}

// stop adds a tenant to those of its reason.
func stop(stops []Stop, t reconcile.Tenant) []Stop {
	at := slices.IndexFunc(stops, func(s Stop) bool { return s.Reason == t.Result.Reason })
	if at < 0 {
		at = len(stops)
		stops = append(stops, Stop{Reason: t.Result.Reason, Message: t.Result.Message, Next: t.Result.Next})
	}
	stops[at].Tenants = append(stops[at].Tenants, t.ID)
	return stops
}

// groups are the groups, those of most tenants first, and of these the most
// dangerous ones.
func (g *groups) groups() []Group {
	slices.SortStableFunc(g.order, func(a, b *Group) int {
		return cmp.Or(-cmp.Compare(len(a.Tenants), len(b.Tenants)), -cmp.Compare(a.Class, b.Class), cmp.Compare(a.made.Digest, b.made.Digest))
	})
	list := make([]Group, len(g.order))
	for i, one := range g.order {
		list[i] = *one
	}
	return list
}

// finish says what the preview comes to.
func (r *Report) finish() {
	r.Bound = r.Unbound == "" && r.Problem == "" && len(r.Conflicts) == 0 && !slices.ContainsFunc(r.Plans, func(g Group) bool { return g.Unbound != "" })
	blocked, failed := r.Guard != nil, r.Problem != "" || len(r.Conflicts) > 0
	for _, f := range r.Faults {
		failed = failed || f.IsError()
	}
	blocked = blocked || len(r.Stopped) > 0
	for _, g := range r.Plans {
		blocked = blocked || len(g.Blocked) > 0
		for _, h := range g.Rehearsals {
			failed = failed || h.Failure != ""
		}
	}
	switch {
	case failed:
		r.Verdict = Failed
	case blocked:
		r.Verdict = Blocked
	default:
		r.Verdict = Success
	}
	r.filled()
}

// filled makes empty lists of those that are nil, for JSON.
func (r *Report) filled() {
	fill(&r.Conflicts)
	fill(&r.Faults)
	fill(&r.Policy)
	fill(&r.Plans)
	fill(&r.Stopped)
	fill(&r.Waves)
	fill(&r.Apps)
	for _, ids := range []*[]tenantID{&r.Tenants.Created, &r.Tenants.Suspended, &r.Tenants.Resumed, &r.Tenants.Removed, &r.Tenants.Held} {
		fill(ids)
	}
	for i := range r.Plans {
		g := &r.Plans[i]
		fill(&g.Statements)
		fill(&g.PreChecks)
		fill(&g.Warnings)
		fill(&g.Quotas)
		fill(&g.Retired)
		fill(&g.Blocked)
		fill(&g.Rehearsals)
		fill(&g.Beyond)
		fill(&g.Staged)
		fill(&g.Fills)
		for j := range g.PreChecks {
			fill(&g.PreChecks[j].Found)
		}
	}
}

func fill[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

// riskier tells that a class needs a second look.
func riskier(c diff.Class) bool { return c >= diff.Narrowing }

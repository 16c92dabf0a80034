package preview

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is plans that run the same statements for the same changes; it has one at
// least. They differ in what the tenants have besides: a reviewer reads them as
// one, and each is approved by itself.
type Kind []Group

// Kinds are the plans by what they do, those of most tenants first.
func (r *Report) Kinds() []Kind {
	var all []Kind
	at := map[string]int{}
	for _, g := range r.Plans {
		key := g.does()
		if _, known := at[key]; !known {
			at[key] = len(all)
			all = append(all, nil)
		}
		all[at[key]] = append(all[at[key]], g)
	}
	slices.SortStableFunc(all, func(a, b Kind) int { return b.tenants() - a.tenants() })
	return all
}

// does stands for what a plan does.
func (g Group) does() string {
	var b strings.Builder
	fmt.Fprintln(&b, g.Class, g.Action, g.Reversible, g.Unbound, g.Metadata, g.Seeds, g.Warnings, g.Retired)
	for _, s := range g.Statements {
		fmt.Fprintf(&b, "%q\n", s.SQL)
	}
	for _, c := range g.PreChecks {
		fmt.Fprintf(&b, "%q\n", c.Message)
	}
	for _, c := range g.Diff.Changes {
		fmt.Fprintln(&b, change(c))
	}
	return b.String()
}

func (k Kind) tenants() (n int) {
	for _, g := range k {
		n += len(g.Tenants)
	}
	return n
}

// Merged is one group for all of the kind. Its digest is that of the first.
func (k Kind) Merged() Group {
	g := k[0]
	g.Tenants, g.PreChecks, g.Blocked = slices.Clone(g.Tenants), slices.Clone(g.PreChecks), clones(g.Blocked)
	g.Beyond = clones(g.Beyond)
	g.Quotas, g.Rehearsals, g.Staged = slices.Clone(g.Quotas), slices.Clone(g.Rehearsals), slices.Clone(g.Staged)
	for _, other := range k[1:] {
		g.Tenants = append(g.Tenants, other.Tenants...)
		g.Longest, g.Total, g.Rows = max(g.Longest, other.Longest), g.Total+other.Total, g.Rows+other.Rows
		for i, c := range other.PreChecks {
			g.PreChecks[i].Asked += c.Asked
			g.PreChecks[i].Found = append(slices.Clone(g.PreChecks[i].Found), c.Found...)
		}
		g.Blocked, g.Beyond = together(g.Blocked, other.Blocked), together(g.Beyond, other.Beyond)
		g.Quotas, g.Rehearsals, g.Staged = append(g.Quotas, other.Quotas...), append(g.Rehearsals, other.Rehearsals...), append(g.Staged, other.Staged...)
	}
	slices.Sort(g.Tenants)
	slices.Sort(g.Staged)
	for _, s := range slices.Concat(g.Blocked, g.Beyond) {
		slices.Sort(s.Tenants)
	}
	return g
}

// together adds stops to those of the same reasons. The first list may change.
func together(had, more []Stop) []Stop {
	for _, s := range more {
		at := slices.IndexFunc(had, func(h Stop) bool { return h.Reason == s.Reason })
		if at < 0 {
			had = append(had, s.clone())
			continue
		}
		had[at].Tenants = append(had[at].Tenants, s.Tenants...)
	}
	return had
}

func (s Stop) clone() Stop {
	s.Tenants = slices.Clone(s.Tenants)
	return s
}

func clones(stops []Stop) []Stop {
	list := make([]Stop, len(stops))
	for i, s := range stops {
		list[i] = s.clone()
	}
	return list
}

// approval says how the plans that wait for it are approved.
func (k Kind) approval(start string) string {
	var orders []string
	for _, g := range k {
		if !g.NeedsApproval || g.Digest == "" {
			continue
		}
		if len(orders) == maxListed {
			orders = append(orders, "and more")
			break
		}
		order := fmt.Sprintf("`reconciler approve %.12s`", g.Digest)
		if start != "" {
			order = fmt.Sprintf("`%s %.12s`", strings.ReplaceAll(line(start, maxName), "`", ""), g.Digest)
		}
		if len(k) > 1 {
			order += " for " + tenants(g.Tenants)
		}
		orders = append(orders, order)
	}
	how := "run"
	if start != "" {
		how = "comment"
	}
	switch len(orders) {
	case 0:
		return ""
	case 1:
		return "**This waits for an approval:** " + how + " " + orders[0] + ". It is the approval of exactly this plan."
	}
	return "**Each of these plans waits for an approval of its own:** " + how + "\n\n- " + strings.Join(orders, "\n- ")
}

// identity is how the plans are called in a table.
func (k Kind) identity() string {
	if len(k) == 1 {
		return k[0].title()
	}
	if k[0].Digest == "" {
		return "not bound"
	}
	return fmt.Sprintf("%s and %d more", k[0].title(), len(k)-1)
}

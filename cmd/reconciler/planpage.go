package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
)

// people shows each distinct plan once, with the tenants that need it, so that
// somebody can decide whether to merge.
func (a planAnswer) people(p *page) {
	groups := a.groups()
	p.commit(a.commit)
	p.line("%s, %s: %s", plural(len(a.Tenants), "tenant"), plural(len(groups), "distinct plan"), a.actions())
	for _, g := range groups {
		p.plan(g)
	}
	for _, t := range a.Tenants {
		if t.Error != nil {
			p.line("")
			p.problem(string(t.Tenant), t.Error)
		}
	}
	for _, text := range a.loose() {
		p.line("")
		p.line("%s", text)
	}
}

// groups are the tenants by plan, in the order of their first tenants.
func (a planAnswer) groups() [][]planTenant {
	var groups [][]planTenant
	at := map[string]int{}
	for _, t := range a.Tenants {
		if t.made == nil {
			continue
		}
		digest := t.made.Digest
		if _, known := at[digest]; !known {
			at[digest] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[digest]] = append(groups[at[digest]], t)
	}
	return groups
}

// actions counts what would be done: "4 update, 1 none, 1 blocked".
func (a planAnswer) actions() string {
	counts := map[deploy.Action]int{}
	for _, t := range a.Tenants {
		counts[t.Action]++
	}
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[action], action))
	}
	return strings.Join(parts, ", ")
}

// loose are the tenants without a plan and without a problem, a line for each
// action, and the warnings about their files.
func (a planAnswer) loose() []string {
	var without []planTenant
	for _, t := range a.Tenants {
		if t.made == nil && t.Error == nil {
			without = append(without, t)
		}
	}
	return byAction(without)
}

// byAction lists tenants: "update: acme, globex".
func byAction(tenants []planTenant) []string {
	names := map[deploy.Action][]string{}
	for _, t := range tenants {
		names[t.Action] = append(names[t.Action], string(t.Tenant))
	}
	var lines []string
	for _, action := range slices.Sorted(maps.Keys(names)) {
		lines = append(lines, fmt.Sprintf("%s: %s", action, strings.Join(names[action], ", ")))
	}
	return lines
}

// plan adds one plan and the tenants that need it.
func (p *page) plan(tenants []planTenant) {
	made := tenants[0].made
	way := "it cannot be taken back by a plan alone"
	if made.Migration.Reversible {
		way = "reversible"
	}
	p.line("")
	p.line("plan %s, %s, %s", short(made.Digest), made.Class(), way)
	for _, text := range byAction(tenants) {
		p.line("  %s", text)
	}
	for _, t := range tenants {
		if takes := time.Duration(*t.Plan.EstimatedDurationMs) * time.Millisecond; takes >= time.Second {
			p.line("  about %s in %s, in which nobody else can write", elapsed(takes), t.Tenant)
		}
	}
	p.diff(made.Diff)
	p.statements(made.Migration.Statements, nil)
	p.line("\nand %s of metadata, %s", plural(len(made.Registry), "row"), plural(len(made.Seeds), "seed record"))
	p.preChecks(tenants)
	p.warnings(tenants)
}

// preChecks adds a line for each pre-check: how many rows stand in the way,
// and in which tenants.
func (p *page) preChecks(tenants []planTenant) {
	for i, check := range tenants[0].made.PreChecks {
		var in []string
		asked := false
		for _, t := range tenants {
			count := t.PreChecks[i].Count
			asked = asked || count != nil
			if count != nil && *count > 0 {
				in = append(in, fmt.Sprintf("%s (%s)", t.Tenant, plural(int(*count), "row")))
			}
		}
		switch {
		case !asked:
			p.line("pre-check not asked: %s", check.Message)
		case len(in) == 0:
			p.line("pre-check passed, 0 rows: %s", check.Message)
		default:
			p.line("pre-check %s in %s: %s", meaning(check, tenants), strings.Join(in, ", "), check.Message)
			p.rows(tenants, i)
		}
	}
}

// meaning says what the rows that a pre-check found mean: nothing, that somebody
// may agree to them or has, or that the plan cannot run.
func meaning(check plan.PreCheck, tenants []planTenant) string {
	_, waivable := check.Waivable()
	said := map[string]bool{}
	for _, t := range tenants {
		if t.Error != nil {
			said[t.Error.Reason] = true
		}
	}
	switch {
	case check.Advisory || waivable && len(said) == 0:
		return "is waived"
	case waivable && !said[reason.PreCheckFailed]:
		return "needs an approval"
	}
	return "failed"
}

// rows names the rows that a pre-check found in each tenant.
func (p *page) rows(tenants []planTenant, check int) {
	for _, t := range tenants {
		found := t.PreChecks[check]
		if len(found.IDs) == 0 {
			continue
		}
		more := ""
		if rest := *found.Count - int64(len(found.IDs)); rest > 0 {
			more = fmt.Sprintf(" and %d more", rest)
		}
		p.line("  %s: %s%s", t.Tenant, strings.ReplaceAll(strings.Join(found.IDs, ", "), "\n", " "), more)
	}
}

// warnings adds each warning of the tenants once.
func (p *page) warnings(tenants []planTenant) {
	seen := map[plan.Warning]bool{}
	for _, t := range tenants {
		for _, w := range t.Warnings {
			if !seen[w] {
				p.line("%s %s: %s", p.word("warning"), w.Code, w.Message)
			}
			seen[w] = true
		}
	}
}

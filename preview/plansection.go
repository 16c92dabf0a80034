package preview

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

const (
	maxChanges = 60    // of a plan, in words
	maxSQL     = 12000 // bytes of a plan's statements
)

// plan is the section of the plans that run the same statements.
func (r *Report) plan(d *document, k Kind) {
	g := k.Merged()
	title := fmt.Sprintf("### Plan %s: %s, %s", g.title(), g.Class, plural(len(g.Tenants), "tenant"))
	if len(k) > 1 {
		title = fmt.Sprintf("### %d plans of the same statements: %s, %s", len(k), g.Class, plural(len(g.Tenants), "tenant"))
	}
	d.section(title, "", g.overview(), "", strings.Join(g.changes(), "\n"), "", g.kept(), "", k.approval(d.options.Approve))
	lines := g.staged()
	for _, s := range g.Blocked {
		lines = append(lines, "- "+s.words())
	}
	for _, s := range g.Beyond {
		lines = append(lines, "- once approved: "+s.words())
	}
	for _, c := range g.PreChecks {
		lines = append(lines, "- "+c.words())
	}
	for _, w := range g.Warnings {
		lines = append(lines, fmt.Sprintf("- warning %s: %s", name(w.Code), prose(w.Message)))
	}
	for _, q := range g.Quotas {
		lines = append(lines, fmt.Sprintf("- quota %s (%s of %s comes closest)", prose(q.String()), name(string(q.Tenant)), plural(q.Tenants, "tenant")))
	}
	for _, h := range g.Rehearsals {
		lines = append(lines, "- "+h.words())
	}
	if len(lines) > 2*maxListed {
		lines = append(lines[:2*maxListed], fmt.Sprintf("- and %d more", len(lines)-2*maxListed))
	}
	d.section(lines...)
	d.section(g.sql(d.whole))
}

// words say what stands in tenants' way. How to approve is told apart.
func (s Stop) words() string {
	next := " To go on: " + prose(s.Next) + "."
	if s.Reason == reason.AwaitingApproval {
		next = ""
	}
	return fmt.Sprintf("⚠️ %s in %s: %s.%s %s", s.Reason, plural(len(s.Tenants), "tenant"), prose(s.Message), next, tenants(s.Tenants))
}

// overview says in a sentence how the plan runs.
func (g Group) overview() string {
	parts := []string{}
	switch {
	case g.Action == deploy.Create:
		parts = append(parts, "makes new databases")
	case time.Duration(g.Longest) >= time.Second:
		parts = append(parts, fmt.Sprintf("takes about %s in the largest tenant, in which nobody else can write there", takes(g.Longest)))
		if len(g.Tenants) > 1 {
			parts = append(parts, "and "+takes(g.Total)+" in all tenants together")
		}
	case g.Longest > 0:
		parts = append(parts, "takes under 1s in each tenant")
	}
	if g.Rows > 0 {
		parts = append(parts, plural(int(g.Rows), "row")+" read or written")
	}
	if g.Reversible {
		parts = append(parts, "it can be taken back without losing a row")
	} else {
		parts = append(parts, "**it cannot be taken back by a plan alone**")
	}
	text := strings.Join(parts, ", ") + "."
	if g.Unbound != "" {
		text += " **Not bound:** " + prose(string(g.Unbound)) + "."
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if len(g.Tenants) <= maxListed {
		text += " " + tenants(g.Tenants) + "."
	}
	return text
}

// staged says how the plan goes where a table is too large for one transaction.
func (g Group) staged() []string {
	if len(g.Staged) == 0 {
		return nil
	}
	tables := make([]string, len(g.Fills))
	for i, table := range g.Fills {
		tables[i] = name(table)
	}
	return []string{fmt.Sprintf("- goes in stages in %s, which have too many rows for one transaction (`maxLock`): %s is filled in batches while applications write, and one short transaction of about %s follows: %s",
		plural(len(g.Staged), "tenant"), strings.Join(tables, ", "), takes(g.Longest), tenants(g.Staged))}
}

// changes is the DeployDiff in words.
func (g Group) changes() []string {
	var lines []string
	for i, c := range g.Diff.Changes {
		if i == maxChanges {
			lines = append(lines, fmt.Sprintf("- and %d more", len(g.Diff.Changes)-i))
			break
		}
		lines = append(lines, "- "+change(c))
	}
	if len(lines) == 0 && g.Seeds > 0 {
		lines = append(lines, "- loads seed data")
	}
	return lines
}

var verbs = map[protocol.ChangeType]string{protocol.ChangeAdded: "adds", protocol.ChangeModified: "changes", protocol.ChangeRemoved: "removes"}

func change(c protocol.SchemaChange) string {
	what := c.EntityName
	if c.ParentEntity != "" {
		what = c.ParentEntity + "." + what
	}
	text := fmt.Sprintf("%s %s %s", verbs[c.ChangeType], c.EntityType, name(what))
	if c.ChangeType == protocol.ChangeModified {
		text += altered(c.OldValue, c.NewValue)
	}
	return text
}

// altered says in which keys a definition changes: ": required false becomes
// true".
func altered(before, after any) string {
	was, is := keys(before), keys(after)
	const most = 3
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(union(was, is))) {
		a, had := was[key]
		b, has := is[key]
		switch {
		case had && has && a == b:
		case !had:
			parts = append(parts, fmt.Sprintf("%s %s is added", prose(key), name(b)))
		case !has:
			parts = append(parts, fmt.Sprintf("%s %s is removed", prose(key), name(a)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s becomes %s", prose(key), name(a), name(b)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
	}
	return ": " + strings.Join(parts, ", ")
}

// keys are the values of a definition by their paths; a value that is none has
// the path "value".
func keys(v any) map[string]string {
	if text, ok := v.(string); ok {
		var below any
		if json.Unmarshal([]byte(text), &below) == nil {
			v = below
		}
	}
	all := flat(v)
	if only, ok := all[""]; ok && len(all) == 1 {
		return map[string]string{"value": only}
	}
	return all
}

// kept says what is retired, for how long, and how it comes back.
func (g Group) kept() string {
	if len(g.Retired) == 0 {
		return ""
	}
	names := make([]string, 0, len(g.Retired))
	for i, r := range g.Retired {
		if i == maxListed {
			names = append(names, fmt.Sprintf("and %d more", len(g.Retired)-i))
			break
		}
		names = append(names, name(r.Name))
	}
	return fmt.Sprintf("Retired, and kept for %s with every value: %s. Reverting the merge within that time brings this back; afterwards it is dropped.",
		g.Retired[0].For.Words(), strings.Join(names, ", "))
}

// words say what a pre-check found: counts, and never which rows.
func (c PreCheck) words() string {
	switch {
	case c.Asked == 0:
		return "pre-check not asked: " + prose(c.Message)
	case len(c.Found) == 0:
		return fmt.Sprintf("pre-check passed in %s: %s", plural(c.Asked, "tenant"), prose(c.Message))
	}
	var in []string
	for i, f := range c.Found {
		if i == maxListed {
			in = append(in, fmt.Sprintf("and %d more", len(c.Found)-i))
			break
		}
		in = append(in, fmt.Sprintf("%s (%s)", name(string(f.Tenant)), plural(int(f.Rows), "row")))
	}
	return fmt.Sprintf("pre-check found rows in %d of %s: %s. %s", len(c.Found), plural(c.Asked, "tenant"), prose(c.Message), strings.Join(in, ", "))
}

// sql is every statement, folded.
func (g Group) sql(all string) string {
	var text []string
	for _, s := range g.Statements {
		text = append(text, s.SQL+";")
	}
	if len(text) == 0 {
		return ""
	}
	block, whole := fenced("sql", strings.Join(text, "\n"), maxSQL)
	cut := ""
	if !whole {
		cut = "\nThe rest is in " + all + ".\n"
	}
	return fmt.Sprintf("<details><summary>%s, %s of metadata, %s</summary>\n\n%s%s\n</details>",
		plural(len(g.Statements), "statement"), plural(g.Metadata, "row"), plural(g.Seeds, "seed record"), block, cut)
}

func (h Rehearsal) words() string {
	what := fmt.Sprintf("rehearsed on a copy of %s", name(string(h.Tenant)))
	switch {
	case h.Skipped != "":
		return fmt.Sprintf("not rehearsed on a copy of %s: %s", name(string(h.Tenant)), prose(string(h.Skipped)))
	case h.Failure != "":
		return "❌ " + what + ": " + prose(string(h.Failure))
	}
	checks := ""
	if h.Queries > 0 {
		checks = fmt.Sprintf(", %s passed", strings.Replace(plural(h.Queries, "verification query"), "querys", "queries", 1))
	}
	return fmt.Sprintf("%s: applied in %s%s, taken back in %s (%s, %.1f MB)",
		what, shortly(h.Applied), checks, shortly(h.Back), plural(int(h.Rows), "row"), float64(h.Bytes)/1e6)
}

func shortly(m Milliseconds) string {
	d := time.Duration(m)
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

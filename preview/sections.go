package preview

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
)

// Lists are cut after so many entries.
const (
	maxListed = 30
	maxTable  = 60 // plans in the table
)

var headlines = map[Verdict]string{
	Success: "✅ Nothing stands in the way of this merge",
	Blocked: "⚠️ Some tenants would not follow this merge",
	Failed:  "❌ This cannot be merged as it is",
}

// head is what a reviewer sees first.
func (r *Report) head(d *document) {
	marker := ""
	if d.options.Marker != "" {
		marker = "<!-- " + strings.NewReplacer("--", "", ">", "").Replace(line(d.options.Marker, maxName)) + " -->"
	}
	d.section(marker, "## "+headlines[r.Verdict])
	if r.Problem == "" && len(r.Conflicts) == 0 {
		d.section(strings.TrimSpace("**" + r.counts() + ".** " + r.sentence()))
	}
	if len(r.Plans) == 0 {
		return
	}
	rows := []string{"| plan | tenants | class | takes | way back | in the way |", "|---|--:|---|--:|---|---|"}
	kinds := r.Kinds()
	for i, k := range kinds {
		if i == maxTable {
			rows = append(rows, fmt.Sprintf("| and %d more | | | | | |", len(kinds)-i))
			break
		}
		g := k.Merged()
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s |",
			k.identity(), grouped(int64(len(g.Tenants))), classed(g), takes(g.Longest), wayBack(g), inTheWay(g.Blocked)))
	}
	d.section(rows...)
}

// sentence says what becomes of tenants beside their plans.
func (r *Report) sentence() string {
	t := r.Tenants
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{len(t.Created), "created"},
		{len(t.Suspended), "suspended"},
		{len(t.Resumed), "resumed"},
		{len(t.Removed), "removed"},
		{len(t.Held), "held"},
		{t.Unchanged, "need no deployment"},
		{r.blocked(), "blocked"},
	} {
		if p.n > 0 {
			parts = append(parts, grouped(int64(p.n))+" "+p.what)
		}
	}
	if rest := t.Total - t.Affected + len(t.Removed); rest > 0 && t.Affected > 0 {
		parts = append(parts, grouped(int64(rest))+" untouched")
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.ToUpper(parts[0][:1]) + parts[0][1:] + strings.Join(append([]string{""}, parts[1:]...), ", ") + "."
}

func (g Group) title() string {
	if g.Digest == "" {
		return "not bound"
	}
	return name(string(g.Digest[:12]))
}

func classed(g Group) string {
	if riskier(g.Class) {
		return "**" + g.Class.String() + "**"
	}
	return g.Class.String()
}

func wayBack(g Group) string {
	if g.Reversible {
		return "yes"
	}
	return "**no**"
}

// takes rounds an estimate to what it is worth.
func takes(m Milliseconds) string {
	d := time.Duration(m)
	switch {
	case d == 0:
		return "-"
	case d < time.Second:
		return "under 1s"
	case d < time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}

func inTheWay(stops []Stop) string {
	var parts []string
	for _, s := range stops {
		parts = append(parts, fmt.Sprintf("%s: %s", s.Reason, plural(len(s.Tenants), "tenant")))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// trouble is what keeps the merge from being deployed.
func (r *Report) trouble(d *document) {
	if r.Problem != "" {
		d.section(prose(string(r.Problem)))
	}
	if len(r.Conflicts) > 0 {
		d.section(append([]string{"The two sides changed the same files in ways that do not go together. Merge or rebase, and push again."},
			list(r.Conflicts, func(path string) string { return name(path) })...)...)
	}
	r.faultSection(d)
	if r.Guard != nil {
		d.section("### Removals wait", "", "⚠️ "+prose(r.Guard.Message)+". To go on: "+prose(r.Guard.Next)+".")
	}
	if len(r.Policy) > 0 {
		d.section(append([]string{
			"### Changes of policy", "",
			"They take effect after the merge. This preview goes by the policy and the connections of the base revision.",
		},
			list(r.Policy, prose)...)...)
	}
	for _, s := range r.Stopped {
		d.section(s.section()...)
	}
}

func (r *Report) faultSection(d *document) {
	if len(r.Faults) == 0 && r.Inherited == 0 {
		return
	}
	lines := []string{"### Files", ""}
	for i, f := range r.Faults {
		if i == 2*maxListed {
			lines = append(lines, fmt.Sprintf("- and %d more", len(r.Faults)-i+r.More))
			break
		}
		at := f.File
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
		}
		text := fmt.Sprintf("- %s %s: %s", f.Severity, name(at), prose(f.Message))
		if f.Next != "" {
			text += " (" + prose(f.Next) + ")"
		}
		lines = append(lines, text)
	}
	if r.Inherited > 0 {
		lines = append(lines, fmt.Sprintf("- %s that the base revision has as well", plural(r.Inherited, "error")))
	}
	d.section(lines...)
}

// section is what stands in tenants' way.
func (s Stop) section() []string {
	title := fmt.Sprintf("### %s: %s", s.Reason, plural(len(s.Tenants), "tenant"))
	if s.Reason == reason.InvalidBundle {
		return []string{title, "", "Nothing is deployed to them until the files are right.", "", tenants(s.Tenants)}
	}
	return []string{
		title, "",
		prose(s.Message) + ". To go on: " + prose(s.Next) + ".", "", tenants(s.Tenants),
	}
}

// fleet is what happens around the plans.
func (r *Report) fleet(d *document) {
	var lines []string
	for _, p := range []struct {
		what string
		ids  []tenantID
	}{
		{"created", r.Tenants.Created},
		{"suspended: read-only, and nothing is deployed to them", r.Tenants.Suspended},
		{"resumed", r.Tenants.Resumed},
		{"removed: suspended, and destroyed after the grace period", r.Tenants.Removed},
		{"held as they are", r.Tenants.Held},
	} {
		if len(p.ids) > 0 {
			lines = append(lines, fmt.Sprintf("- %s %s: %s", grouped(int64(len(p.ids))), p.what, tenants(p.ids)))
		}
	}
	if len(lines) > 0 {
		d.section(append([]string{"### Tenants", ""}, lines...)...)
	}
	if len(r.Apps) > 0 {
		d.section(append([]string{"### Apps", ""}, list(r.Apps, AppUse.words)...)...)
	}
	if len(r.Waves) > 0 {
		lines := []string{"### Waves", ""}
		for i, w := range r.Waves {
			text := fmt.Sprintf("%d. %s: %s", i+1, name(w.Name), plural(len(w.Tenants), "tenant"))
			if w.Rule != "" {
				text += ", " + prose(w.Rule)
			}
			if len(w.Tenants) <= maxListed/3 {
				text += " (" + tenants(w.Tenants) + ")"
			}
			lines = append(lines, text)
		}
		d.section(lines...)
	}
}

func (a AppUse) words() string {
	switch {
	case a.From == "":
		return fmt.Sprintf("%s %s is installed in %s", name(a.App), prose(string(a.To)), plural(a.Tenants, "tenant"))
	case a.To == "":
		return fmt.Sprintf("%s %s is uninstalled from %s", name(a.App), prose(string(a.From)), plural(a.Tenants, "tenant"))
	}
	return fmt.Sprintf("%s goes from %s to %s in %s", name(a.App), prose(string(a.From)), prose(string(a.To)), plural(a.Tenants, "tenant"))
}

// foot says what was compared, and what the digests are worth.
func (r *Report) foot(o MarkdownOptions) string {
	text := fmt.Sprintf("---\nMerging %s into %s.", name(r.Head[:min(12, len(r.Head))]), name(r.Base[:min(12, len(r.Base))]))
	switch {
	case r.Problem != "" || len(r.Conflicts) > 0 || len(r.Plans) == 0:
	case r.Bound:
		text += " The plans are bound to the live databases: one that changes before the merge is deployed is planned anew, and never given a plan that was made for something else."
	case r.Unbound != "":
		text += " **Not bound to live databases:** " + prose(string(r.Unbound)) + "."
	default:
		text += " The plans that say so are not bound: what is applied after the merge may differ from them."
	}
	if at := link(o.Link); at != "" {
		text += fmt.Sprintf(" [The whole report](%s).", at)
	}
	return text + "\n"
}

// list makes a list of at most maxListed entries.
func list[T any](all []T, words func(T) string) []string {
	lines := []string{""}
	for i, one := range all {
		if i == maxListed {
			lines = append(lines, fmt.Sprintf("- and %d more", len(all)-i))
			break
		}
		lines = append(lines, "- "+words(one))
	}
	return lines
}

// tenants names tenants, in one line.
func tenants(ids []tenantID) string {
	var names []string
	for i, id := range ids {
		if i == maxListed {
			return strings.Join(names, ", ") + fmt.Sprintf(" and %s more", grouped(int64(len(ids)-i)))
		}
		names = append(names, name(string(id)))
	}
	return strings.Join(names, ", ")
}

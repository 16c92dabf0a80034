package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/preview"
)

// previewFlags are what only preview takes.
type previewFlags struct {
	base, head, merge string
	rehearse          int
	exitCode          bool
	failOn            []string
	link              string
}

// The words of --fail-on.
const (
	failOnWarning     = "warning"
	failOnBlocked     = "blocked"
	failOnDestructive = "destructive"
)

func previewCommand(c *cli) *cobra.Command {
	q := &previewFlags{}
	command := &cobra.Command{
		Use:   "preview",
		Short: "what merging one revision into another would do to every tenant",
		Long: `Say what a merge would do: the result of merging --head into --base is planned
against the live databases, tenants that need the same plan together, with what
stands in their way, how long they take, and what is kept and comes back.

Policy and connection settings are those of --base. Without --data the plans are
made against the schema of --base: they have no digest, and nothing is known of
rows.

Nothing is written to a tenant or to state. --rehearse makes copies of real
databases below DIR/previews, runs the plans, the verification queries and the
way back on them, and removes them.

Exit code 2: it conflicts, files are wrong, or a rehearsal failed. With
--exit-code also 1: there is something to deploy, and 3: some tenants are blocked.
With --fail-on 1 or, for blocked, 3.`,
		Example: `  reconciler preview --repo ./company --data ./data --base main --head add-vat-number
  reconciler preview --repo . --base origin/main --head HEAD -o markdown > comment.md
  reconciler preview --repo ./company --data ./data --head add-vat-number --rehearse=3 --fail-on blocked,destructive`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{writing: "yes"},
		RunE:        c.start(func(ctx context.Context, _ []string) error { return c.preview(ctx, q) }),
	}
	setting(command, "repo", "ref", "data", "secrets-dir", "file-root", "log-format")
	flags := command.Flags()
	flags.StringVar(&q.base, "base", "", "`revision` that is merged into (default --ref)")
	flags.StringVar(&q.head, "head", "", "`revision` to merge")
	flags.StringVar(&q.merge, "merge", "", "the forge's own merge of the two, a `revision` such as refs/pull/7/merge")
	flags.IntVar(&q.rehearse, "rehearse", 0, "try each plan on copies of `N` tenants' databases, 1 when N is left out")
	flags.Lookup("rehearse").NoOptDefVal = "1"
	flags.BoolVar(&q.exitCode, "exit-code", false, "exit with 1 when there is something to deploy, 3 when tenants are blocked")
	flags.StringSliceVar(&q.failOn, "fail-on", nil, "exit with 1 or 3 on `what`: warning, blocked, destructive, or several")
	flags.StringVar(&q.link, "link", "", "`URL` of the whole report, for -o markdown that has to be cut")
	return command
}

func (q *previewFlags) check() error {
	if q.head == "" {
		return usagef("--head is missing: give the revision to merge")
	}
	if q.rehearse < 0 || q.rehearse > preview.MaxCopies {
		return usagef("--rehearse takes 1 to %d copies", preview.MaxCopies)
	}
	for _, word := range q.failOn {
		if !slices.Contains([]string{failOnWarning, failOnBlocked, failOnDestructive}, word) {
			return usagef("--fail-on %q: it is warning, blocked or destructive", word)
		}
	}
	return nil
}

func (c *cli) preview(ctx context.Context, q *previewFlags) error {
	if err := q.check(); err != nil {
		return err
	}
	if q.rehearse > 0 && c.settings.Data == "" {
		return usagef("--rehearse needs --data: there is no database to copy without it")
	}
	w, err := c.openFleetToPreview(ctx, q)
	if err != nil {
		return err
	}
	defer w.close()
	report, err := preview.Run(ctx, preview.Request{
		Base: q.base, Head: q.head, Merge: q.merge, Reconcile: w.config,
		Rehearse: preview.Rehearse{Copies: q.rehearse},
	})
	if err != nil {
		return err
	}
	if c.output == asMarkdown {
		fmt.Fprint(c.stdout, report.Markdown(preview.MarkdownOptions{Link: q.link}))
	} else if err := c.print(report, func(p *page) { p.report(report) }); err != nil {
		return err
	}
	if code := q.code(report); code != 0 {
		return outcome(code)
	}
	return nil
}

// openFleetToPreview is openFleetIfAny, but where branches of databases on a
// server may be made: each is recorded first. Beside a daemon none is made.
func (c *cli) openFleetToPreview(ctx context.Context, q *previewFlags) (*workplace, error) {
	if q.rehearse > 0 && c.settings.Databases.Provider != "" && c.settings.Databases.Provider != config.ServerFiles {
		w, err := c.openFleet(ctx)
		var held *heldError
		if err == nil {
			w.config.ReadOnly = true
		}
		if !errors.As(err, &held) {
			return w, err
		}
	}
	return c.openFleetIfAny(ctx)
}

// openFleetIfAny is openFleetToLook, also without any data directory.
func (c *cli) openFleetIfAny(ctx context.Context) (*workplace, error) {
	if c.settings.Data != "" {
		return c.openFleetToLook(ctx)
	}
	w := &workplace{}
	w.config.ReadOnly = true
	return w, w.open(ctx, c)
}

// code is the exit code that goes with a report.
func (q *previewFlags) code(r *preview.Report) int {
	warned := len(r.Faults) > 0
	destructive := len(r.Tenants.Removed) > 0
	for _, g := range r.Plans {
		warned = warned || len(g.Warnings) > 0
		destructive = destructive || g.Class == diff.Destructive
	}
	on := func(word string, found bool) bool { return found && slices.Contains(q.failOn, word) }
	switch {
	case r.Verdict == preview.Failed:
		return exitFailed
	case r.Verdict == preview.Blocked && (q.exitCode || slices.Contains(q.failOn, failOnBlocked)):
		return exitPartial
	case q.exitCode && len(r.Plans)+len(r.Tenants.Removed)+len(r.Tenants.Suspended) > 0, on(failOnWarning, warned), on(failOnDestructive, destructive):
		return exitChanges
	}
	return 0
}

// report shows a preview to people at a terminal.
func (p *page) report(r *preview.Report) {
	p.line("merging %s into %s: %s", short(r.Head), short(r.Base), r.Summary())
	if r.Problem != "" {
		p.line("%s", r.Problem)
	}
	for _, path := range r.Conflicts {
		p.line("conflict %s", path)
	}
	for _, f := range r.Faults {
		p.fault(f)
	}
	for _, text := range r.Policy {
		p.line("after the merge: %s", text)
	}
	for _, k := range r.Kinds() {
		p.kind(k)
	}
	for _, s := range r.Stopped {
		p.stopped(s)
	}
	for _, t := range []struct {
		what string
		ids  []string
	}{
		{"created", texts(r.Tenants.Created)},
		{"suspended", texts(r.Tenants.Suspended)},
		{"resumed", texts(r.Tenants.Resumed)},
		{"removed", texts(r.Tenants.Removed)},
		{"held", texts(r.Tenants.Held)},
	} {
		if len(t.ids) > 0 {
			p.line("%s: %s", t.what, strings.Join(t.ids, ", "))
		}
	}
	if r.Guard != nil {
		p.line("%s: %s\n  next: %s", r.Guard.Reason, r.Guard.Message, r.Guard.Next)
	}
	for i, w := range r.Waves {
		p.line("wave %d %s: %s", i+1, w.Name, plural(len(w.Tenants), "tenant"))
	}
	if r.Unbound != "" {
		p.line("not bound: %s", r.Unbound)
	}
}

// kind shows the plans that run the same statements as one, and who gets which.
func (p *page) kind(k preview.Kind) {
	g := k.Merged()
	way := "it cannot be taken back by a plan alone"
	if g.Reversible {
		way = "reversible"
	}
	if len(k) == 1 {
		p.line("\nplan %s, %s, %s, takes %s: %s", planName(g), g.Class, way, elapsed(time.Duration(g.Longest)), strings.Join(texts(g.Tenants), ", "))
	} else {
		p.line("\n%d plans of the same statements, %s, %s, takes %s", len(k), g.Class, way, elapsed(time.Duration(g.Longest)))
		for _, one := range k {
			p.line("  plan %s: %s", planName(one), strings.Join(texts(one.Tenants), ", "))
		}
	}
	if g.Unbound != "" {
		p.line("  %s", g.Unbound)
	}
	p.diff(g.Diff)
	p.statements(g.Statements, nil)
	p.aside(g)
	for _, s := range g.Blocked {
		p.stopped(s)
	}
	for _, s := range g.Beyond {
		p.line("once approved:")
		p.stopped(s)
	}
	for _, h := range g.Rehearsals {
		p.rehearsal(h)
	}
}

func planName(g preview.Group) string {
	if g.Digest == "" {
		return "not bound"
	}
	return short(string(g.Digest))
}

// aside is what a reader of the statements has to know besides.
func (p *page) aside(g preview.Group) {
	for _, r := range g.Retired {
		p.line("retired %s, kept for %s", r.Name, r.For.Words())
	}
	if len(g.Staged) > 0 {
		p.line("in stages in %s: %s is filled in batches first", strings.Join(texts(g.Staged), ", "), strings.Join(g.Fills, ", "))
	}
	for _, check := range g.PreChecks {
		p.line("pre-check in %s, %s: %s", plural(check.Asked, "tenant"), foundIn(check), check.Message)
	}
	for _, q := range g.Quotas {
		p.line("quota %s, of %s", q.String(), q.Tenant)
	}
	for _, w := range g.Warnings {
		p.line("%s %s: %s", p.word("warning"), w.Code, w.Message)
	}
}

// foundIn says which tenants have rows that a pre-check looked for, and how many.
func foundIn(check preview.PreCheck) string {
	var in []string
	for _, f := range check.Found {
		in = append(in, fmt.Sprintf("%s (%s)", f.Tenant, plural(int(f.Rows), "row")))
	}
	switch {
	case check.Asked == 0:
		return "not asked"
	case len(in) == 0:
		return "no rows"
	}
	return "rows in " + strings.Join(in, ", ")
}

func (p *page) rehearsal(h preview.Rehearsal) {
	switch {
	case h.Failure != "":
		p.line("rehearsal in %s %s: %s", h.Tenant, p.word("failed"), h.Failure)
	case h.Skipped != "":
		p.line("no rehearsal in %s: %s", h.Tenant, h.Skipped)
	default:
		p.line("rehearsed in %s: applied in %s, taken back in %s", h.Tenant, elapsed(time.Duration(h.Applied)), elapsed(time.Duration(h.Back)))
	}
}

func (p *page) stopped(s preview.Stop) {
	p.line("%s in %s: %s\n  next: %s", s.Reason, strings.Join(texts(s.Tenants), ", "), s.Message, s.Next)
}

func texts[T ~string](values []T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}

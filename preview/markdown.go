package preview

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// MaxComment is the most characters that forges take for a comment.
const MaxComment = 65536

// MarkdownOptions say how a report is written down.
type MarkdownOptions struct {
	Limit  int    // bytes at most; default and most MaxComment-1
	Link   string // where the whole report is, http or https; may be empty
	Marker string // hidden text that the comment is found by again; may be empty
	// Approve is the start of the comment that approves a plan. Empty where no
	// comment does.
	Approve string
}

// Markdown writes the report as GitHub-flavoured Markdown, which GitLab and
// Gitea render as well: summary first, SQL folded. Whatever comes from the
// repository is escaped. What is beyond the limit is left out from the middle,
// whole sections at a time.
func (r *Report) Markdown(o MarkdownOptions) string {
	if o.Limit <= 0 || o.Limit > MaxComment-1 {
		o.Limit = MaxComment - 1
	}
	d := &document{options: o, whole: r.whole(o)}
	r.head(d)
	r.trouble(d)
	r.fleet(d)
	for _, k := range r.Kinds() {
		r.plan(d, k)
	}
	return d.text(r.foot(o))
}

// document is Markdown in sections, each of which is well-formed by itself.
type document struct {
	options  MarkdownOptions
	whole    string // where all of it is
	sections []string
}

// section adds a section, with no more than one empty line in a row; nothing when
// there is no other line.
func (d *document) section(lines ...string) {
	var kept []string
	for _, l := range lines {
		if l != "" || len(kept) > 0 && kept[len(kept)-1] != "" {
			kept = append(kept, l)
		}
	}
	if text := strings.TrimRight(strings.Join(kept, "\n"), "\n"); text != "" {
		d.sections = append(d.sections, text+"\n")
	}
}

// text puts the sections together, before the foot.
func (d *document) text(foot string) string {
	all := strings.Join(append(slices.Clone(d.sections), foot), "\n")
	if len(all) <= d.options.Limit {
		return all
	}
	const notice = 300 // bytes that saying so takes, without the link
	room := d.options.Limit - len(foot) - len(link(d.options.Link)) - notice
	var b strings.Builder
	shown := 0
	for _, s := range d.sections {
		if b.Len()+len(s)+1 > room {
			break
		}
		b.WriteString(s + "\n")
		shown++
	}
	fmt.Fprintf(&b, "**%s left out here, since a comment is not long enough. All is in %s.**\n\n", plural(len(d.sections)-shown, "section"), d.whole)
	return b.String() + foot
}

// whole says where the whole report is: behind a link, or what prints it.
func (r *Report) whole(o MarkdownOptions) string {
	if at := link(o.Link); at != "" {
		return fmt.Sprintf("[the whole report](%s)", at)
	}
	return fmt.Sprintf("the whole report, which `reconciler preview --base %s --head %s -o json` prints with the daemon's `--repo` and `--data`", commit(r.Base), commit(r.Head))
}

// commit is a commit as it may stand within code.
func commit(hash string) string { return hash[:min(12, len(hash))] }

// link is an address that may stand in a report, or nothing.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return ""
	}
	return strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E", "\"", "%22").Replace(u.String())
}

// Summary is the report in one line of at most 140 characters, for a commit
// status. Nothing of it comes from the repository.
func (r *Report) Summary() string {
	switch {
	case len(r.Conflicts) > 0:
		return "it cannot be merged: " + plural(len(r.Conflicts), "conflict")
	case r.Problem != "":
		return "it cannot be previewed: see the report"
	}
	text := r.counts()
	if n := r.errors(); n > 0 {
		text = plural(n, "error") + "; " + text
	} else if n := r.blocked(); n > 0 {
		text += fmt.Sprintf("; %s blocked", plural(n, "tenant"))
	}
	if r.Guard != nil {
		text += "; removals wait"
	}
	if n := r.failures(); n > 0 {
		text += "; " + plural(n, "rehearsal") + " failed"
	}
	return text
}

// counts is "412 tenants, 3 distinct plans".
func (r *Report) counts() string {
	if r.Tenants.Affected == 0 {
		return "no tenant is affected"
	}
	text := fmt.Sprintf("%s, %s", plural(r.Tenants.Affected, "tenant"), plural(len(r.Plans), "distinct plan"))
	if n := len(r.Kinds()); n < len(r.Plans) {
		text += fmt.Sprintf(" of %s", plural(n, "kind"))
	}
	return text
}

func (r *Report) errors() (n int) {
	for _, f := range r.Faults {
		if f.IsError() {
			n++
		}
	}
	return n + r.More
}

// blocked counts the tenants that would not follow the merge.
func (r *Report) blocked() (n int) {
	for _, s := range r.Stopped {
		n += len(s.Tenants)
	}
	for _, g := range r.Plans {
		for _, s := range g.Blocked {
			n += len(s.Tenants)
		}
	}
	return n
}

func (r *Report) failures() (n int) {
	for _, g := range r.Plans {
		for _, h := range g.Rehearsals {
			if h.Failure != "" {
				n++
			}
		}
	}
	return n
}

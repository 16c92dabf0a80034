package preview

import (
	"fmt"
)

// MaxComment is the most characters that forges take for a comment.
const MaxComment = 65536

// MarkdownOptions say how a report is written down.
type MarkdownOptions struct {
	Limit  int    // characters at most; default and most MaxComment
	Link   string // where the whole report is; may be empty
	Marker string // hidden text that the comment is found by again; may be empty
	// Approve is the start of the comment that approves a plan, default
	// "/reconciler approve".
	Approve string
}

// Markdown writes the report as GitHub-flavoured Markdown, which GitLab and
// Gitea render as well: summary first, SQL folded. Whatever comes from the
// repository is escaped.
func (r *Report) Markdown(o MarkdownOptions) string {
	return fmt.Sprintf("<!-- %s -->\n%s\n", o.Marker, r.Summary())
}

// Summary is the report in one line of at most 140 characters, for a commit
// status.
func (r *Report) Summary() string {
	return string(r.Verdict)
}

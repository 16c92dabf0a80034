package pull

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/state"
)

// hear reads what was written since the last time, and answers commands. It
// waits for the preview, since a command is about its plans.
func (w *Watcher) hear(ctx context.Context, p *pull) error {
	if !p.current() || p.row.Comment == 0 {
		return nil
	}
	heard := p.Updated
	if !heard.Equal(p.heard) {
		if err := w.hearComments(ctx, p); err != nil {
			return err
		}
	}
	if p.result.ByReview && len(p.result.Plans) > 0 {
		if err := w.hearReviews(ctx, p); err != nil {
			return err
		}
	}
	p.heard = heard
	return nil
}

// said is a command or a review, as it is judged.
type said struct {
	key    string
	at     time.Time
	author forge.User
	edited bool
	url    string
	plans  []string // what the digests of the plans begin with
	review bool     // of all plans that wait
}

func (w *Watcher) hearComments(ctx context.Context, p *pull) error {
	comments, err := w.Forge.Comments(ctx, p.Number, p.row.Since)
	if err != nil {
		return err
	}
	since := p.row.Since
	for _, c := range comments {
		if c.Updated.After(since) {
			since = c.Updated
		}
		plans := command(c.Text)
		if plans == nil || w.own(c.Author) {
			continue
		}
		err := w.answer(ctx, p, said{
			key: fmt.Sprintf("comment %d", c.ID), at: c.Updated, author: c.Author, edited: c.Edited(), url: c.URL, plans: plans,
		})
		if err != nil {
			return err
		}
	}
	p.row.Since = since
	return nil
}

// hearReviews takes approving reviews of the head by those who can have seen
// the preview of it.
func (w *Watcher) hearReviews(ctx context.Context, p *pull) error {
	reviews, err := w.Forge.Reviews(ctx, p.Pull)
	if err != nil {
		return err
	}
	for _, r := range reviews {
		if w.own(r.Author) || r.Commit != "" && r.Commit != p.made.head || r.At.Before(p.row.PostedAt) {
			continue
		}
		err := w.answer(ctx, p, said{key: fmt.Sprintf("review %d", r.ID), at: r.At, author: r.Author, url: r.URL, review: true})
		if err != nil {
			return err
		}
	}
	return nil
}

// approve is the command: a line of a comment, with what plans begin with.
var approve = regexp.MustCompile(`\A/reconciler[ \t]+approve((?:[ \t]+\S+)*)[ \t]*\z`)

// command is what a comment says to approve, nil where it is no command. It
// begins with the command, which may be there for one plan a line: what follows
// another line is talk.
func command(text string) (plans []string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		found := approve.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if found == nil {
			break
		}
		named := strings.Fields(found[1])
		if len(named) == 0 {
			named = []string{""} // which is said to be none
		}
		for _, name := range named {
			plans = append(plans, strings.ToLower(strings.Trim(name, "`")))
		}
	}
	return plans
}

// answer judges what somebody said, once, and keeps the answer.
func (w *Watcher) answer(ctx context.Context, p *pull, s said) error {
	known := slices.IndexFunc(p.row.Answers, func(a state.PullAnswer) bool { return a.Key == s.key })
	if known >= 0 && p.row.Answers[known].At.Equal(s.at) {
		return nil
	}
	text, approved, err := w.judge(ctx, p, s)
	if err != nil {
		return err
	}
	if known >= 0 {
		p.row.Answers = slices.Delete(p.row.Answers, known, known+1)
	}
	p.row.Answers = append(p.row.Answers, state.PullAnswer{Key: s.key, At: s.at.UTC().Truncate(time.Millisecond), By: plain(s.author.Login), Text: text})
	p.row.Answers = p.row.Answers[max(0, len(p.row.Answers)-keptAnswers):]
	if approved {
		p.made = key{} // it is to be previewed again
	}
	return nil
}

// digits are what a plan is named by.
var digits = regexp.MustCompile(`\A[0-9a-f]{12,64}\z`)

// judge says what comes of a command. Whether somebody may is asked of the
// forge, and before anything that would tell of plans.
func (w *Watcher) judge(ctx context.Context, p *pull, s said) (text string, approved bool, err error) {
	switch {
	case s.author.Bot:
		return "refused: a program cannot approve", false, nil
	case s.edited:
		return "refused: the comment was changed after it was written; write a new one", false, nil
	}
	may, err := w.Forge.MayWrite(ctx, s.author)
	if err != nil {
		return "", false, err
	}
	if !may {
		return "refused: only who may write to this repository can approve", false, nil
	}
	own, err := w.byAuthor(ctx, p, s.author)
	switch {
	case err != nil && ctx.Err() == nil:
		w.Log.Warn("commits of pull request not read", logPull, p.Number, logErr, err)
		return "refused: fleet.yaml has approval.notByAuthor, and who wrote the commits cannot be read", false, nil
	case err != nil:
		return "", false, err
	case own:
		return "refused: fleet.yaml has approval.notByAuthor, and this is by an author of the change", false, nil
	}
	plans := p.result.Plans
	if !s.review {
		var problem string
		if plans, problem = p.result.named(s.plans); problem != "" {
			return problem, false, nil
		}
	}
	for _, plan := range plans {
		if err := w.Approve(ctx, Approval{Plan: plan, Actor: s.author.Login, URL: s.url}); err != nil {
			return "", false, err
		}
		w.Log.Info("plan approved", logPull, p.Number, logPlan, plan[:min(12, len(plan))], logActor, s.author.Login)
	}
	return "approved: " + short(plans), true, nil
}

// named finds the waiting plans that a command names, or says why not: then
// none of them is approved.
func (r *Result) named(prefixes []string) (plans []string, problem string) {
	for _, prefix := range prefixes {
		plan, problem := r.plan(prefix)
		switch {
		case problem != "" && len(prefixes) > 1 && digits.MatchString(prefix):
			return nil, problem + ": " + short([]string{prefix})
		case problem != "":
			return nil, problem
		case !slices.Contains(plans, plan):
			plans = append(plans, plan)
		}
	}
	return plans, ""
}

// plan finds the waiting plan whose digest begins so, or says why there is none.
func (r *Result) plan(prefix string) (plan, problem string) {
	if !digits.MatchString(prefix) {
		return "", "refused: give at least the first 12 digits of the plan's digest"
	}
	for _, waiting := range r.Plans {
		if !strings.HasPrefix(waiting, prefix) {
			continue
		}
		if plan != "" {
			return "", "refused: more than one plan begins so; give more of the digest"
		}
		plan = waiting
	}
	if plan == "" {
		return "", "refused: no plan of this preview that waits for an approval begins so"
	}
	return plan, ""
}

// byAuthor tells that somebody is an author of the change where that does not
// count: who opened the pull request, or who wrote one of its commits.
func (w *Watcher) byAuthor(ctx context.Context, p *pull, u forge.User) (bool, error) {
	if !p.result.NotByAuthor {
		return false, nil
	}
	if u.ID == p.Author.ID || strings.EqualFold(u.Login, p.Author.Login) {
		return true, nil
	}
	commits, err := w.Repo.Between(ctx, p.made.base, p.made.head)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(commits, func(c gitrepo.Commit) bool {
		return slices.ContainsFunc([]string{u.Login, u.Name, u.Email}, func(word string) bool {
			return deploy.IsAuthor(word, c.Author, c.Email)
		})
	}), nil
}

func short(plans []string) string {
	var names []string
	for _, plan := range plans {
		names = append(names, "`"+plan[:min(12, len(plan))]+"`")
	}
	return strings.Join(names, ", ")
}

// plain keeps of a login what logins are made of: it is written into a comment.
func plain(login string) string {
	login = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.[]", r)) {
			return r
		}
		return '?'
	}, login)
	return login[:min(len(login), 64)]
}

// answered is the end of the comment: what came of the last commands. Nobody
// is notified by it.
func answered(answers []state.PullAnswer) string {
	if len(answers) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n### Approvals\n\n")
	for _, a := range answers[max(0, len(answers)-shownAnswers):] {
		fmt.Fprintf(&b, "- `%s` %s\n", a.By, a.Text)
	}
	return b.String()
}

package pull

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/state"
)

// tell makes comments and statuses true, and hears what was written. The first
// request that the forge does not answer ends it: all of it is due again.
func (w *Watcher) tell(ctx context.Context) {
	if w.left() || ctx.Err() != nil {
		return
	}
	err := w.know(ctx)
	for _, number := range slices.Sorted(maps.Keys(w.pulls)) {
		if err == nil {
			err = w.tellOf(ctx, w.pulls[number])
		}
	}
	for _, number := range slices.Sorted(maps.Keys(w.merged)) {
		if err == nil {
			err = w.follow(ctx, w.merged[number])
		}
	}
	if err != nil {
		w.failed(ctx, err)
		return
	}
	w.back()
}

// know learns who the daemon is on the forge.
func (w *Watcher) know(ctx context.Context) (err error) {
	if w.self == (forge.User{}) {
		w.self, err = w.Forge.Self(ctx)
	}
	return err
}

// tellOf brings one pull request up to date. What the forge refuses for good is
// logged once, and keeps nothing else from being told.
func (w *Watcher) tellOf(ctx context.Context, p *pull) error {
	before := p.row
	before.Answers = slices.Clone(before.Answers)
	var err error
	for _, do := range []func(context.Context, *pull) error{w.comment, w.hear, w.comment, w.status} {
		if err = w.refusable(p, do(ctx, p)); err != nil {
			break
		}
	}
	if !equalRows(before, p.row) {
		w.keep(ctx, p.row)
	}
	return err
}

// keep records what is known of a pull request. When that cannot be written, a
// restart posts some of it once more.
func (w *Watcher) keep(ctx context.Context, row state.Pull) {
	if err := w.Store.SavePull(context.WithoutCancel(ctx), row); err != nil {
		w.Log.Warn("pull request not recorded", logPull, row.Number, logErr, err)
	}
}

func (w *Watcher) forget(ctx context.Context, number int) {
	if err := w.Store.ForgetPull(context.WithoutCancel(ctx), w.Project, number); err != nil {
		w.Log.Warn("pull request not recorded", logPull, number, logErr, err)
	}
}

func equalRows(a, b state.Pull) bool {
	return a.Head == b.Head && a.Comment == b.Comment && a.Text == b.Text && a.PostedAt.Equal(b.PostedAt) && a.Status == b.Status &&
		a.Since.Equal(b.Since) && slices.Equal(a.Answers, b.Answers)
}

// refusable logs, once, what the forge refuses for good.
func (w *Watcher) refusable(p *pull, err error) error {
	refused, ok := errors.AsType[*forge.RefusedError](err)
	if !ok || refused.Status == 401 {
		return err
	}
	if p.refused != err.Error() {
		w.Log.Warn("forge refused", logPull, p.Number, logErr, err)
	}
	p.refused = err.Error()
	return nil
}

// status sets the status of the head: pending while it works, unless the same
// head had a preview before, whose word stands meanwhile.
func (w *Watcher) status(ctx context.Context, p *pull) error {
	s := forge.Status{Context: w.context(), URL: p.URL, Fork: p.Fork}
	switch {
	case p.wanted == (key{}):
		return nil
	case p.current():
		s.State, s.Description = p.result.State, p.result.Summary
	case p.failures >= told:
		s.State, s.Description = forge.Failure, "The preview cannot be made; the log of the reconciler says why."
	case p.wanted.head == p.row.Head && (p.result == nil || p.made.base == p.wanted.base):
		return nil
	default:
		s.State, s.Description = forge.Pending, "Looking at what merging this would do to every tenant."
	}
	sign := digest(p.wanted.head, string(s.State), s.Description)
	if sign == p.row.Status {
		return nil
	}
	err := w.Forge.SetStatus(ctx, p.wanted.head, s)
	if err == nil || !isAway(err) {
		p.row.Status = sign // one that was refused would be again
		if p.current() {
			p.row.Head = p.wanted.head
		}
	}
	return err
}

func isAway(err error) bool {
	_, away := errors.AsType[*forge.AwayError](err)
	return away
}

// context is what this fleet's statuses are called.
func (w *Watcher) context() string { return "reconciler/" + w.Environment }

// mark is what this fleet's comments begin with, hidden in a comment of HTML.
func (w *Watcher) mark() string { return "reconciler preview " + w.Environment }

// comment writes or changes the comment. There is one for each pull request,
// found again by its id, or by its mark and its author.
func (w *Watcher) comment(ctx context.Context, p *pull) error {
	if !p.current() {
		return nil
	}
	answers := answered(p.row.Answers)
	body := p.result.Markdown(w.mark(), maxComment-len(answers))
	sign := digest(body)
	if p.row.Text == sign+digest(answers) && p.row.Comment != 0 {
		return nil
	}
	written, err := w.write(ctx, p, body+answers)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(p.row.Text, sign) {
		p.row.PostedAt = cmp.Or(written.Updated, w.Now()) // a review after that has seen it
	}
	p.row.Comment, p.row.Text = int(written.ID), sign+digest(answers)
	return nil
}

func (w *Watcher) write(ctx context.Context, p *pull, text string) (forge.Comment, error) {
	id := int64(p.row.Comment)
	if id == 0 {
		found, err := w.find(ctx, p.Number)
		if err != nil {
			return forge.Comment{}, err
		}
		id = found
	}
	if id != 0 {
		written, err := w.Forge.Edit(ctx, p.Number, id, text)
		if !forge.Missing(err) {
			return written, err
		}
	}
	return w.Forge.Comment(ctx, p.Number, text)
}

// find looks for a comment that was written before state was lost.
func (w *Watcher) find(ctx context.Context, number int) (id int64, err error) {
	all, err := w.Forge.Comments(ctx, number, time.Time{})
	for _, c := range all {
		if w.own(c.Author) && strings.HasPrefix(c.Text, "<!-- "+w.mark()+" -->") {
			return c.ID, nil
		}
	}
	return 0, err
}

// own tells that a user is who the daemon is. An app does not know its number.
func (w *Watcher) own(u forge.User) bool {
	if w.self.ID != 0 && u.ID != 0 {
		return w.self.ID == u.ID
	}
	return strings.EqualFold(w.self.Login, u.Login)
}

// digest is 16 hex digits of texts.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

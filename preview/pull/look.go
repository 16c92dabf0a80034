package pull

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/state"
)

// key is what a preview is of.
type key struct {
	head, base string
	fleet      int // how often the fleet has changed before
}

// pull is an open pull request.
type pull struct {
	forge.Pull
	row     state.Pull
	before  string // the head before this one
	wanted  key    // what is to be previewed
	made    key    // what the result is of
	result  *Result
	running key
	cancel  context.CancelFunc // of the preview under way; nil for none

	failures int       // of the machinery, for the key that is wanted
	again    time.Time // when it may be tried again
	heard    time.Time // Updated when its comments were read last
	refused  string    // what the forge refused to take, as it was
}

// current tells that the result is of the pull request as it is.
func (p *pull) current() bool { return p.result != nil && p.made == p.wanted }

func (p *pull) stop() {
	if p.cancel != nil {
		p.cancel()
	}
}

// look brings what is known of the pull requests up to date. While the forge
// is away, those that are known are followed in git alone.
func (w *Watcher) look(ctx context.Context) {
	refs, err := w.Repo.Refs(ctx, w.Refs)
	if err != nil {
		w.Log.Debug("refs of pull requests not listed", logErr, err)
	}
	if !w.left() {
		if err := w.list(ctx); err != nil {
			w.failed(ctx, err)
		}
	}
	base, err := w.Repo.Resolve(ctx, "")
	if err != nil {
		w.Log.Debug("base of pull requests not read", logErr, err)
		return
	}
	for number, p := range w.pulls {
		p.want(p.head(refs[strconv.Itoa(number)]), base.Hash, w.fleet)
	}
}

// list asks the forge for the open pull requests.
func (w *Watcher) list(ctx context.Context) error {
	found, err := w.Forge.Pulls(ctx)
	if err != nil {
		return err
	}
	open := map[int]bool{}
	for _, p := range found {
		if p.Base != w.Branch {
			continue
		}
		open[p.Number] = true
		known := w.pulls[p.Number]
		if known == nil {
			known = &pull{row: w.rows[p.Number]}
			known.row.Project, known.row.Number = w.Project, p.Number
			w.pulls[p.Number] = known
		}
		known.Pull = p
		delete(w.rows, p.Number)
	}
	for number, row := range w.rows { // that ended while nobody looked
		w.pulls[number] = &pull{Pull: forge.Pull{Number: number}, row: row}
	}
	clear(w.rows)
	for number, p := range w.pulls {
		if !open[number] {
			if err := w.missed(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// missed looks at a pull request that is not among the open ones: it has ended,
// leads elsewhere now, or the list was cut.
func (w *Watcher) missed(ctx context.Context, p *pull) error {
	found, err := w.Forge.Pull(ctx, p.Number)
	switch {
	case forge.Missing(err):
	case err != nil:
		return err
	case found.Open && found.Base == w.Branch:
		p.Pull = found
		return nil
	}
	p.stop()
	delete(w.pulls, p.Number)
	w.Ended(p.Number)
	if found.Merged == "" || found.Base != w.Branch {
		w.forget(ctx, p.Number)
		return nil
	}
	p.row.Merged, p.row.Status = found.Merged, ""
	w.merged[p.Number] = p.row
	w.keep(ctx, p.row)
	return nil
}

// head is the head of a pull request. Git and the forge may tell of a push one
// after the other: the newer one counts.
func (p *pull) head(inGit string) string {
	switch inGit {
	case "", p.wanted.head, p.before:
		return p.Head
	}
	return inGit
}

// want says what is to be previewed.
func (p *pull) want(head, base string, fleet int) {
	wanted := key{head, base, fleet}
	if wanted == p.wanted {
		return
	}
	if head != p.wanted.head {
		p.before = p.wanted.head
	}
	p.wanted, p.failures, p.again = wanted, 0, time.Time{}
}

// left tells that the forge is not to be asked now.
func (w *Watcher) left() bool { return w.quiet.After(w.Now()) }

// failed leaves the forge alone for a while, and says so once.
func (w *Watcher) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the daemon ends
	}
	w.quiet = w.Now().Add(w.Poll)
	if away, ok := errors.AsType[*forge.AwayError](err); ok && !away.Until.IsZero() {
		w.quiet = away.Until
	}
	if !w.away {
		w.Log.Warn("forge away", logErr, err, logUntil, w.quiet)
	}
	w.away = true
}

func (w *Watcher) back() {
	if w.away {
		w.Log.Warn("forge back")
	}
	w.away = false
}

// Package pull carries the open pull requests of the watched repository: it has
// each of them previewed, keeps one comment and one commit status of it true,
// hears approvals, and says on the merge commit how far its rollout is.
//
// It is level-triggered: what the forge, git and the fleet have decides, a
// webhook only wakes it. It never holds up a pass. A forge that is away delays
// comments; what was previewed meanwhile is posted once it is back. What people
// write there is believed for one thing, an approval, and only after the forge
// was asked whether they may.
package pull

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/state"
)

// Config is what a Watcher works with.
type Config struct {
	Forge   forge.Forge
	Refs    string // pattern of the refs of heads, from forge.Config.Refs
	Project string // under which Store keeps pull requests
	Branch  string // that the fleet follows; pull requests into others are left alone
	// Environment is the name of this fleet: in the context of statuses,
	// reconciler/ENVIRONMENT, and in the mark of comments.
	Environment string
	Repo        repository
	Store       store
	// Preview makes a preview. Its error is one of the machinery, and is not
	// shown on the pull request. It has to end when its context does.
	Preview func(context.Context, Request) (*Result, error)
	// Approve records an approval.
	Approve    func(context.Context, Approval) error
	Made       func(outcome string, took time.Duration) // is told of each preview: made, failed or superseded; may be nil
	Ended      func(number int)                         // is told of each pull request that has; may be nil
	Poll       time.Duration                            // between looks at the pull requests; default 60s
	Concurrent int                                      // previews at a time; default 2
	Now        func() time.Time
	Log        *slog.Logger
}

// repository is the watched repository, a *gitrepo.Repo.
type repository interface {
	Resolve(ctx context.Context, revision string) (gitrepo.Commit, error)
	Refs(ctx context.Context, pattern string) (map[string]string, error)
	Descends(ctx context.Context, hash, ancestor string) (bool, error)
	Between(ctx context.Context, base, head string) ([]gitrepo.Commit, error)
}

// store keeps what was posted, and knows the rollouts: a *state.Store.
type store interface {
	SavePull(ctx context.Context, p state.Pull) error
	ForgetPull(ctx context.Context, project string, number int) error
	Pulls(ctx context.Context, project string) ([]state.Pull, error)
	Rollouts(ctx context.Context, n int) ([]state.Rollout, error)
	LastPass(ctx context.Context) (state.Pass, bool, error)
}

// Request asks for the preview of a pull request.
type Request struct {
	Number     int
	Base, Head string // full commits, in the repository
}

// Result is a preview.
type Result struct {
	State   forge.State // success or failure; one that is blocked has failed until somebody does something
	Summary string      // one line, for the status
	// Markdown is the comment, of so many characters at most, that begins with
	// <!-- mark -->.
	Markdown func(mark string, limit int) string
	Plans    []string // digests that wait for an approval
	// ByReview and NotByAuthor are what fleet.yaml of the base says.
	ByReview, NotByAuthor bool
}

// Approval is somebody's word on a pull request that a plan may run.
type Approval struct {
	Plan  string // digest
	Actor string // login
	URL   string // of the comment or the review
}

const (
	previewTime  = 30 * time.Minute // 10,000 tenants take less than two
	maxComment   = 65536            // characters, of GitHub; the others take more
	shownAnswers = 10
	keptAnswers  = 50
)

// Watcher carries pull requests.
type Watcher struct {
	Config
	woken   chan struct{} // has an element when the forge is to be looked at
	changed chan struct{} // the same, when the fleet is not what it was
	done    chan outcome
	workers sync.WaitGroup

	pulls  map[int]*pull
	merged map[int]state.Pull
	rows   map[int]state.Pull // as they were at the start, of pull requests not seen yet
	fleet  int                // counts changes of the fleet
	busy   int                // previews under way
	self   forge.User
	quiet  time.Time // until then the forge is left alone
	away   bool      // it was said to be
}

// New returns a Watcher.
func New(c Config) *Watcher {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Poll == 0 {
		c.Poll = time.Minute
	}
	if c.Concurrent == 0 {
		c.Concurrent = 2
	}
	if c.Made == nil {
		c.Made = func(string, time.Duration) {}
	}
	if c.Ended == nil {
		c.Ended = func(int) {}
	}
	return &Watcher{
		Config: c, woken: make(chan struct{}, 1), changed: make(chan struct{}, 1), done: make(chan outcome),
		pulls: map[int]*pull{}, merged: map[int]state.Pull{}, rows: map[int]state.Pull{},
	}
}

// Wake has the forge looked at soon. It never blocks.
func (w *Watcher) Wake() { signal(w.woken) }

// Changed tells that the fleet is not what it was, so that previews are made
// anew. It never blocks.
func (w *Watcher) Changed() { signal(w.changed) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one waits already
	}
}

// Run carries pull requests until ctx ends, and returns once the previews under
// way have. Its error is one of the store, at the start.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.workers.Wait()
	rows, err := w.Store.Pulls(ctx, w.Project)
	if err != nil {
		return fmt.Errorf("watch pull requests: %w", err)
	}
	for _, row := range rows {
		if row.Merged != "" {
			w.merged[row.Number] = row
		} else {
			w.rows[row.Number] = row
		}
	}
	for look := true; ctx.Err() == nil; look = w.wait(ctx) {
		if look {
			w.look(ctx)
		}
		w.supersede()
		w.start(ctx)
		w.tell(ctx)
	}
	for _, p := range w.pulls {
		p.stop()
	}
	return nil
}

// wait returns when something is to be done, and whether that begins with a
// look at the forge.
func (w *Watcher) wait(ctx context.Context) (look bool) {
	timer := time.NewTimer(w.pause())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.woken:
		return true
	case <-timer.C:
		return true
	case <-w.changed:
		w.fleet++
		return true
	case o := <-w.done:
		w.finish(o)
	}
	return false
}

// pause is how long to wait for the next look: a poll, or until a forge that
// wants to be left alone may be asked again.
func (w *Watcher) pause() time.Duration {
	if left := w.quiet.Sub(w.Now()); left > 0 {
		return min(left, w.Poll)
	}
	return w.Poll
}

// Attributes of the log.
const (
	logPull     = "pull"
	logErr      = "err"
	logUntil    = "until"
	logRevision = "revision"
	logPlan     = "plan" // digest, 12 hex
	logActor    = "actor"
	logElapsed  = "elapsed_ms"
)

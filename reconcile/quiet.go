package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// quiet is what the last pass of Run leaves behind: while all of it holds, a
// poll has nothing to do, and looks at no tenant and no row of state.
type quiet struct {
	commit string            // that the pass brought the fleet to; empty when it did not
	tags   map[string]string // that the revision refers to, and where they were
	looked time.Time         // when the databases were looked at
}

// rest takes note of a pass over the whole fleet that has ended well. While
// there are sign-ups that git does not have, every poll goes on with them.
func (r *Reconciler) rest(f reading) {
	for _, known := range f.records {
		if known.PendingCommit() && !f.has(known.ID) {
			return
		}
	}
	r.last = quiet{commit: f.commit.Hash, tags: f.asked, looked: f.now}
}

// unchanged tells that the repository has what the last pass brought the fleet
// to.
func (r *Reconciler) unchanged(ctx context.Context) bool {
	head, err := r.Repo.Resolve(ctx, "")
	if err != nil && away(err) {
		return r.last.commit != "" // it has nothing at all
	}
	if err != nil || r.last.commit == "" || head.Hash != r.last.commit {
		return false
	}
	return r.tagsStand(ctx, r.last.tags)
}

// tagsStand tells that tags are where they were.
func (r *Reconciler) tagsStand(ctx context.Context, tags map[string]string) bool {
	for tag, before := range tags {
		if now, _, err := r.Repo.Tag(ctx, tag); err != nil || now != before {
			return false
		}
	}
	return true
}

// untilDue is how long there is nothing to do unless the repository has
// something new; not above zero when there is something now.
func (r *Reconciler) untilDue() time.Duration {
	due := r.Now().Add(r.Poll)
	if r.last.commit != "" {
		due = r.last.looked.Add(max(r.Look, r.Poll))
	}
	sooner := func(at time.Time, ok bool) {
		if ok && at.Before(due) {
			due = at
		}
	}
	sooner(r.retries.next())
	sooner(r.nextExpiry())
	sooner(r.nextEnd, !r.nextEnd.IsZero())
	sooner(r.wake, !r.wake.IsZero())
	return max(0, due.Sub(r.Now()))
}

// noting makes a lookup of app versions note the tags that it is asked for.
func noting(asked map[string]string, version func(app, version string) (fs.FS, string, error),
) func(app, version string) (fs.FS, string, error) {
	return func(app, number string) (fs.FS, string, error) {
		tree, commit, err := version(app, number)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			asked[tagOf(app, number)] = commit
		} else {
			asked[tagOf(app, number)] = "unreadable" // no commit: it is read again
		}
		return tree, commit, err
	}
}

// Package preview says what merging a pull request would do to every tenant,
// before it is merged: the plans, grouped by identical plan, with their risk,
// what stands in their way, how long they take, and, where asked, what they did
// to copies of real databases.
//
// A preview reads. It writes to no tenant, and policy and connection settings
// are those of the base revision: a pull request can neither loosen the rules
// it is judged by nor lead a connection somewhere else.
package preview

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
)

// Request asks for a preview.
type Request struct {
	// Base and Head are revisions; full commits are best, since a branch moves.
	// Merge is the revision of the forge's own merge of the two
	// (refs/pull/7/merge), used when its parents are the two; may be empty.
	Base, Head, Merge string
	// Reconcile is the way to the repository and to the live fleet. Without a
	// Store plans are made against the schema of base, and no database is looked
	// at. It should be ReadOnly beside a running daemon; one that is not adds the
	// plans to the store, where an approval of them looks for them.
	Reconcile reconcile.Config
	// Cache remembers the files of earlier previews. May be nil.
	Cache *bundle.Cache
	// Rehearse says how many copies the plans are tried on.
	Rehearse Rehearse
}

// Run makes a preview. What is wrong with the pull request is in the report; an
// error is one of the machinery: no repository, no such revision, no store.
func Run(ctx context.Context, q Request) (*Report, error) {
	if q.Reconcile.Now == nil {
		q.Reconcile.Now = time.Now
	}
	if q.Cache == nil {
		q.Cache = bundle.NewCache()
	}
	q.Reconcile.OnRead, q.Reconcile.OnChange = nil, nil
	started := q.Reconcile.Now()
	r := &run{Request: q, report: &Report{Verdict: Success}}
	err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	r.report.finish()
	r.report.Took = q.Reconcile.Now().Sub(started)
	return r.report, nil
}

// run is one preview while it is made.
type run struct {
	Request
	report     *Report
	base, head gitrepo.Commit
	before     *bundle.Fleet // of base
	after      *bundle.Fleet // of the merge result, by the rules of base
	own        *bundle.Fleet // of the merge result, by its own rules
	unsure     map[tenantID]string
}

func (r *run) run(ctx context.Context) error {
	merged, err := r.merge(ctx)
	if err != nil || r.over() {
		return err
	}
	if err := r.load(ctx, merged); err != nil || r.over() {
		return err
	}
	r.rules()
	r.report.Approval = &r.before.Config.Approval
	changed := r.changes()
	if r.Reconcile.Store == nil {
		r.unbind("no data directory was given: the plans are made against the schema of base, and not against the live databases")
		return r.planSchemas(ctx, changed)
	}
	return r.planLive(ctx, changed)
}

// over tells that there is nothing to plan.
func (r *run) over() bool {
	return r.report.Problem != "" || len(r.report.Conflicts) > 0
}

// stop ends the preview with what is wrong with the pull request.
func (r *run) stop(format string, args ...any) {
	r.report.Problem = Optional(fmt.Sprintf(format, args...))
}

func (r *run) unbind(why string) {
	if r.report.Unbound == "" {
		r.report.Unbound = Optional(why)
	}
}

// merge finds the two sides and what merging them gives.
func (r *run) merge(ctx context.Context) (gitrepo.Merged, error) {
	repo := r.Reconcile.Repo
	var err error
	if r.base, err = repo.Resolve(ctx, r.Base); err != nil {
		return gitrepo.Merged{}, err
	}
	if r.head, err = repo.Resolve(ctx, r.Head); err != nil {
		return gitrepo.Merged{}, err
	}
	r.report.Base, r.report.Head = r.base.Hash, r.head.Hash
	forge := ""
	if r.Merge != "" { // a forge has none while there are conflicts, or for a while
		if c, err := repo.Resolve(ctx, r.Merge); err == nil {
			forge = c.Hash
		}
	}
	merged, err := repo.Merge(ctx, r.base.Hash, r.head.Hash, forge)
	switch {
	case errors.Is(err, gitrepo.ErrUnrelated):
		r.stop("%v", err)
		return merged, nil
	case err != nil:
		return merged, err
	}
	r.report.Conflicts = merged.Conflicts
	if merged.Tree != nil {
		var tree string
		tree, err = merged.Tree.Hash(".")
		r.report.Merge = Optional(tree)
	}
	return merged, err
}

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

const lookAgain = 250 * time.Millisecond // at state.db, which costs some milliseconds at 10,000 tenants

func waitCommand(c *cli) *cobra.Command {
	w := waiter{timeout: "30m"}
	command := &cobra.Command{
		Use:   "wait COMMIT",
		Short: "wait until a commit has reached its tenants",
		Long: `Wait until every tenant of COMMIT, a commit, branch or tag, has what that commit
wants of it, or what a later one wants, as a step of a pipeline does after a push.
Held and suspended tenants, and those that a later commit removes, are not waited
for. It changes nothing and works beside the daemon.

The exit code is 0 when all were reached, 3 when some were not: they failed, are
blocked, or --timeout is over; and 2 when none was, or the rollout has halted or
was ended.`,
		Example: `  reconciler wait "$(git rev-parse HEAD)" --repo . --data ./data
  reconciler wait main --select tier=canary --timeout 10m --repo ./company --data ./data`,
		Args: cobra.ExactArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error { return c.wait(ctx, args[0], w) }),
	}
	setting(command, "repo", "ref", "data", "secrets-dir")
	command.Flags().StringToStringVar(&w.labels, "select", nil, "only the tenants with these `labels`: tier=canary,region=eu")
	command.Flags().Lookup("select").DefValue = "" // help has no use for an empty map
	command.Flags().StringVar(&w.timeout, "timeout", w.timeout, "give up after this `time`, such as 90s or 1h")
	return command
}

// waiter waits for tenants to be where a commit wants them.
type waiter struct {
	labels  map[string]string
	timeout string

	repo     *gitrepo.Repo
	commit   gitrepo.Commit
	tenants  []*bundle.Tenant
	descends map[string]bool // by commit: whether it has the one that is waited for
}

func (c *cli) wait(ctx context.Context, revision string, w waiter) error {
	limit, err := config.Span(w.timeout).Parse()
	if err != nil || limit == 0 {
		return usagef("--timeout is %q: write it like 90s or 1h", w.timeout)
	}
	if err := c.needData(); err != nil {
		return err
	}
	repo, err := c.openRepo(ctx)
	if err != nil {
		return err
	}
	defer repo.Close()
	w.repo, w.descends = repo.Repo, map[string]bool{}
	if err := w.load(ctx, revision); err != nil {
		return err
	}
	answer, err := c.watch(ctx, &w, time.Now().Add(limit))
	if err != nil {
		return err
	}
	if err := c.print(answer, answer.people); err != nil {
		return err
	}
	return answer.outcome()
}

// load reads what the commit wants of the tenants that are selected.
func (w *waiter) load(ctx context.Context, revision string) error {
	var err error
	if w.commit, err = w.repo.Resolve(ctx, revision); err != nil {
		return err
	}
	tree, err := w.repo.Tree(ctx, w.commit.Hash)
	if err != nil {
		return err
	}
	options := reconcile.BundleOptions(ctx, w.repo)
	options.Revision = w.commit.Hash
	loaded, err := bundle.Load(tree, options)
	if err != nil {
		return err
	}
	for _, t := range loaded.Tenants {
		if labelled(t.Spec.Labels, w.labels) {
			w.tenants = append(w.tenants, t)
		}
	}
	if len(w.tenants) == 0 {
		return usagef("--select: no tenant of commit %s has these labels", short(w.commit.Hash))
	}
	return nil
}

func labelled(labels, want map[string]string) bool {
	for key, value := range want {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// watch looks until nothing is to be waited for, or the time is over.
func (c *cli) watch(ctx context.Context, w *waiter, end time.Time) (answer waitAnswer, err error) {
	var store *state.Store
	defer func() {
		if store != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	for {
		if store == nil {
			store, err = c.readStateIfAny(ctx) // a daemon that starts makes it
		}
		if err == nil {
			answer, err = w.look(ctx, store)
		}
		// A file that is being made, or written to, is looked at again.
		if err != nil && !errors.Is(err, database.ErrBusy) && !errors.Is(err, state.ErrVersion) {
			return answer, err
		}
		over := !time.Now().Before(end)
		if err == nil && (over || len(answer.Waiting) == 0 || answer.Error != nil) || err != nil && over {
			if len(answer.Waiting) > 0 && answer.Error == nil {
				answer.Error = answer.waits
			}
			if len(answer.Waiting) > 0 && answer.Error == nil && store != nil {
				answer.Error, err = failedPass(ctx, store)
			}
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// failedPass is why no tenant is come to, nil where the last pass came to some.
func failedPass(ctx context.Context, store *state.Store) (*problem, error) {
	pass, _, err := store.LastPass(ctx)
	if err != nil || pass.Error == "" {
		return nil, err
	}
	return &problem{Reason: reason.PassFailed, Message: "the last pass failed: " + pass.Error, Next: "see \"reconciler status\""}, nil
}

// waitAnswer is how far a commit has come.
type waitAnswer struct {
	Revision string              `json:"revision"`
	Status   state.Operation     `json:"status"` // Running when the time was over
	Reached  int                 `json:"reached"`
	Failed   []tenantProblem     `json:"failed"`  // or blocked
	Waiting  []protocol.TenantID `json:"waiting"` // not yet reached
	Error    *problem            `json:"error"`   // why the rollout goes no further, or what it waited for when the time was over

	commit gitrepo.Commit
	waits  *problem // what the rollout waits for, which may end
}

func (w *waiter) look(ctx context.Context, store *state.Store) (waitAnswer, error) {
	answer := waitAnswer{Revision: w.commit.Hash, commit: w.commit, Failed: []tenantProblem{}, Waiting: []protocol.TenantID{}}
	observed := map[protocol.TenantID]state.Observed{}
	if store != nil {
		var err error
		if observed, err = store.Observed(ctx); err != nil {
			return answer, err
		}
		if err := w.course(ctx, store, &answer); err != nil {
			return answer, err
		}
	}
	for _, t := range w.tenants {
		row := observed[t.ID]
		where, err := w.where(ctx, t, row)
		if err != nil {
			return answer, err
		}
		switch where {
		case placeReached:
			answer.Reached++
		case placeFailed:
			answer.Failed = append(answer.Failed, tenantProblem{t.ID, problemOf(row.Reason, row.Message, row.Next)})
		case placeWaiting:
			answer.Waiting = append(answer.Waiting, t.ID)
		}
	}
	if len(answer.Waiting) == 0 {
		answer.Error = nil // it has come to all of them
	}
	answer.judge()
	return answer, nil
}

// where tells how far a tenant is, as far as this commit is concerned; empty
// for one that is not waited for.
func (w *waiter) where(ctx context.Context, t *bundle.Tenant, row state.Observed) (string, error) {
	looked, err := w.has(ctx, row.Revision)
	if err != nil {
		return "", err
	}
	problem := row.Health.Problem()
	switch {
	case looked && (row.Reason == reason.Held || row.Reason == reason.Removed || row.Reason == reason.DeletionGuard || row.Health == state.Suspended):
		return "", nil
	case problem && looked:
		return placeFailed, nil
	case problem || row.Sync != state.Synced && row.Reason != reason.Drift:
		return placeWaiting, nil
	case t.Desired != nil && row.BundleDigest == t.Desired.Digest:
		return placeReached, nil
	}
	applied, err := w.has(ctx, row.AppliedRevision)
	if applied {
		return placeReached, err
	}
	return placeWaiting, err
}

// has tells that a commit is the one that is waited for, or descends from it.
func (w *waiter) has(ctx context.Context, commit string) (bool, error) {
	if commit == "" || commit == w.commit.Hash {
		return commit != "", nil
	}
	known, ok := w.descends[commit]
	if ok {
		return known, nil
	}
	descends, err := w.repo.Descends(ctx, commit, w.commit.Hash)
	if err != nil {
		// A commit that this clone has not fetched is asked for once.
		if _, fetched := w.repo.Fetch(ctx); fetched != nil {
			return false, fetched
		}
		descends, err = w.repo.Descends(ctx, commit, w.commit.Hash)
	}
	w.descends[commit] = descends
	return descends, err
}

// course is why the rollout that has the commit goes no further by itself, or
// what it waits for.
func (w *waiter) course(ctx context.Context, store *state.Store, answer *waitAnswer) error {
	last, ok, err := store.LastRollout(ctx)
	if err != nil || !ok || last.Reason == "" {
		return err
	}
	has, err := w.has(ctx, last.Revision)
	if !has {
		return err
	}
	why := problemOf(last.Reason, last.Message, last.Next)
	if last.Status == state.Failed {
		answer.Error = why
	} else if last.Open() {
		answer.waits = why
	}
	return err
}

func (a *waitAnswer) judge() {
	switch {
	case a.Error != nil || a.Reached == 0 && len(a.Failed) > 0 && len(a.Waiting) == 0:
		a.Status = state.Failed
	case len(a.Waiting) > 0:
		a.Status = state.Running
	case len(a.Failed) > 0:
		a.Status = state.Partial
	default:
		a.Status = state.Succeeded
	}
}

func (a waitAnswer) outcome() error {
	switch {
	case a.Status == state.Succeeded:
		return nil
	case a.Status == state.Failed, a.Reached == 0:
		return outcome(exitFailed)
	}
	return outcome(exitPartial)
}

func (a waitAnswer) people(p *page) {
	p.commit(a.commit)
	p.line("%s: %s reached, %d failed or blocked, %d waiting", p.word(string(a.Status)), plural(a.Reached, "tenant"), len(a.Failed), len(a.Waiting))
	if a.Status == state.Running {
		p.line("  the time of --timeout is over")
	}
	if a.Error != nil {
		p.line("  %s: %s", a.Error.Reason, a.Error.Message)
		if a.Error.Next != "" {
			p.line("  next: %s", a.Error.Next)
		}
	}
	p.problems(a.Failed)
}

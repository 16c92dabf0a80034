package main

import (
	"context"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// workplace is everything that a pass over the fleet needs, open.
type workplace struct {
	config  reconcile.Config
	closers []func() error
}

// close puts everything away, the last opened first. What was written is
// complete by then.
func (w *workplace) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		_ = w.closers[i]()
	}
}

// openFleet opens the fleet to work on it: the data directory is made where it
// is missing, and locked.
func (c *cli) openFleet(ctx context.Context) (*workplace, error) {
	if err := c.needRepo(); err != nil {
		return nil, err
	}
	held, err := c.claimData()
	if err != nil {
		return nil, err
	}
	w := &workplace{closers: []func() error{held.release}}
	w.config.Store, err = state.Open(ctx, c.statePath(), state.Options{})
	if err != nil {
		w.close()
		return nil, err
	}
	w.closers = append(w.closers, w.config.Store.Close)
	return w, w.open(ctx, c)
}

// openFleetToLook opens the fleet beside a daemon, or where there is no data
// directory yet, and writes nothing.
func (c *cli) openFleetToLook(ctx context.Context) (*workplace, error) {
	store, err := c.readStateIfAny(ctx)
	if err != nil {
		return nil, err
	}
	w := &workplace{}
	w.config.Store, w.config.ReadOnly = store, true
	if store != nil {
		w.closers = append(w.closers, store.Close)
	}
	return w, w.open(ctx, c)
}

// open opens what both need: the repository and the way to the databases.
func (w *workplace) open(ctx context.Context, c *cli) error {
	repo, err := c.openRepo(ctx)
	if err == nil {
		w.add(repo)
		err = w.equip(ctx, c)
	}
	if err != nil {
		w.close()
	}
	return err
}

func (w *workplace) add(repo repository) {
	w.config.Repo = repo.Repo
	w.closers = append(w.closers, repo.Close)
}

// equip sets what does not come from the repository.
func (w *workplace) equip(ctx context.Context, c *cli) (err error) {
	w.config.Snapshots = c.snapshots()
	w.config.Databases, w.config.Secrets = c.databases(), c.secrets()
	w.config.Log, w.config.Poll, w.config.Look = c.logger(), c.settings.Poll.Duration(), c.settings.Look.Duration()
	if c.settings.MaxConcurrent != nil {
		w.config.MaxConcurrent = *c.settings.MaxConcurrent
	}
	w.config.Router, err = c.router(ctx, w.config.Store)
	return err
}

// load reads the bundles of a revision.
func load(ctx context.Context, repo *gitrepo.Repo) (gitrepo.Commit, *bundle.Fleet, error) {
	commit, err := repo.Resolve(ctx, "")
	if err != nil {
		return commit, nil, err
	}
	tree, err := repo.Tree(ctx, commit.Hash)
	if err != nil {
		return commit, nil, err
	}
	options := reconcile.BundleOptions(ctx, repo)
	options.Revision = commit.Hash
	loaded, err := bundle.Load(tree, options)
	return commit, loaded, err
}

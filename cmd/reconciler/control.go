package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// control changes what a fleet may do: its holds and approvals. It does so in
// the daemon, asked through the socket, and in a command that has the data
// directory to itself.
type control struct {
	store     *state.Store
	now       func() time.Time
	snapshots deploy.Snapshots
	policy    func() (deploy.SnapshotPolicy, bool) // of fleet.yaml as the daemon has read it; nil where there is none
	notice    func(context.Context) error          // tells the daemon's loop; nil where there is none
	life      *provision.Service                   // for requests about a tenant's life
	secrets   secret.Keeper
	// placements are those of the daemon's router; nil where there is none.
	placements *tenantrouter.Placements
	router     *tenantrouter.Router // to databases on servers; nil for none
	observe    bool                 // no tenant's database may be written to
}

// mayWrite refuses what would write to a tenant's database in a daemon that
// only observes.
func (k *control) mayWrite() error {
	if k.observe {
		return errors.New("the daemon was started with --observe, and writes to no tenant's database: start it without, or stop it first")
	}
	return nil
}

// changed makes a change count at once, also when who asked for it has left.
func (k *control) changed(ctx context.Context) error {
	if k.notice == nil {
		return nil
	}
	return k.notice(context.WithoutCancel(ctx))
}

func needActor(actor string) error {
	if actor == "" {
		return usagef("the actor is missing: say who does this")
	}
	return nil
}

// patience is how long a command waits for a data directory that another
// process holds without serving the socket: a daemon that starts or ends, or
// a short sync.
const patience = 5 * time.Second

// change carries a request out: through the daemon where one works on the data
// directory, else with do, holding the lock meanwhile.
func change[Q, A any](ctx context.Context, c *cli, path string, q Q, do func(*control, context.Context, Q) (A, error)) (A, error) {
	return changeBy(ctx, c, path, q, func(ctx context.Context, c *cli, q Q) (A, error) { return alone(ctx, c, q, do) })
}

// changeBy is change with another way to carry the request out in this process,
// which gives a heldError when another one works on the data directory.
func changeBy[Q, A any](ctx context.Context, c *cli, path string, q Q, alone func(context.Context, *cli, Q) (A, error)) (A, error) {
	for giveUp := time.Now().Add(cmp.Or(c.patience, patience)); ; {
		answer, err := alone(ctx, c, q)
		var held *heldError
		if !errors.As(err, &held) {
			return answer, err
		}
		answer, err = ask[A](ctx, c.settings.Data, path, q)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return answer, err
		}
		if time.Now().After(giveUp) {
			held.deaf = true
			return answer, held
		}
		select {
		case <-ctx.Done():
			return answer, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// alone carries a request out in this process, or gives a heldError when
// another one works on the data directory.
func alone[Q, A any](ctx context.Context, c *cli, q Q, do func(*control, context.Context, Q) (A, error)) (answer A, err error) {
	held, err := c.claimExisting()
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	if _, err := os.Stat(c.statePath()); err != nil {
		return answer, fmt.Errorf("there is nothing to change before the first \"reconciler sync\" or \"reconciler run\": %w", err)
	}
	store, err := state.Open(ctx, c.statePath(), state.Options{})
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	router, err := c.router(ctx, store)
	if err != nil {
		return answer, err
	}
	return do(&control{store: store, now: time.Now, snapshots: c.snapshots(), router: router}, ctx, q)
}

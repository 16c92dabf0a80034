package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tenantops/reconciler/state"
)

// control changes what a fleet may do: its holds and approvals. It is the same
// in the process that works on the data directory and in a command that has
// the directory to itself.
type control struct {
	store  *state.Store
	now    func() time.Time
	notice func(context.Context) error // tells the loop; may be nil
	log    *slog.Logger
}

// changed makes a change count at once.
func (k *control) changed(ctx context.Context) error {
	if k.notice == nil {
		return nil
	}
	return k.notice(ctx)
}

// change does something with the control of a data directory that no other
// process works on.
func change[Q, A any](ctx context.Context, c *cli, q Q, do func(*control, context.Context, Q) (A, error)) (answer A, err error) {
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
	return do(&control{store: store, now: time.Now, log: c.logger()}, ctx, q)
}

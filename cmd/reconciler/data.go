package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/state"
)

// needData says that a command was called without a data directory.
func (c *cli) needData() error {
	if c.settings.Data == "" {
		return usagef("--data is missing: give the data directory")
	}
	return nil
}

// snapshots are the copies of databases in a data directory.
func (c *cli) snapshots() deploy.Snapshots {
	return deploy.Snapshots{Dir: filepath.Join(c.settings.Data, "snapshots")}
}

func (c *cli) statePath() string { return filepath.Join(c.settings.Data, "state.db") }

// readState opens the state of a data directory to look at it, whether or not
// a daemon is at work on it.
func (c *cli) readState(ctx context.Context) (*state.Store, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	return state.Open(ctx, c.statePath(), state.Options{ReadOnly: true})
}

// reading makes what a command does of what it does with the state of a data
// directory, which it looks at.
func (c *cli) reading(do func(ctx context.Context, store *state.Store, args []string) error) func(*cobra.Command, []string) error {
	return c.start(func(ctx context.Context, args []string) error {
		store, err := c.readState(ctx)
		if err != nil {
			return err
		}
		defer store.Close()
		return do(ctx, store, args)
	})
}

// readStateIfAny is readState for a data directory that may be new: then
// there is no store, and no error.
func (c *cli) readStateIfAny(ctx context.Context) (*state.Store, error) {
	store, err := c.readState(ctx)
	if errors.Is(err, database.ErrMissing) {
		return nil, nil
	}
	return store, err
}

// claimData makes the data directory where it is missing and locks it. The
// caller releases the lock.
func (c *cli) claimData() (*lock, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.settings.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return acquireSoon(c.settings.Data)
}

// claimExisting locks a data directory that is there.
func (c *cli) claimExisting() (*lock, error) {
	if err := c.needData(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.settings.Data); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return acquire(c.settings.Data)
}

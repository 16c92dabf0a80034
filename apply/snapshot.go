package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

// maxCopies bounds how often a snapshot is taken again because somebody
// committed before the write lock was there. A tenant that is written to all
// the time loses this race once or twice, not always: the lock follows the copy
// at once.
const maxCopies = 5

// begin opens the transaction, with a copy beforehand where one is asked for:
// of just what the transaction finds. VACUUM INTO fails inside a transaction
// (sqlite.org/lang_vacuum.html), so the copy comes first, and counts when nobody
// has committed in between.
func (r *runner) begin(ctx context.Context) error {
	if r.deployment.Snapshot == "" {
		return r.lock(ctx)
	}
	if err := makeDirectory(filepath.Dir(r.deployment.Snapshot)); err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	for range maxCopies {
		if current, err := r.copyAndLock(ctx); err != nil || current {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrSnapshot, ErrRestless)
}

func (r *runner) lock(ctx context.Context) error {
	if _, err := r.conn.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// copyAndLock makes the copy and takes the lock. It returns false, outside a
// transaction and without a copy, when somebody has committed in between. The
// copy has its final name only once it is known to be good.
func (r *runner) copyAndLock(ctx context.Context) (bool, error) {
	path := r.deployment.Snapshot
	temporary := path + PartSuffix
	before, err := dataVersion(ctx, r.conn)
	if err != nil {
		return false, err
	}
	if err := libsql.Copy(ctx, r.conn, temporary, 0o600); err != nil {
		if ctx.Err() != nil || errors.Is(err, database.ErrBusy) || errors.Is(err, database.ErrCorrupt) {
			return false, err // which is not about the copy
		}
		return false, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err := r.lock(ctx); err != nil {
		return false, errors.Join(err, os.Remove(temporary))
	}
	after, err := dataVersion(ctx, r.conn)
	current := err == nil && after == before
	if current {
		if err = libsql.Place(temporary, path); err == nil {
			return true, nil
		}
		err = fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	_, rollback := r.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
	return false, errors.Join(err, rollback, discard(temporary), discard(path))
}

// discard removes a file that may not be there.
func discard(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// PartSuffix ends the name of a copy that is not complete. Such a file is left
// behind by a process that died, and is of no use.
const PartSuffix = ".part"

// makeDirectory makes a directory that only this user can look into, with those
// above it, and makes each name durable.
func makeDirectory(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeDirectory(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return libsql.SyncDirectory(parent)
}

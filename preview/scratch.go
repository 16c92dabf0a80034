package preview

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

// scratchDir is where a data directory has the copies that plans are tried on.
func scratchDir(data string) string { return filepath.Join(data, "previews") }

const scratchPrefix = "rehearsal-"

// Sweep removes what previews have left in a data directory that were killed.
// Those under way are left alone. A rehearsal does the same when it begins.
func Sweep(data string) error { return sweep(scratchDir(data)) }

// scratch is a directory for copies that goes with the preview, or with the next
// one where this one is killed: its lock is given up with the process.
type scratch struct {
	dir  string
	lock *os.File
}

func openScratch(dir string) (*scratch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(dir); err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(dir, scratchPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(own, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		if err = flock(lock); err != nil {
			err = errors.Join(err, lock.Close())
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(own))
	}
	return &scratch{own, lock}, nil
}

func flock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// close removes the directory. Every copy in it is closed by then.
func (s *scratch) close() error { return errors.Join(os.RemoveAll(s.dir), s.lock.Close()) }

func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), scratchPrefix) {
			err = errors.Join(err, sweepOne(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// sweepOne removes a directory whose process is gone. One without a lock is
// being made now, or was left within that moment: it has no copy in it.
func sweepOne(dir string) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = flock(lock)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return lock.Close()
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	return errors.Join(err, lock.Close())
}

// copied is a copy of a tenant's database with a history of its own.
type copied struct {
	conn     database.Conn
	store    *state.Store
	deployer *deploy.Deployer
	deployed bool   // something was deployed to the database before
	path     string // of a copy in a file; empty for a branch
	history  string
}

// copy makes a consistent copy: a branch where the provider has them, else a
// file.
func (all *rehearsals) copy(ctx context.Context, id tenantID, h *Rehearsal) (_ *copied, err error) {
	t := find(all.run.after, id)
	size, bundle, err := all.weigh(ctx, id)
	if err != nil {
		return nil, err
	}
	if h.Bytes = size; size > all.MaxBytes {
		return nil, &refusal{fmt.Sprintf("its database has %d bytes, and copies may have %d", size, all.MaxBytes)}
	}
	if room, err := free(all.scratch.dir); err == nil && room < 3*size {
		return nil, &refusal{fmt.Sprintf("the volume has %d bytes left, and a rehearsal may take %d", room, 3*size)}
	}
	c := &copied{deployed: bundle != "", history: filepath.Join(all.scratch.dir, string(id)+".state.db")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	at, err := all.Provider.Locate(id, t.Spec.ConnectionConfig)
	if err != nil {
		return nil, err
	}
	h.Copied = timed(func() { err = all.open(ctx, at, c) })
	if err != nil {
		return nil, err
	}
	c.store, err = state.Open(ctx, c.history, state.Options{})
	if err == nil && bundle != "" {
		err = all.remember(ctx, c.store, bundle)
	}
	c.deployer = deploy.New(deploy.Config{Store: c.store, By: deploy.Doer{Actor: "reconciler preview"}, Log: all.run.Reconcile.Log})
	return c, err
}

// weigh is the size of a tenant's database and the bundle that it has.
func (all *rehearsals) weigh(ctx context.Context, id tenantID) (size int64, bundle string, err error) {
	conn, err := all.look.LookAt(ctx, find(all.run.after, id))
	if err != nil {
		return 0, "", err
	}
	rows, err := conn.Query(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`)
	if err == nil {
		size, _ = rows.Values[0][0].(int64)
	}
	observed, _, seen := all.run.Reconcile.Store.ObservedOf(ctx, id)
	return size, observed.BundleDigest, errors.Join(err, seen, conn.Close())
}

// open copies the database and opens the copy.
func (all *rehearsals) open(ctx context.Context, at provision.Database, c *copied) (err error) {
	if brancher, ok := all.Provider.(provision.Brancher); ok {
		c.conn, err = brancher.Branch(ctx, at)
		if !errors.Is(err, provision.ErrNoBranch) {
			return err
		}
	}
	c.path = filepath.Join(all.scratch.dir, string(at.Tenant)+".db")
	if err := all.Provider.Copy(ctx, at, c.path); err != nil {
		return err
	}
	conn, err := libsql.Open(ctx, c.path, libsql.Options{})
	if err == nil {
		c.conn = conn
	}
	return err
}

// remember gives the copy's history the bundle that the tenant has, which going
// back leads to.
func (all *rehearsals) remember(ctx context.Context, into *state.Store, digest string) error {
	body, err := all.run.Reconcile.Store.Bundle(ctx, digest)
	if errors.Is(err, state.ErrNotFound) {
		return nil // its journal may tell
	}
	if err == nil {
		err = into.SaveBundle(ctx, digest, body)
	}
	return err
}

// close removes the copy and its history. It may be called for one that is not
// complete.
func (c *copied) close() error {
	ctx := context.Background()
	var err error
	if c.conn != nil {
		err = c.conn.Close()
	}
	if c.store != nil {
		err = errors.Join(err, c.store.Close())
	}
	for _, path := range []string{c.path, c.history} {
		if path != "" {
			err = errors.Join(err, libsql.Remove(ctx, path))
		}
	}
	return err
}

// count counts the rows of tables; one that is not there has none.
func (c *copied) count(ctx context.Context, tables []string) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, table := range tables {
		there, err := c.conn.Query(ctx, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table)
		if err != nil {
			return nil, err
		}
		if len(there.Values) == 0 {
			continue
		}
		rows, err := c.conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(table))
		if err != nil {
			return nil, err
		}
		counts[table], _ = rows.Values[0][0].(int64)
	}
	return counts, nil
}

// free is how many bytes a volume has left for us.
func free(dir string) (int64, error) {
	var at syscall.Statfs_t
	if err := syscall.Statfs(dir, &at); err != nil {
		return 0, err
	}
	return int64(at.Bavail) * int64(at.Bsize), nil
}

// Package libsql opens a tenant's database file. It is the only package that
// imports the libSQL driver and the only one that opens a database, journal or
// WAL file.
//
// It uses the driver's engine through SQLite's C interface, not through the
// driver's Go and Rust layers, which close a handle twice, change text that
// looks like a date, and report errors without a code. DESIGN.md has the
// measurements and the invariants.
package libsql

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	_ "github.com/tursodatabase/go-libsql" // links the engine that engine.h declares
)

// Options says how Open treats a file. The zero value opens an existing file
// for reading and writing.
type Options struct {
	ReadOnly    bool          // refuse every write
	Create      bool          // make a missing file; without it a missing file is database.ErrMissing
	Shared      bool          // be one of several connections of this process to an existing file, that sees no other file
	WAL         bool          // use a write-ahead log when the file is empty; one that holds a database keeps its mode
	BusyTimeout time.Duration // how long a statement waits for another process; default 5s, whole milliseconds
	Wait        time.Duration // how long Open waits for this process's other connection to the file; default 1m
	Statements  int           // with parameters, that are kept compiled; default none
	Synchronous string        // OFF, NORMAL, FULL or EXTRA (sqlite.org/pragma.html); default FULL
}

const (
	defaultBusyTimeout = 5 * time.Second // longer than the slowest commit of another process seen
	defaultWait        = time.Minute     // longer than a tenant is usually worked on; one that takes longer is tried again
)

// normal fills in the defaults and refuses what cannot be meant.
func (o Options) normal() (Options, error) {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.Synchronous == "" {
		o.Synchronous = "FULL"
	}
	switch {
	case o.ReadOnly && (o.Create || o.WAL):
		return o, errors.New("a read-only database cannot be created or changed to WAL")
	case o.Shared && (o.Create || o.WAL):
		return o, errors.New("a shared connection neither creates a database nor changes it to WAL")
	case o.BusyTimeout < time.Millisecond:
		return o, fmt.Errorf("busy timeout %v is below a millisecond", o.BusyTimeout)
	case synchronous[o.Synchronous] == "":
		return o, fmt.Errorf("synchronous %q is none of OFF, NORMAL, FULL, EXTRA", o.Synchronous)
	}
	return o, nil
}

// synchronous gives the number that the database answers for a mode.
var synchronous = map[string]string{"OFF": "0", "NORMAL": "1", "FULL": "2", "EXTRA": "3"}

// Open connects to the database in a file. The path is a plain one, whatever
// characters it has; a file: URL is not understood.
//
// Within this process a file has one connection at a time: while another one
// is open, by whatever path, Open waits for its Close, for ctx, or until
// o.Wait is over, which is database.ErrBusy. A shared one
// neither waits nor is waited for, as if another process had it: it is for
// applications, whose statements may come from anywhere, and ATTACH and VACUUM
// fail on it. Foreign keys are enforced on the new connection.
//
// Errors match database.ErrMissing, ErrPermission, ErrNotADB, ErrCorrupt,
// ErrBusy (another process holds the file longer than the busy timeout, or this
// one longer than o.Wait),
// ErrReadOnly (a file or file system that cannot be written, without
// o.ReadOnly), and ctx.Err().
func Open(ctx context.Context, path string, o Options) (*Conn, error) {
	c, err := openFile(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	return c, nil
}

func openFile(ctx context.Context, path string, o Options) (*Conn, error) {
	o, err := o.normal()
	if err != nil {
		return nil, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := take(ctx, path, o)
	if err != nil {
		return nil, err
	}
	c, err := connect(path, o.ReadOnly)
	if err != nil {
		file.release()
		return nil, err
	}
	c.release, c.keeps, c.kept = file.release, o.Statements, map[string]*statement{}
	if err := c.setUp(ctx, o, file.fresh); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// take makes sure that the file is there, and claims it unless it is shared.
func take(ctx context.Context, path string, o Options) (claim, error) {
	if !o.Shared {
		return claimFile(ctx, path, o.Create, o.Wait)
	}
	file, err := identify(path)
	file.shared = true
	return file, err
}

// OpenMemory makes an empty database in memory that only this connection sees
// and that ends with it.
func OpenMemory(ctx context.Context) (*Conn, error) {
	o, err := Options{}.normal()
	if err != nil {
		return nil, err
	}
	c, err := connect(":memory:", false)
	if err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", err)
	}
	if err := c.setUp(ctx, o, false); err != nil {
		return nil, fmt.Errorf("open a database in memory: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

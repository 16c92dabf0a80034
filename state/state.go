// Package state remembers what the reconciler did and saw: deployments, the
// observed state of each tenant, plans and bundles by digest, passes, events.
//
// The truth about a tenant is the journal in the tenant's own database; state
// follows it. So a row here may be lost (deployments and observed rows come
// back with Replace), but is never half written: each method is one
// transaction, and the file is whole after a crash at any moment. DESIGN.md
// goes through them.
package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

// Errors that a caller can match with errors.Is. Those of the file itself
// (database.ErrMissing, ErrCorrupt, ErrReadOnly, ErrBusy, ErrClosed) come as
// package database has them.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("ambiguous") // a prefix that several ids have
	ErrVersion   = errors.New("schema version does not fit this binary")
)

// Options says how a store is opened. The zero value opens it for writing.
type Options struct {
	ReadOnly bool             // for another process's store; never creates or migrates
	Now      func() time.Time // default time.Now
}

// Store is an open state file. Its methods may be called by many goroutines;
// they take turns on one connection. Other processes may read the same file
// meanwhile: they open it with ReadOnly.
//
// Text is kept as valid UTF-8 without control characters except tab and
// newline, times in UTC to the millisecond; what was saved otherwise comes
// back so.
type Store struct {
	path   string
	now    func() time.Time
	conn   chan database.Conn // holds the connection while nobody uses it
	memory memory
	packer packer
}

// Open opens the store in the file at path, creating the file, but not its
// directory, and bringing its schema up to date. Both are left undone with
// ReadOnly.
//
// It gives an error matching ErrVersion when the file was written by a newer
// binary, or by an older one and ReadOnly is set; database.ErrMissing for a
// missing file with ReadOnly; database.ErrCorrupt or ErrNotADB for a file that
// cannot be read, which SetAside makes room for.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if !o.ReadOnly {
		if err := setLogAside(path); err != nil {
			return nil, err
		}
	}
	conn, err := libsql.Open(ctx, path, libsql.Options{
		ReadOnly:    o.ReadOnly,
		Create:      !o.ReadOnly,
		WAL:         !o.ReadOnly, // others read while a row is written
		Statements:  32,          // the same few are run for every tenant
		Synchronous: "NORMAL",    // a power cut may take the last rows, a crash takes none
	})
	if o.ReadOnly && errors.Is(err, database.ErrMissing) {
		err = fmt.Errorf("%w; \"reconciler sync\" or \"reconciler run\" creates it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", wayOut(path, err))
	}
	s, err := OpenConn(ctx, conn, path, o)
	if err != nil {
		return nil, errors.Join(explain(path, "open", err), conn.Close())
	}
	return s, nil
}

// OpenConn opens the store on a connection to the file at path, which Close
// closes, with the errors of Open.
func OpenConn(ctx context.Context, conn database.Conn, path string, o Options) (*Store, error) {
	if err := migrate(ctx, conn, o.ReadOnly); err != nil {
		return nil, err
	}
	s := &Store{path: path, now: o.Now, conn: make(chan database.Conn, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	s.conn <- conn
	return s, nil
}

// Now is the time of the store: what it was opened with.
func (s *Store) Now() time.Time { return s.now() }

// Close waits for the call that is under way and closes the file. It may be
// called twice; every other method then gives database.ErrClosed.
func (s *Store) Close() error {
	conn := <-s.conn
	defer func() { s.conn <- conn }()
	if err := conn.Close(); err != nil {
		return explain(s.path, "close", err)
	}
	return nil
}

// use runs f when the connection is free. doing names the call in its error.
func (s *Store) use(ctx context.Context, doing string, f func(database.Conn) error) error {
	select {
	case conn := <-s.conn:
		defer func() { s.conn <- conn }()
		if err := f(conn); err != nil {
			return explain(s.path, doing, err)
		}
		return nil
	case <-ctx.Done():
		return explain(s.path, doing, ctx.Err())
	}
}

// query runs one statement that reads.
func (s *Store) query(ctx context.Context, doing, sql string, args ...any) (rows database.Rows, err error) {
	err = s.use(ctx, doing, func(conn database.Conn) error {
		rows, err = conn.Query(ctx, sql, args...)
		return err
	})
	return rows, err
}

// write runs statements, all or none of them.
func (s *Store) write(ctx context.Context, doing string, statements ...database.Statement) error {
	return s.use(ctx, doing, func(conn database.Conn) error {
		return run(ctx, conn, statements)
	})
}

// run runs statements, all or none of them.
func run(ctx context.Context, conn database.Conn, statements []database.Statement) error {
	each := func() error {
		for _, st := range statements {
			if _, err := conn.Exec(ctx, st.SQL, st.Args...); err != nil {
				return err
			}
		}
		return nil
	}
	if len(statements) == 1 {
		return each()
	}
	return transact(ctx, conn, each)
}

// transact runs f between BEGIN IMMEDIATE and COMMIT, or rolls back.
func transact(ctx context.Context, conn database.Conn, f func() error) error {
	_, err := conn.Exec(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		err = f()
	}
	if err == nil {
		_, err = conn.Exec(ctx, "COMMIT")
	}
	if err != nil {
		// After some errors, a full disk among them, SQLite has rolled back by
		// itself, and this ROLLBACK finds no transaction.
		_, _ = conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// explain adds the file, what was being done, and the way out.
func explain(path, doing string, err error) error {
	return fmt.Errorf("state %q: %s: %w", path, doing, wayOut(path, err))
}

// wayOut adds the next step to the error of a file that cannot be read.
func wayOut(path string, err error) error {
	if !errors.Is(err, database.ErrCorrupt) && !errors.Is(err, database.ErrNotADB) {
		return err
	}
	return fmt.Errorf("%w; the tenants' journals tell what it held: run \"reconciler state rebuild --data %s\"",
		err, filepath.Dir(path))
}

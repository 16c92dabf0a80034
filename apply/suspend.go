package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/schema"
)

// ErrSuspended says that the database is that of a suspended tenant: nothing
// is written to it.
var ErrSuspended = errors.New("tenant is suspended")

// suspendedKey is the row of _reconciler_meta that marks a database as
// read-only: since when, RFC 3339.
const suspendedKey = "suspended"

// Suspend marks a database as read-only, for deployments and for connections
// that Honor looks at. It may be repeated. A database without a journal, to
// which nothing was ever deployed, has nowhere to say so: it returns false.
func Suspend(ctx context.Context, conn database.Conn, since time.Time) (bool, error) {
	master, err := schema.ReadMaster(ctx, conn)
	if err != nil || !master.Reconciled {
		return false, err
	}
	if marked, err := suspended(ctx, conn); err != nil || marked != "" {
		return err == nil, err // a server that was told to refuses all that writes
	}
	_, err = conn.Exec(ctx, "INSERT INTO _reconciler_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
		suspendedKey, since.UTC().Format(time.RFC3339))
	if err != nil {
		return false, fmt.Errorf("mark the database as read-only: %w", err)
	}
	return true, nil
}

// Resume takes back what Suspend did. It may be repeated.
func Resume(ctx context.Context, conn database.Conn) error {
	since, err := suspended(ctx, conn)
	if err != nil || since == "" {
		return err
	}
	return writeSuspended(ctx, conn, "")
}

// writeSuspended marks a database as read-only since a time, or takes the mark
// away.
func writeSuspended(ctx context.Context, conn database.Conn, since string) error {
	sql, args := "DELETE FROM _reconciler_meta WHERE key = ?", []any{suspendedKey}
	if since != "" {
		sql, args = "REPLACE INTO _reconciler_meta (key, value) VALUES (?, ?)", append(args, since)
	}
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("record whether the database is read-only: %w", err)
	}
	return nil
}

// Honor makes a connection that an application is to have refuse every write,
// with database.ErrReadOnly, when its database is marked as read-only. It
// returns whether it is.
func Honor(ctx context.Context, conn database.Conn) (bool, error) {
	since, err := suspended(ctx, conn)
	if err != nil || since == "" {
		return false, err
	}
	if _, err := conn.Query(ctx, "PRAGMA query_only = ON"); err != nil {
		return true, fmt.Errorf("make the connection read-only: %w", err)
	}
	return true, nil
}

// suspended reads the mark, empty without one.
func suspended(ctx context.Context, conn database.Conn) (string, error) {
	rows, err := conn.Query(ctx, "SELECT count(*) FROM sqlite_master WHERE name = '_reconciler_meta'")
	if err != nil {
		return "", fmt.Errorf("look whether the database is read-only: %w", err)
	}
	if rows.Values[0][0] == int64(0) {
		return "", nil
	}
	rows, err = conn.Query(ctx, "SELECT value FROM _reconciler_meta WHERE key = ?", suspendedKey)
	if err != nil {
		return "", fmt.Errorf("look whether the database is read-only: %w", err)
	}
	if len(rows.Values) == 0 {
		return "", nil
	}
	return str(rows.Values[0][0]), nil
}

// Take makes a database the property of an owner, whoever had it before, and
// returns whose it was. A database without a journal belongs to nobody: it
// returns the zero Owner, and the next deployment adopts it.
func Take(ctx context.Context, conn database.Conn, owner Owner) (before Owner, err error) {
	read, err := Read(ctx, conn)
	if err != nil || read.Record.Last == nil {
		return Owner{}, err
	}
	_, err = conn.Exec(ctx, `UPDATE _reconciler_meta
 SET value = CASE key WHEN 'fleet' THEN ? WHEN 'environment' THEN ? ELSE ? END WHERE key IN ('fleet', 'environment', 'tenant')`,
		owner.Fleet, owner.Environment, owner.Tenant)
	if err != nil {
		return Owner{}, fmt.Errorf("take the database over: %w", err)
	}
	return read.Record.Owner, nil
}

package libsql

/*
#include "engine.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tenantops/reconciler/internal/database"
)

// Copy writes what the database of conn holds at this moment to a new file of
// a mode, compact and with the rows' own ids, and makes its content durable (VACUUM INTO, sqlite.org/lang_vacuum.html). conn must be
// outside a transaction, and its database in a file of this machine.
//
// The file must not exist. After an error there is none. Errors match those of
// package database.
func Copy(ctx context.Context, conn database.Conn, path string, mode fs.FileMode) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy database to %q: %w", path, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := makeFile(path, mode); err != nil { // the engine fills an empty file and keeps its mode
		return systemFault(err)
	}
	if _, err = conn.Exec(ctx, "VACUUM INTO ?", path); err == nil {
		err = syncFile(path)
	}
	if err != nil {
		return errors.Join(err, remove(path+"-journal"), remove(path))
	}
	return nil
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sync makes a file durable that no connection of this process has.
func Sync(path string) error { return syncFile(path) }

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return systemFault(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return systemFault(err)
	}
	return nil
}

// Place gives a file that no connection has open its final name, in the same
// directory, and makes the name durable. What has that name is replaced.
func Place(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return systemFault(err)
	}
	return SyncDirectory(filepath.Dir(to))
}

// PlaceNew is Place for a name that nothing has. What has come to have it
// meanwhile stays, and is an error that matches fs.ErrExist.
func PlaceNew(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) { // there are no links on this volume
		if _, err = os.Lstat(to); err == nil {
			err = &fs.PathError{Op: "place", Path: to, Err: fs.ErrExist}
		} else if errors.Is(err, fs.ErrNotExist) {
			return Place(from, to)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		err = os.Remove(from)
	}
	if err != nil {
		return systemFault(err)
	}
	return SyncDirectory(filepath.Dir(to))
}

// SyncDirectory makes the names in a directory durable.
func SyncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return systemFault(err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return systemFault(err)
	}
	return nil
}

// QuickCheck reads every page of a database (PRAGMA quick_check), of whose
// findings one is enough. It gives an error matching database.ErrCorrupt.
func QuickCheck(ctx context.Context, conn database.Conn) error {
	rows, err := conn.Query(ctx, "PRAGMA quick_check(1)")
	if err != nil {
		return err
	}
	if finding := rows.Values[0][0]; finding != "ok" {
		return fmt.Errorf("%w: %v", database.ErrCorrupt, finding)
	}
	return nil
}

// Version tells two contents of the database apart, as this connection sees
// them: equal versions mean that nobody else has committed in between. It
// means nothing to another connection.
func (c *Conn) Version(ctx context.Context) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(ctx); err != nil {
		return 0, err
	}
	// A read transaction makes the connection look at what others have done.
	if result := c.run(database.Statement{SQL: "PRAGMA data_version"}); result.Err != nil {
		return 0, result.Err
	}
	return c.version()
}

func (c *Conn) version() (uint32, error) {
	var version C.uint
	if code := C.engine_data_version(c.db, &version); code != codeOK {
		return 0, c.fault(code)
	}
	return uint32(version), nil
}

// Overwrite gives the database the content of another one, if it still has the
// version that is given. It is one transaction: a crash leaves the one content
// or the other, and whoever has the database open sees the new one when their
// next transaction begins (sqlite.org/c3ref/backup_finish.html). The database
// keeps its file and its journal mode.
//
// It returns false, and has changed nothing, when somebody has committed
// since. Neither connection may be in a transaction.
func (c *Conn) Overwrite(ctx context.Context, from *Conn, version uint32) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from.mu.Lock()
	defer from.mu.Unlock()
	if err := errors.Join(c.ready(ctx), from.ready(ctx)); err != nil {
		return false, err
	}
	backup := C.engine_overwrite(c.db, from.db)
	if backup == nil {
		return false, fmt.Errorf("overwrite database: %w", c.fault(C.sqlite3_errcode(c.db)))
	}
	done, err := c.overwrite(backup, version)
	code := C.sqlite3_backup_finish(backup) // rolls back what is not complete
	if err == nil && done && code != codeOK {
		err = c.fault(code)
	}
	if err != nil {
		return false, fmt.Errorf("overwrite database: %w", err)
	}
	return done, nil
}

// overwrite takes the write lock, by copying no page, and copies them all if
// nobody has been faster.
func (c *Conn) overwrite(backup *C.sqlite3_backup, version uint32) (bool, error) {
	if code := C.sqlite3_backup_step(backup, 0); code != codeOK && code != codeDone {
		return false, c.backupFault(code)
	}
	now, err := c.version()
	if err != nil || now != version {
		return false, err
	}
	if code := C.sqlite3_backup_step(backup, -1); code != codeDone {
		return false, c.backupFault(code)
	}
	return true, nil
}

// backupFault describes an error of a backup, which has no text of its own.
func (c *Conn) backupFault(code C.int) error {
	return fault(int(code), C.GoString(C.sqlite3_errstr(code)), syscall.Errno(C.sqlite3_system_errno(c.db)))
}

package libsql

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdlib.h>
#include "engine.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"github.com/tenantops/reconciler/internal/database"
)

// Flags of sqlite.org/c3ref/open.html.
const (
	openReadOnly      = 0x1
	openReadWrite     = 0x2
	openNoMutex       = 0x8000 // Conn has a mutex of its own
	openExtendedCodes = 0x2000000
)

const limitAttached = 7 // sqlite.org/c3ref/c_limit_attached.html

const mayWrite = 0x2 // W_OK of access(2)

// Conn is a connection to a database. It implements database.Conn. Calls from
// several goroutines wait for one another; a transaction belongs to them all.
type Conn struct {
	mu      sync.Mutex
	db      *C.sqlite3 // nil after Close
	release func()     // gives the file back, nil for one in memory
	length  int        // longest value, while Examine allows less

	keeps int                   // compiled statements, at most
	kept  map[string]*statement // by text
}

var _ database.Conn = (*Conn)(nil)

// connect opens a handle. The engine never creates the file: claimFile did.
func connect(path string, readOnly bool) (*Conn, error) {
	flags := C.int(openNoMutex | openExtendedCodes | openReadWrite)
	if readOnly {
		flags = openNoMutex | openExtendedCodes | openReadOnly
	}
	if code := initialize(); code != codeOK {
		return nil, fmt.Errorf("start the database engine: code %d", code)
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	c := &Conn{}
	if code := C.sqlite3_open_v2(name, &c.db, flags, nil); code != codeOK {
		return nil, errors.Join(c.fault(code), c.Close()) // there is a handle all the same
	}
	if !readOnly && C.sqlite3_db_readonly(c.db, nil) != 0 {
		return nil, errors.Join(notWritable(path), c.Close())
	}
	return c, nil
}

// initialize starts the engine before its first connection. An open would do
// it too, but lets a second one, on another thread, go on while the encryption
// that libSQL compiles in is still setting up its tables, and crash on them.
var initialize = sync.OnceValue(func() C.int { return C.sqlite3_initialize() })

// notWritable says why the engine fell back to reading the file.
func notWritable(path string) error {
	if err := syscall.Access(path, mayWrite); err != nil {
		return systemFault(err)
	}
	return fmt.Errorf("%w: it could not be opened for writing", database.ErrReadOnly)
}

// setUp gives the connection its settings, and reads each back because the
// engine ignores a pragma that it does not take.
func (c *Conn) setUp(ctx context.Context, o Options, fresh bool) error {
	if o.Shared {
		C.sqlite3_limit(c.db, limitAttached, 0)
	}
	type setting struct{ pragma, value string }
	settings := []setting{
		{"busy_timeout", strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10)},
		{"synchronous", synchronous[o.Synchronous]},
		{"foreign_keys", "1"},
	}
	if o.WAL && fresh {
		settings = append(settings, setting{"journal_mode", "wal"})
	}
	for _, s := range settings {
		if _, err := c.Query(ctx, "PRAGMA "+s.pragma+" = "+s.value); err != nil {
			return fmt.Errorf("set %s: %w", s.pragma, err)
		}
		rows, err := c.Query(ctx, "PRAGMA "+s.pragma)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.pragma, err)
		}
		if got := fmt.Sprint(rows.Values[0][0]); got != s.value {
			return fmt.Errorf("%s is %s after it was set to %s", s.pragma, got, s.value)
		}
	}
	return nil
}

// Exec runs one statement. Rows that it returns are dropped. What it reports
// is the rows that the statement itself changed, without those of triggers
// and foreign keys; 0 for a statement that changes no rows.
func (c *Conn) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	result := c.one(ctx, database.Statement{SQL: sql, Args: args})
	return result.RowsAffected, result.Err
}

// Query runs one statement to its end and returns its rows.
func (c *Conn) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	result := c.one(ctx, database.Statement{SQL: sql, Args: args})
	return result.Rows, result.Err
}

func (c *Conn) one(ctx context.Context, statement database.Statement) database.StepResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(ctx); err != nil {
		return database.StepResult{Err: err}
	}
	return c.run(statement)
}

// ready reports what keeps a statement from starting.
func (c *Conn) ready(ctx context.Context) error {
	if c.db == nil {
		return database.ErrClosed
	}
	return ctx.Err()
}

// run executes one statement. The engine's count of changed rows is that of
// the last statement that changed any, so it counts only when the total grew.
func (c *Conn) run(statement database.Statement) database.StepResult {
	s, err := c.compiled(statement.SQL)
	if err != nil {
		return database.StepResult{Err: err}
	}
	defer c.keep(statement.SQL, s)
	if err := s.bind(statement.Args); err != nil {
		return database.StepResult{Err: err}
	}
	before := C.sqlite3_total_changes64(c.db)
	rows, err := s.rows()
	if err != nil {
		return database.StepResult{Err: err}
	}
	result := database.StepResult{Rows: rows}
	if C.sqlite3_total_changes64(c.db) != before {
		result.RowsAffected = int64(C.sqlite3_changes64(c.db))
	}
	return result
}

// Close rolls back an open transaction, closes the handle and lets the next
// Open of this file go on. When it returns, this process touches the file no
// more. It may be called twice.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db == nil {
		return nil
	}
	c.drop()
	if code := C.sqlite3_close(c.db); code != codeOK {
		return fmt.Errorf("close: %w", c.fault(code)) // a statement was not finalized; the handle lives
	}
	c.db = nil
	if c.release != nil {
		c.release()
	}
	return nil
}

// fault describes the error that the engine has just reported.
func (c *Conn) fault(code C.int) error {
	return fault(int(code), C.GoString(C.sqlite3_errmsg(c.db)), syscall.Errno(C.sqlite3_system_errno(c.db)))
}

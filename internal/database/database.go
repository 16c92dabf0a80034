// Package database is what the rest of the reconciler sees of a tenant's
// database: one connection, statements, and errors that can be matched. It
// holds no driver; internal/libsql implements Conn over a local file and
// internal/hrana over a server.
package database

import (
	"context"
	"errors"
	"strings"
)

// Errors that a caller can match with errors.Is, whatever the driver. The
// driver's own text stays in the chain for the log.
var (
	ErrBusy       = errors.New("database busy")
	ErrConstraint = errors.New("constraint failed") // see ConstraintError
	ErrReadOnly   = errors.New("database is read-only")
	ErrFull       = errors.New("disk or database full")
	ErrCorrupt    = errors.New("database is corrupt")
	ErrNotADB     = errors.New("file is not a database")
	ErrMissing    = errors.New("database does not exist")
	ErrPermission = errors.New("permission denied")
	ErrAway       = errors.New("database cannot be reached")
	ErrClosed     = errors.New("connection is closed")
)

// Conn is one connection to one tenant's database, used by one goroutine at a
// time. A transaction is begun and ended with plain statements, so that it
// belongs to this connection and to nothing else.
//
// The context is looked at before each statement: one that already runs is
// not interrupted, but by Examine. Arguments are positional, their number is checked, and
// each is nil, int64, float64, string, []byte or bool.
type Conn interface {
	// Exec runs exactly one statement and reports the rows that it changed.
	// Text that holds more than one statement is an error and runs nothing.
	Exec(ctx context.Context, sql string, args ...any) (rowsAffected int64, err error)
	// Query runs exactly one statement and returns all its rows.
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	// Batch runs steps in order; a step whose condition does not hold is
	// skipped. It returns one result a step and, as its own error, only what
	// prevented the batch from running at all. The context is looked at once,
	// before the first step: a batch that has begun runs to its end.
	Batch(ctx context.Context, steps []Step) ([]StepResult, error)
	// Examine counts the rows that a query of somebody else's gives, up to
	// limit, and keeps none of their values. The statement may only read, and
	// nothing but tables and views: one that would write, attach, or use a
	// pragma is an error and runs not at all. Unlike other calls it stops when
	// ctx ends. A limit of 0 says whether the query could run.
	Examine(ctx context.Context, sql string, limit int) (rows int, err error)
	// Close rolls back what is open and releases the database. It may be
	// called twice.
	Close() error
}

// Remote tells that a connection reaches a server: each call is a round trip,
// PRAGMA data_version tells nothing, and a transaction loses its lock to other
// writers when it is old.
func Remote(conn Conn) bool {
	r, ok := conn.(interface{ Remote() bool })
	return ok && r.Remote()
}

// Rows is the whole answer to a query, in the database's order. Values are
// nil, int64, float64, string or []byte, as they are stored.
type Rows struct {
	Columns []string
	Values  [][]any
}

// Statement is one SQL statement with its positional arguments.
type Statement struct {
	SQL  string
	Args []any
}

// Step is a statement of a Batch that runs only when its condition holds. A
// nil When always holds.
type Step struct {
	Statement
	When *Condition
	// Brief says that of the result only Err and Skipped are looked at. It may
	// have nothing else then.
	Brief bool
}

// StepResult is what one step of a Batch did. A skipped step has neither rows
// nor an error.
type StepResult struct {
	Skipped      bool
	RowsAffected int64
	Rows         Rows
	Err          error
}

// Condition decides whether a step of a Batch runs. Exactly one field is set.
type Condition struct {
	OK           *int // the step of this index, an earlier one, succeeded
	Error        *int // the step of this index, an earlier one, failed
	Not          *Condition
	And, Or      []Condition
	IsAutocommit bool // no transaction is open
}

// ConstraintError names the constraint that a statement broke. It matches
// ErrConstraint.
type ConstraintError struct {
	Kind    string   // unique, notnull, check, foreignkey, primarykey or other
	Table   string   // empty when the database does not say
	Columns []string // empty when the database does not say
	Err     error    // the driver's own
}

// Error is the database's own text, which names more than the fields can: the
// expression of a CHECK, the message of a trigger's RAISE.
func (e *ConstraintError) Error() string {
	if e.Err == nil {
		return e.Kind + " constraint failed"
	}
	return e.Err.Error()
}

// Is makes every ConstraintError match ErrConstraint.
func (e *ConstraintError) Is(target error) bool { return target == ErrConstraint }

func (e *ConstraintError) Unwrap() error { return e.Err }

// ConstraintColumns reads the table and columns off texts like "UNIQUE
// constraint failed: orders.tenant, orders.number". An index over an
// expression names no column.
func ConstraintColumns(text string) (table string, columns []string) {
	_, list, _ := strings.Cut(text, " constraint failed: ")
	table, _, qualified := strings.Cut(list, ".")
	if !qualified || strings.HasPrefix(list, "index '") {
		return "", nil
	}
	for column := range strings.SplitSeq(list, ", ") {
		columns = append(columns, strings.TrimPrefix(column, table+"."))
	}
	return table, columns
}

package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
)

// Lease is a connection that was lent: nobody else has it until Close, so that
// a transaction begun with BEGIN IMMEDIATE holds nothing but its own
// statements. It is used by one goroutine at a time. Foreign keys are enforced,
// and no other database can be attached.
type Lease struct {
	client *Client

	mu   sync.Mutex
	conn database.Conn // nil after Close
	end  func()        // tells the request that lent it; may be nil
}

// Exec runs exactly one statement and reports the rows that it changed.
// Arguments are positional: nil, int64, float64, string, []byte or bool. Errors
// match ErrBusy, ErrConstraint, ErrReadOnly and the like.
func (l *Lease) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return 0, database.ErrClosed
	}
	return l.conn.Exec(ctx, sql, args...)
}

// Query runs exactly one statement and returns all its rows. Arguments and
// errors are those of Exec.
func (l *Lease) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return Rows{}, database.ErrClosed
	}
	return l.conn.Query(ctx, sql, args...)
}

// Close rolls an open transaction back and gives the connection back. It may
// be called twice.
func (l *Lease) Close() error {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn == nil {
		return nil
	}
	if l.end != nil {
		l.end()
	}
	undone := rollBack(conn)
	err := l.client.give(conn, undone == nil)
	if err != nil {
		return fmt.Errorf("tenant %q: give the connection back: %w", l.client.tenant, errors.Join(undone, err))
	}
	return nil
}

// rollBack ends a transaction if one is open. A connection on which that
// fails is closed instead of lent again.
func rollBack(conn database.Conn) error {
	if remote, ok := conn.(*hrana.Conn); ok {
		return remote.Unbound()
	}
	results, err := conn.Batch(context.Background(), []database.Step{{
		Statement: database.Statement{SQL: "ROLLBACK"},
		When:      &database.Condition{Not: &database.Condition{IsAutocommit: true}},
	}})
	if err != nil {
		return err
	}
	return results[0].Err
}

package databasetest

import (
	"context"
	"sync/atomic"

	"github.com/tenantops/reconciler/internal/database"
)

// Struck is a connection on which something happens at a call. Calls are
// numbered from 0: each Exec and Query is one, a Batch is one on a file. On a
// server each step of a batch is one, since a migration is a batch there:
//
//   - if Call fails at a step alone, that statement fails on the server, and the
//     others go on as their conditions have it;
//   - if it fails at a step and all that follow, the server gets the steps before
//     that, and never the others: it is cut off in the middle. The step itself is
//     among those before if it was done.
type Struck struct {
	database.Conn
	// Call is asked at each call, and does it or not. Its error is the call's.
	Call func(n int, sql string, do func() error) error

	n     atomic.Int64
	first *Struck // that this one continues, see Again; nil for the first
}

// Exec implements database.Conn.
func (c *Struck) Exec(ctx context.Context, sql string, args ...any) (changed int64, err error) {
	err = c.call(sql, func() error {
		changed, err = c.Conn.Exec(ctx, sql, args...)
		return err
	})
	return changed, err
}

// Query implements database.Conn.
func (c *Struck) Query(ctx context.Context, sql string, args ...any) (rows database.Rows, err error) {
	err = c.call(sql, func() error {
		rows, err = c.Conn.Query(ctx, sql, args...)
		return err
	})
	return rows, err
}

// Batch implements database.Conn.
func (c *Struck) Batch(ctx context.Context, steps []database.Step) (results []database.StepResult, err error) {
	if !c.Remote() {
		err = c.call("batch of "+steps[len(steps)/2].SQL, func() error {
			results, err = c.Conn.Batch(ctx, steps)
			return err
		})
		return results, err
	}
	sent, cut := append([]database.Step{}, steps...), len(steps)
	var failed error
	for i := range sent {
		done := false
		said := c.call(sent[i].SQL, func() error { done = true; return nil })
		switch {
		case said == nil:
			cut, failed = len(steps), nil
		case failed == nil:
			if cut, failed = i, said; done {
				cut++
			}
		}
		if said != nil && !done {
			sent[i].SQL, sent[i].Args = "SELECT json('struck')", nil // which is an error
		}
	}
	if failed == nil {
		return c.Conn.Batch(ctx, sent)
	}
	if cut > 0 {
		if _, err := c.Conn.Batch(ctx, steps[:cut]); err != nil {
			return nil, err
		}
	}
	return nil, failed
}

func (c *Struck) call(sql string, do func() error) error {
	first := c
	if c.first != nil {
		first = c.first
	}
	return first.Call(int(first.n.Add(1))-1, sql, do)
}

// Calls is how many there were.
func (c *Struck) Calls() int { return int(c.n.Load()) }

// Remote tells what the connection reaches, see database.Remote.
func (c *Struck) Remote() bool { return database.Remote(c.Conn) }

// Again is another connection over the same way, on which the same happens.
func (c *Struck) Again() database.Conn {
	first := c
	if c.first != nil {
		first = c.first
	}
	again, ok := c.Conn.(interface{ Again() database.Conn })
	if !ok {
		return c
	}
	return &Struck{Conn: again.Again(), first: first}
}

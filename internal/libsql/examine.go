package libsql

/*
#include "engine.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantops/reconciler/internal/database"
)

// Bounds of what a query of somebody else's may make, sqlite.org/c3ref/c_limit_attached.html.
const (
	limitLength = 0        // SQLITE_LIMIT_LENGTH
	maxValue    = 16 << 20 // bytes of one value: zeroblob(1e9) is one call, which nothing interrupts
)

// Examine implements database.Conn. The engine itself says whether the
// statement only reads: while it is compiled an authorizer denies everything
// else, sqlite3_stmt_readonly must agree, and PRAGMA query_only stands behind
// both.
func (c *Conn) Examine(ctx context.Context, sql string, limit int) (rows int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(ctx); err != nil {
		return 0, err
	}
	if err := c.confine(true); err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, c.confine(false))
	}()
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	defer s.finalize()
	if C.sqlite3_stmt_readonly(s.stmt) == 0 {
		return 0, errors.New("the statement would write")
	}
	if err := s.bind(nil); err != nil {
		return 0, err
	}
	return s.count(ctx, limit)
}

// confine lets the connection only read, or gives it its rights back.
func (c *Conn) confine(on bool) error {
	word, value := "ON", maxValue
	if on {
		c.length = int(C.sqlite3_limit(c.db, limitLength, -1))
	} else {
		word, value = "OFF", c.length
		C.engine_confine(c.db, 0)
	}
	if result := c.run(database.Statement{SQL: "PRAGMA query_only = " + word}); result.Err != nil {
		return fmt.Errorf("switch query_only %s: %w", word, result.Err)
	}
	C.sqlite3_limit(c.db, limitLength, C.int(value))
	if on {
		C.engine_confine(c.db, 1)
	}
	return nil
}

// count steps through at most limit rows, and stops within a row when ctx ends.
func (s *statement) count(ctx context.Context, limit int) (rows int, err error) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.sqlite3_interrupt(s.conn.db)
		close(ended)
	})
	defer func() {
		if !stop() {
			<-ended // or it would strike the next statement
		}
	}()
	for rows < limit {
		switch code := C.sqlite3_step(s.stmt); {
		case code == codeRow:
			rows++
		case code == codeDone:
			return rows, nil
		case ctx.Err() != nil:
			return rows, ctx.Err()
		default:
			return rows, s.conn.fault(code)
		}
	}
	return rows, nil
}

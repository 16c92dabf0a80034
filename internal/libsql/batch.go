package libsql

/*
#include "engine.h"
*/
import "C"

import (
	"context"

	"github.com/tenantops/reconciler/internal/database"
)

// Batch runs steps as a libSQL server does (the batch of the Hrana protocol):
// a step fails by itself, and only conditions make later ones depend on it. A
// skipped step has neither succeeded nor failed.
//
// Its own error is a closed connection, an ended context, or a condition that
// is malformed, and then no step has run.
func (c *Conn) Batch(ctx context.Context, steps []database.Step) ([]database.StepResult, error) {
	if err := database.CheckSteps(steps); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	results := make([]database.StepResult, 0, len(steps))
	for _, step := range steps {
		if step.When != nil && !c.holds(*step.When, results) {
			results = append(results, database.StepResult{Skipped: true})
			continue
		}
		results = append(results, c.run(step.Statement))
	}
	return results, nil
}

// holds evaluates a checked condition against the steps before it.
func (c *Conn) holds(when database.Condition, done []database.StepResult) bool {
	switch {
	case when.OK != nil:
		result := done[*when.OK]
		return !result.Skipped && result.Err == nil
	case when.Error != nil:
		return done[*when.Error].Err != nil
	case when.Not != nil:
		return !c.holds(*when.Not, done)
	case when.And != nil:
		for _, part := range when.And {
			if !c.holds(part, done) {
				return false
			}
		}
		return true
	case when.Or != nil:
		for _, part := range when.Or {
			if c.holds(part, done) {
				return true
			}
		}
		return false
	default:
		return C.sqlite3_get_autocommit(c.db) != 0
	}
}

package database

import (
	"errors"
	"fmt"
)

// CheckSteps refuses a batch in which a condition is malformed: not exactly
// one of its fields is set, or it asks about a step that does not come before.
func CheckSteps(steps []Step) error {
	for i, step := range steps {
		if step.When == nil {
			continue
		}
		if err := step.When.check(i); err != nil {
			return fmt.Errorf("condition of step %d: %w", i, err)
		}
	}
	return nil
}

// check refuses a condition of the step with this index that is not well
// formed.
func (c Condition) check(step int) error {
	forms := 0
	for _, index := range []*int{c.OK, c.Error} {
		if index == nil {
			continue
		}
		forms++
		if *index < 0 || *index >= step {
			return fmt.Errorf("step %d does not come before it", *index)
		}
	}
	parts := append(append([]Condition{}, c.And...), c.Or...)
	if c.Not != nil {
		forms++
		parts = append(parts, *c.Not)
	}
	for _, set := range []bool{c.And != nil, c.Or != nil, c.IsAutocommit} {
		if set {
			forms++
		}
	}
	if forms != 1 {
		return errors.New("not exactly one of its fields is set")
	}
	for _, part := range parts {
		if err := part.check(step); err != nil {
			return err
		}
	}
	return nil
}

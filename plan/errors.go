package plan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/diff"
)

// ErrConflict matches every ConflictError.
var ErrConflict = errors.New("the database has something that the plan may not change")

// ConflictError says which foreign things stand in the way of a bundle.
type ConflictError struct{ Conflicts []diff.Conflict }

func (e *ConflictError) Error() string {
	texts := make([]string, len(e.Conflicts))
	for i, c := range e.Conflicts {
		texts[i] = c.Message
	}
	return strings.Join(texts, "; ")
}

// Is makes every ConflictError match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Reason is the word for the tenant's status.
func (e *ConflictError) Reason() string { return e.Conflicts[0].Reason }

// Next says what to do about it.
func (e *ConflictError) Next() string { return e.Conflicts[0].Next }

// Conflict returns a ConflictError of one conflict. next says what to do.
func Conflict(reason, table, next, format string, args ...any) error {
	return &ConflictError{Conflicts: []diff.Conflict{{
		Reason: reason, Table: table, Message: fmt.Sprintf(format, args...), Next: next,
	}}}
}

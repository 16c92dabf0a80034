package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/protocol"
)

// Fault is something wrong in a file of the repository. Line and Column count
// from 1; both are 0 when the fault is of a whole file or directory.
type Fault struct {
	File     string            `json:"file"`
	Line     int               `json:"line"`
	Column   int               `json:"column"`
	Severity protocol.Severity `json:"severity"`
	Code     string            `json:"code"`
	Message  string            `json:"message"`
	Next     string            `json:"next"`
}

func (f Fault) Error() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	text := fmt.Sprintf("%s: %s", where, f.Message)
	if f.Next != "" {
		text += " (" + f.Next + ")"
	}
	return text
}

// Faults is a list of faults; as an error it is its first one and how many
// there are.
type Faults []Fault

func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", f[0].Error(), len(f)-1)
}

// Errors are the faults that are not warnings.
func (f Faults) Errors() Faults {
	return slices.DeleteFunc(slices.Clone(f), func(x Fault) bool { return x.Severity != protocol.SeverityError })
}

// Sort orders faults by file, line, column and code.
func (f Faults) Sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Code, b.Code))
	})
}

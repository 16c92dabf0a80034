package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tenantops/reconciler/protocol"
)

// Fault is one thing wrong with a file: what, where and what to do about it.
// One that concerns a file as a whole is at its start.
type Fault struct {
	File     string            `json:"file"`   // as the loader names it, slash-separated
	Line     int               `json:"line"`   // from 1
	Column   int               `json:"column"` // from 1, in characters
	Severity protocol.Severity `json:"severity"`
	Code     string            `json:"code"`
	Message  string            `json:"message"`
	Next     string            `json:"next"` // the next step, in the imperative
}

func (f Fault) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	if f.Next != "" {
		text += " (" + f.Next + ")"
	}
	return text
}

// IsError reports whether the fault keeps what it concerns from being deployed.
func (f Fault) IsError() bool { return f.Severity == protocol.SeverityError }

// HasErrors reports whether one of faults is an error.
func HasErrors(faults []Fault) bool { return slices.ContainsFunc(faults, Fault.IsError) }

// Besides appends those of more that stand where none of faults does: what is
// found in a value that could not be read is no news.
func Besides(faults, more []Fault) []Fault {
	all := slices.Clip(faults)
	for _, f := range more {
		if !slices.ContainsFunc(faults, func(x Fault) bool { return x.File == f.File && x.Line == f.Line && x.Column == f.Column }) {
			all = append(all, f)
		}
	}
	return all
}

// SortFaults returns each fault once, by file, line, column, code and message.
// It sorts in place.
func SortFaults(faults []Fault) []Fault {
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(faults)
}

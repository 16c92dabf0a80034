package main

import (
	"time"

	"github.com/tenantops/reconciler/state"
)

// sourceAnswer is how the watched repository was when the daemon looked last.
type sourceAnswer struct {
	Revision  *string `json:"revision"` // head of the followed ref
	FetchedAt *stamp  `json:"fetchedAt"`
	AgeMs     float64 `json:"ageMs"`     // since it answered last
	AwaySince *stamp  `json:"awaySince"` // null while it answers
	Error     *string `json:"error"`     // why it does not
}

func sourceAnswerOf(s state.Source, now time.Time) *sourceAnswer {
	if s == (state.Source{}) {
		return nil
	}
	return &sourceAnswer{
		Revision: optional(s.Revision), FetchedAt: stampOf(s.FetchedAt), AgeMs: milliseconds(s.Age(now)),
		AwaySince: stampOf(s.AwaySince), Error: optional(s.Error),
	}
}

// source adds what people need to know of a repository that does not answer.
func (p *page) source(s *sourceAnswer) {
	if s == nil || s.AwaySince == nil {
		return
	}
	p.line("repository away since %s: %s", s.AwaySince.String(), text(s.Error))
	if s.FetchedAt != nil {
		p.line("  commit %s stands, fetched at %s", short(text(s.Revision)), s.FetchedAt.String())
	}
	p.line("")
}

package main

import (
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// problem is why something is not as it should be and what to do about it:
// the error of every answer.
type problem struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Next    string `json:"next"`
}

// problemOf returns nil when there is no reason to give.
func problemOf(reason, message, next string) *problem {
	if reason == "" && message == "" {
		return nil
	}
	return &problem{Reason: reason, Message: message, Next: next}
}

// problemWith is what an error means for a tenant.
func problemWith(tenant protocol.TenantID, err error) *problem {
	a := deploy.Fail(err).For(tenant)
	return problemOf(a.Reason, a.Message, a.Next)
}

// problem adds a line for what is wrong with a tenant and one for what to do.
func (p *page) problem(tenant string, what *problem) {
	p.line("%s: %s: %s", tenant, what.Reason, what.Message)
	if what.Next != "" {
		p.line("  next: %s", what.Next)
	}
}

// optional is nil for an empty text, which is null in an answer.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// text is the opposite of optional.
func text(optional *string) string {
	if optional == nil {
		return ""
	}
	return *optional
}

// stamp is a time in an answer: UTC to the millisecond (RFC 3339), null for
// the zero time.
type stamp time.Time

// MarshalText makes it text in JSON and YAML.
func (s stamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format("2006-01-02T15:04:05.000Z07:00")), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *stamp) UnmarshalText(text []byte) error { return (*time.Time)(s).UnmarshalText(text) }

// stampOf returns nil for the zero time.
func stampOf(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	return (*stamp)(&t)
}

// String is how people read a time: in their own zone, to the second.
func (s *stamp) String() string {
	if s == nil {
		return "-"
	}
	return time.Time(*s).Local().Format("2006-01-02 15:04:05")
}

// milliseconds is a duration in an answer.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// elapsed is a duration for people, - for none.
func elapsed(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// passAnswer is the last pass over the fleet.
type passAnswer struct {
	Revision    *string         `json:"revision"`
	Status      state.Operation `json:"status"`
	Tenants     int             `json:"tenants"`
	Changed     int             `json:"changed"`
	Failed      int             `json:"failed"`
	StartedAt   *stamp          `json:"startedAt"`
	CompletedAt *stamp          `json:"completedAt"`
	Error       *string         `json:"error"`
	Waiting     *problem        `json:"waiting"` // for somebody: nothing is removed until then
}

func passAnswerOf(p state.Pass) passAnswer {
	return passAnswer{
		Revision: optional(p.Revision), Status: p.Status, Tenants: p.Tenants, Changed: p.Changed, Failed: p.Failed,
		StartedAt: stampOf(p.StartedAt), CompletedAt: stampOf(p.CompletedAt), Error: optional(p.Error),
		Waiting: problemOf(p.WaitingReason, p.WaitingMessage, p.WaitingNext),
	}
}

package state

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Hold keeps tenants from being deployed: one tenant, those whose labels match,
// or, with neither, the whole fleet. There is one for each target and bundle.
type Hold struct {
	Tenant protocol.TenantID
	Labels string // what a tenant must have, such as "region=eu,tier=canary"
	Bundle string // digest of the desired bundle that is held back; empty for any
	Owner  string // who set it
	Via    string
	Reason string
	SetAt  time.Time // default: now
	Until  time.Time // zero for until it is released
}

func (h *Hold) columns() []column {
	return []column{
		{"tenant", (*string)(&h.Tenant)},
		{"labels", &h.Labels},
		{"bundle", &h.Bundle},
		{"owner", &h.Owner},
		{"via", &h.Via},
		{"reason", &h.Reason},
		{"set_at", &h.SetAt},
		{"until", &h.Until},
	}
}

// Expired tells that the hold has come to its end and holds no longer.
func (h Hold) Expired(now time.Time) bool { return !h.Until.IsZero() && !now.Before(h.Until) }

// Covers tells whether the hold, while it lasts, keeps a tenant with these
// labels from being brought to a bundle.
func (h Hold) Covers(tenant protocol.TenantID, labels map[string]string, bundle string) bool {
	if h.Tenant != "" && h.Tenant != tenant || h.Bundle != "" && h.Bundle != bundle {
		return false
	}
	if h.Labels == "" {
		return true
	}
	for term := range strings.SplitSeq(h.Labels, ",") {
		key, value, _ := strings.Cut(term, "=")
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// Target says what is held: tenant "acme", tenants with tier=canary, the fleet.
func (h Hold) Target() string {
	switch {
	case h.Tenant != "":
		return fmt.Sprintf("tenant %q", h.Tenant)
	case h.Labels != "":
		return "tenants with " + h.Labels
	}
	return "the fleet"
}

func (h Hold) String() string {
	text := h.Target()
	if h.Bundle != "" {
		text += fmt.Sprintf(", bundle %.12s", h.Bundle)
	}
	if !h.Until.IsZero() {
		text += ", until " + h.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// event is the hold's part of an event.
func (h Hold) event(e Event) Event {
	e.Tenant, e.Detail = h.Tenant, h.String()
	return e
}

// SetHold records a hold and its event. One that is there already for the same
// target and bundle is replaced.
func (s *Store) SetHold(ctx context.Context, h Hold) error {
	doing := "hold " + h.Target()
	if h.SetAt.IsZero() {
		h.SetAt = s.now()
	}
	row, err := insertion("REPLACE INTO holds", h.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	event, err := s.insertion(h.event(Event{At: h.SetAt, Actor: h.Owner, Via: h.Via, Kind: EventHeld, Reason: h.Reason}))
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, row, event)
}

// Holds returns all holds, expired ones too, by tenant, labels and bundle.
func (s *Store) Holds(ctx context.Context) ([]Hold, error) {
	return read(ctx, s, "read holds", (*Hold).columns, database.Statement{
		SQL: selection("holds", new(Hold).columns()) + "ORDER BY tenant, labels, bundle",
	})
}

// EndHold removes a hold as Holds returned it, and records the event, to which
// it adds what was held. It reports whether the hold was there: one that was
// set anew meanwhile is another one.
func (s *Store) EndHold(ctx context.Context, h Hold, e Event) (ended bool, err error) {
	doing := "end the hold of " + h.Target()
	event, err := s.insertion(h.event(e))
	if err != nil {
		return false, explain(s.path, doing, err)
	}
	err = s.use(ctx, doing, func(conn database.Conn) error {
		return transact(ctx, conn, func() error {
			n, err := conn.Exec(ctx, "DELETE FROM holds WHERE tenant = ? AND labels = ? AND bundle = ? AND set_at = ?",
				string(h.Tenant), h.Labels, h.Bundle, h.SetAt.UTC().Format(layout))
			if ended = n > 0; err != nil || !ended {
				return err
			}
			_, err = conn.Exec(ctx, event.SQL, event.Args...)
			return err
		})
	})
	return ended && err == nil, err
}

package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Confirmation is somebody's word that what a commit no longer has is meant to
// go. It is for that commit alone.
type Confirmation struct {
	Revision string // full commit
	Actor    string
	Via      string
	Reason   string
	At       time.Time // default: now
}

func (c *Confirmation) columns() []column {
	return []column{
		{"revision", &c.Revision},
		{"actor", &c.Actor},
		{"via", &c.Via},
		{"reason", &c.Reason},
		{"at", &c.At},
	}
}

// Confirm records a confirmation and its event. A second one of the same
// commit replaces the first.
func (s *Store) Confirm(ctx context.Context, c Confirmation) error {
	doing := fmt.Sprintf("confirm %.12s", c.Revision)
	if c.At.IsZero() {
		c.At = s.now()
	}
	row, err := insertion("REPLACE INTO confirmations", c.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	event, err := s.insertion(Event{
		At: c.At, Actor: c.Actor, Via: c.Via, Kind: EventConfirmed, Revision: c.Revision, Reason: c.Reason,
	})
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, row, event)
}

// Confirmed returns the confirmation of a commit, and whether there is one.
func (s *Store) Confirmed(ctx context.Context, revision string) (Confirmation, bool, error) {
	return first(read(ctx, s, fmt.Sprintf("read the confirmation of %.12s", revision), (*Confirmation).columns, database.Statement{
		SQL: selection("confirmations", new(Confirmation).columns()) + "WHERE revision = ?", Args: []any{revision},
	}))
}

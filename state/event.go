package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Event is something that a person or the reconciler did and that somebody
// may ask about later: a deployment, an approval, a hold, a confirmation.
type Event struct {
	At       time.Time         // default: now
	Actor    string            // who
	Via      string            // through what: daemon, cli, api, webhook
	Kind     string            // what
	Tenant   protocol.TenantID // empty for what concerns the fleet
	Revision string
	Author   string // of the revision
	Reason   string
	Detail   string
}

func (e *Event) columns() []column {
	return []column{
		{"at", &e.At},
		{"actor", &e.Actor},
		{"via", &e.Via},
		{"kind", &e.Kind},
		{"tenant", (*string)(&e.Tenant)},
		{"revision", &e.Revision},
		{"author", &e.Author},
		{"reason", &e.Reason},
		{"detail", &e.Detail},
	}
}

// AddEvent records an event. There is no way to change it later.
func (s *Store) AddEvent(ctx context.Context, e Event) error {
	if e.At.IsZero() {
		e.At = s.now()
	}
	return s.save(ctx, fmt.Sprintf("add event %q", e.Kind), "INSERT INTO events", e.columns())
}

// Events returns the newest events of a tenant, or of everything for an empty
// tenant, the last added first: at most n of them, or all for 0.
func (s *Store) Events(ctx context.Context, tenant protocol.TenantID, n int) ([]Event, error) {
	const doing = "read events"
	sql, args := selection("events", new(Event).columns()), []any{}
	if tenant != "" {
		sql, args = sql+"WHERE tenant = ? ", append(args, string(tenant))
	}
	return read(ctx, s, doing, (*Event).columns, database.Statement{
		SQL: sql + "ORDER BY id DESC LIMIT ?", Args: append(args, limit(n)),
	})
}

package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Operation says how a pass over the fleet went.
type Operation string

// Every word an Operation can be. Partial: some tenants failed.
const (
	Running   Operation = "Running"
	Succeeded Operation = "Succeeded"
	Partial   Operation = "Partial"
	Failed    Operation = "Failed"
)

// Pass is one look at the fleet.
type Pass struct {
	Kind                     string
	Revision                 string
	Status                   Operation
	Tenants, Changed, Failed int // how many tenants
	Error                    string
	// Waiting says what the pass left undone until somebody confirms it: on
	// account of which commit, a reason in one word, a message, the next step.
	// Empty for nothing.
	WaitingRevision, WaitingReason, WaitingMessage, WaitingNext string
	StartedAt, CompletedAt                                      time.Time // CompletedAt is zero while it runs
}

func (p *Pass) columns() []column {
	return []column{
		{"kind", &p.Kind},
		{"revision", &p.Revision},
		{"status", (*string)(&p.Status)},
		{"tenants", &p.Tenants},
		{"changed", &p.Changed},
		{"failed", &p.Failed},
		{"error", &p.Error},
		{"waiting_revision", &p.WaitingRevision},
		{"waiting_reason", &p.WaitingReason},
		{"waiting_message", &p.WaitingMessage},
		{"waiting_next", &p.WaitingNext},
		{"started_at", &p.StartedAt},
		{"completed_at", &p.CompletedAt},
	}
}

// SavePass records p as the last pass of its kind; the one before is
// forgotten.
func (s *Store) SavePass(ctx context.Context, p Pass) error {
	return s.save(ctx, fmt.Sprintf("save pass %q", p.Kind), "REPLACE INTO passes", p.columns())
}

// LastPass returns the pass that started last, and whether there was one.
func (s *Store) LastPass(ctx context.Context) (Pass, bool, error) {
	return first(read(ctx, s, "read last pass", (*Pass).columns, database.Statement{
		SQL: selection("passes", new(Pass).columns()) + "ORDER BY started_at DESC, kind LIMIT 1",
	}))
}

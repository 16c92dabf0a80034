package state

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Event is something that a person or the reconciler did and that somebody
// may ask about later: a deployment, an approval, a hold, a confirmation.
type Event struct {
	At         time.Time         // default: now
	Actor      string            // who
	Via        string            // through what: daemon, cli, api, webhook
	Kind       string            // what, one of the words below
	Tenant     protocol.TenantID // empty for what concerns the fleet
	Revision   string
	Author     string // of the revision: Name <email>
	Plan       string // digest
	Deployment string // id
	Reason     string
	Detail     string
}

// Every word that a Kind can be so far.
const (
	EventDeployed   = "deployed"
	EventRolledBack = "rolled_back"
	EventBlocked    = "blocked" // a deployment that needs somebody before it can run
	EventFailed     = "failed"  // a deployment
	EventApproved   = "approved"

	EventBackfillBegun   = "backfill_begun"   // of a table too large for one transaction
	EventBackfillDropped = "backfill_dropped" // nobody wants it any more

	EventHeld        = "held"
	EventReleased    = "released"
	EventHoldExpired = "hold_expired"
	EventRestored    = "restored"  // a database, from a snapshot
	EventVerified    = "verified"  // a deployment that had failed its verification
	EventConfirmed   = "confirmed" // removals

	EventRolloutStarted  = "rollout_started"
	EventRolloutHalted   = "rollout_halted" // too many of its tenants failed
	EventRolloutEnded    = "rollout_ended"
	EventRolloutReplaced = "rollout_superseded"
	EventRolloutPaused   = "rollout_paused"
	EventRolloutResumed  = "rollout_resumed"
	EventRolloutAborted  = "rollout_aborted"
	EventRolloutPromoted = "rollout_promoted"

	EventProvisioned = "provisioned"
	EventSuspended   = "suspended"
	EventResumed     = "resumed"
	EventRemoved     = "removed" // from git, or by who asked for it; its database is there yet
	EventCancelled   = "removal_cancelled"
	EventBackedUp    = "backed_up"
	EventDestroyed   = "destroyed" // a database
	EventErased      = "erased"    // a backup or the snapshots of a tenant
	EventPlanChanged = "plan_changed"
	EventTaken       = "taken"     // a database, from another owner
	EventRecreated   = "recreated" // a database that had vanished
	EventCommitted   = "committed" // to the watched branch
	EventRotated     = "rotated"   // the tokens of a database
)

func (e *Event) columns() []column {
	return []column{
		{"at", &e.At},
		{"actor", &e.Actor},
		{"via", &e.Via},
		{"kind", &e.Kind},
		{"tenant", (*string)(&e.Tenant)},
		{"revision", &e.Revision},
		{"author", &e.Author},
		{"plan", &e.Plan},
		{"deployment", &e.Deployment},
		{"reason", &e.Reason},
		{"detail", &e.Detail},
	}
}

// insertion is the statement that records the event.
func (s *Store) insertion(e Event) (database.Statement, error) {
	if e.At.IsZero() {
		e.At = s.now()
	}
	return insertion("INSERT INTO events", e.columns())
}

// insertions are the statements that record events.
func (s *Store) insertions(events []Event) ([]database.Statement, error) {
	statements := make([]database.Statement, len(events))
	for i, e := range events {
		var err error
		if statements[i], err = s.insertion(e); err != nil {
			return nil, err
		}
	}
	return statements, nil
}

// AddEvent records an event. There is no way to change it later.
func (s *Store) AddEvent(ctx context.Context, e Event) error {
	doing := fmt.Sprintf("add event %q", e.Kind)
	statement, err := s.insertion(e)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, statement)
}

// EventQuery narrows a list of events. The zero value asks for all.
type EventQuery struct {
	Tenant protocol.TenantID
	// Actor is who did it or who is the author of what was deployed: all of
	// "Name <email>", the name or the address, in either case (ASCII).
	Actor string
	Since time.Time // and at this time
	Limit int       // 0 for no limit
}

// Events returns the newest events that a query asks for, the last added
// first.
func (s *Store) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	where, args := q.where()
	return read(ctx, s, "read events", (*Event).columns, database.Statement{
		SQL:  selection("events", new(Event).columns()) + where + "ORDER BY id DESC LIMIT ?",
		Args: append(args, limit(q.Limit)),
	})
}

func (q EventQuery) where() (string, []any) {
	var terms []string
	var args []any
	add := func(term string, values ...any) { terms, args = append(terms, term), append(args, values...) }
	if q.Tenant != "" {
		add("tenant = ?", string(q.Tenant))
	}
	if actor := clean(q.Actor); actor != "" {
		add("("+is("actor")+" OR "+is("author")+")", actor, actor, actor, actor, actor, actor)
	}
	if !q.Since.IsZero() {
		add("at >= ?", q.Since.UTC().Format(layout))
	}
	if terms == nil {
		return "", nil
	}
	return "WHERE " + strings.Join(terms, " AND ") + " ", args
}

// is compares a column of people with three arguments, all the same.
func is(column string) string {
	return strings.ReplaceAll("lower(COLUMN) = lower(?) OR instr(lower(COLUMN), lower(?) || ' <') = 1"+
		" OR instr(lower(COLUMN), '<' || lower(?) || '>') > 0", "COLUMN", column)
}

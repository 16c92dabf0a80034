package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// ErrConflict says that a row was changed by somebody else since it was read:
// read it again, and decide again.
var ErrConflict = errors.New("changed meanwhile")

// Rollout is a revision on its way through the fleet, in waves.
type Rollout struct {
	ID       int // 1 for the first
	Version  int // counts its changes
	Revision string
	Status   Operation
	// Reason says in one CamelCase word why it waits, or how it ended; with
	// Message and Next, which may be empty.
	Reason, Message, Next string
	Paused                string // who paused it, and why; empty when nobody did
	Waves                 []Wave
	Promoted              []protocol.TenantID // tenants that do not wait for their wave
	StartedAt             time.Time
	EndedAt               time.Time // zero while it is under way, or halted
}

// Wave is a part of a rollout.
type Wave struct {
	Name      string    `json:"name"`
	Tenants   int       `json:"tenants"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	DoneAt    time.Time `json:"doneAt,omitzero"`    // when no tenant of it was left to be tried; it bakes from then on
	Forgiven  int       `json:"forgiven,omitempty"` // failures that somebody has gone on after
	Resumed   bool      `json:"resumed,omitempty"`  // somebody let it begin, where it pauses before
	Promoted  bool      `json:"promoted,omitempty"` // it waits for neither bake nor window
}

// RolloutTenant is a tenant's place in a rollout.
type RolloutTenant struct {
	Tenant protocol.TenantID `json:"tenant"`
	Wave   int               `json:"wave"`   // index into Waves
	Target string            `json:"target"` // what it was to be brought to, 12 hex digits
}

func (r *Rollout) columns() []column {
	return []column{
		{"id", &r.ID},
		{"version", &r.Version},
		{"revision", &r.Revision},
		{"status", (*string)(&r.Status)},
		{"reason", &r.Reason},
		{"message", &r.Message},
		{"next", &r.Next},
		{"paused", &r.Paused},
		{"waves", &r.Waves},
		{"promoted", &r.Promoted},
		{"started_at", &r.StartedAt},
		{"ended_at", &r.EndedAt},
	}
}

// Open tells that the rollout has not ended. A halted one has not either.
func (r Rollout) Open() bool { return r.EndedAt.IsZero() }

// keptRollouts is how many rollouts are remembered with their tenants.
const keptRollouts = 50

// StartRollout records a rollout with its tenants and events, and ends the one
// that it supersedes, if any: all of it or, with an error, none. It gives the
// rollout its id. An error matching ErrConflict means that the other one is not
// as it was read.
func (s *Store) StartRollout(ctx context.Context, r *Rollout, tenants []RolloutTenant, superseded *Rollout, events ...Event) error {
	doing := fmt.Sprintf("start a rollout to %.12s", r.Revision)
	err := s.use(ctx, doing, func(conn database.Conn) error {
		return transact(ctx, conn, func() error {
			if superseded != nil {
				if err := s.update(ctx, conn, *superseded); err != nil {
					return err
				}
			}
			return s.start(ctx, conn, r, tenants, events)
		})
	})
	if err == nil && superseded != nil {
		superseded.Version++
	}
	return err
}

func (s *Store) start(ctx context.Context, conn database.Conn, r *Rollout, tenants []RolloutTenant, events []Event) error {
	rows, err := conn.Query(ctx, "SELECT coalesce(max(id), 0) + 1 FROM rollouts")
	if err != nil {
		return err
	}
	id := rows.Values[0][0].(int64)
	r.ID, r.Version = int(id), 1
	row, err := insertion("INSERT INTO rollouts", r.columns())
	if err != nil {
		return err
	}
	places, err := json.Marshal(append([]RolloutTenant{}, tenants...))
	if err != nil {
		return err
	}
	statements := []database.Statement{row, {
		// One statement for all of them: a row takes longer to ask for than to write.
		SQL: "INSERT INTO rollout_tenants (rollout, tenant, wave, target)" +
			" SELECT ?, value ->> 'tenant', value ->> 'wave', value ->> 'target' FROM json_each(?) WHERE true",
		Args: []any{id, string(places)},
	}, {
		SQL: "DELETE FROM rollout_tenants WHERE rollout <= ?", Args: []any{id - keptRollouts},
	}}
	return s.recording(ctx, conn, statements, r.ID, events)
}

// recording runs statements and records events of a rollout.
func (s *Store) recording(ctx context.Context, conn database.Conn, statements []database.Statement, rollout int, events []Event) error {
	for _, e := range events {
		if e.Detail == "" {
			e.Detail = fmt.Sprintf("rollout %d", rollout)
		}
		statement, err := s.insertion(e)
		if err != nil {
			return err
		}
		statements = append(statements, statement)
	}
	for _, st := range statements {
		if _, err := conn.Exec(ctx, st.SQL, st.Args...); err != nil {
			return err
		}
	}
	return nil
}

// SaveRollout overwrites a rollout as it was read, and records events with it.
// It gives an error matching ErrConflict when somebody else has changed it
// since, or when it is not there.
func (s *Store) SaveRollout(ctx context.Context, r *Rollout, events ...Event) error {
	err := s.use(ctx, fmt.Sprintf("save rollout %d", r.ID), func(conn database.Conn) error {
		return transact(ctx, conn, func() error {
			if err := s.update(ctx, conn, *r); err != nil {
				return err
			}
			return s.recording(ctx, conn, nil, r.ID, events)
		})
	})
	if err == nil {
		r.Version++
	}
	return err
}

func (s *Store) update(ctx context.Context, conn database.Conn, r Rollout) error {
	n, err := conn.Exec(ctx, "DELETE FROM rollouts WHERE id = ? AND version = ?", int64(r.ID), int64(r.Version))
	if err == nil && n == 0 {
		err = ErrConflict
	}
	if err != nil {
		return err
	}
	r.Version++
	row, err := insertion("INSERT INTO rollouts", r.columns())
	if err == nil {
		_, err = conn.Exec(ctx, row.SQL, row.Args...)
	}
	return err
}

// Rollouts returns the newest rollouts, newest first: at most n of them, or all
// for 0.
func (s *Store) Rollouts(ctx context.Context, n int) ([]Rollout, error) {
	return read(ctx, s, "read rollouts", (*Rollout).columns, database.Statement{
		SQL: selection("rollouts", new(Rollout).columns()) + "ORDER BY id DESC LIMIT ?", Args: []any{limit(n)},
	})
}

// LastRollout returns the newest rollout, and whether there was one.
func (s *Store) LastRollout(ctx context.Context) (Rollout, bool, error) {
	return first(s.Rollouts(ctx, 1))
}

// Rollout returns one rollout. It gives an error matching ErrNotFound.
func (s *Store) Rollout(ctx context.Context, id int) (Rollout, error) {
	doing := fmt.Sprintf("read rollout %d", id)
	r, found, err := first(read(ctx, s, doing, (*Rollout).columns, database.Statement{
		SQL: selection("rollouts", new(Rollout).columns()) + "WHERE id = ?", Args: []any{int64(id)},
	}))
	if err == nil && !found {
		err = explain(s.path, doing, ErrNotFound)
	}
	return r, err
}

// RolloutTenants returns the tenants of a rollout, by wave and id. Those of old
// rollouts are forgotten.
func (s *Store) RolloutTenants(ctx context.Context, id int) ([]RolloutTenant, error) {
	doing := fmt.Sprintf("read the tenants of rollout %d", id)
	rows, err := s.query(ctx, doing, "SELECT json_group_array(json_object('tenant', tenant, 'wave', wave, 'target', target)"+
		" ORDER BY wave, tenant) FROM rollout_tenants WHERE rollout = ?", int64(id))
	if err != nil {
		return nil, err
	}
	var list []RolloutTenant
	text, _ := rows.Values[0][0].(string)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, explain(s.path, doing, fmt.Errorf("%w: %w", database.ErrCorrupt, err))
	}
	return list, nil
}

// RolloutDeployments returns the deployments of a rollout, by tenant and then
// in the order in which they began.
func (s *Store) RolloutDeployments(ctx context.Context, id int) ([]Deployment, error) {
	return s.deployments(ctx, fmt.Sprintf("read deployments of rollout %d", id),
		"WHERE rollout = ? AND rollout > 0 ORDER BY tenant, started_at, id", int64(id))
}

package state

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Approval is one person's word that a plan may run. It is for that plan alone:
// another digest needs another one.
type Approval struct {
	Plan   string // digest
	Actor  string
	Via    string
	Reason string
	At     time.Time // default: now
}

func (a *Approval) columns() []column {
	return []column{
		{"plan", &a.Plan},
		{"actor", &a.Actor},
		{"via", &a.Via},
		{"reason", &a.Reason},
		{"at", &a.At},
	}
}

// Approve records an approval and its event. A second one by the same person
// replaces the first.
func (s *Store) Approve(ctx context.Context, a Approval) error {
	doing := fmt.Sprintf("approve plan %q", a.Plan)
	if a.At.IsZero() {
		a.At = s.now()
	}
	row, err := insertion("REPLACE INTO approvals", a.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	event, err := s.insertion(Event{
		At: a.At, Actor: a.Actor, Via: a.Via, Kind: EventApproved, Plan: a.Plan, Reason: a.Reason,
	})
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, row, event)
}

// Approvals returns the approvals of a plan, or all for an empty digest, the
// newest first.
func (s *Store) Approvals(ctx context.Context, plan string) ([]Approval, error) {
	sql, args := selection("approvals", new(Approval).columns()), []any{}
	if plan != "" {
		sql, args = sql+"WHERE plan = ? ", append(args, plan)
	}
	return read(ctx, s, "read approvals", (*Approval).columns, database.Statement{
		SQL: sql + "ORDER BY at DESC, plan, actor", Args: args,
	})
}

// PlanDigest returns the digest of the stored plan that begins so. It gives an
// error matching ErrNotFound or ErrAmbiguous.
func (s *Store) PlanDigest(ctx context.Context, prefix string) (string, error) {
	doing := fmt.Sprintf("find plan %q", prefix)
	rows, err := s.query(ctx, doing,
		"SELECT digest FROM plans WHERE digest >= ? AND digest < ? ORDER BY digest LIMIT 2", prefix, prefix+"~")
	if err != nil {
		return "", err
	}
	var found []string
	for _, row := range rows.Values {
		digest, _ := row[0].(string)
		found = append(found, digest)
	}
	switch {
	case len(found) == 0 || prefix == "":
		return "", explain(s.path, doing, ErrNotFound)
	case len(found) == 2 && found[0] != prefix:
		return "", explain(s.path, doing, fmt.Errorf(
			"%w: %s and %s begin so: give more of the digest", ErrAmbiguous, found[0], found[1]))
	}
	return found[0], nil
}

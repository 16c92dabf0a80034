package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
)

// Deployment is one attempt to bring a tenant to a revision.
type Deployment struct {
	ID     string // UUIDv7, chosen before the attempt
	Tenant protocol.TenantID

	Revision, Author, AuthorEmail, Subject string // the commit
	Reverts                                string // the commit that it takes back, if it says so

	BundleDigest, PreviousBundle   string // wanted, and applied before
	PlanDigest                     string
	FromFingerprint, ToFingerprint string
	Status                         protocol.DeployStatus
	Transitions                    []Transition // in the order they happened
	Statements                     int          // of the plan, that ran
	StatementTimes                 []time.Duration
	Duration                       time.Duration
	Rollout                        int       // that it belongs to; 0 for none
	Reason, Error, Next            string    // empty unless it failed
	StartedAt, CompletedAt         time.Time // CompletedAt is zero while it is under way
}

// Transition is a status that a deployment took, and when.
type Transition struct {
	Status protocol.DeployStatus `json:"status"`
	At     time.Time             `json:"at"`
}

// MarshalJSON keeps the time as the store keeps every time.
func (t Transition) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Status protocol.DeployStatus `json:"status"`
		At     string                `json:"at"`
	}{t.Status, t.At.UTC().Format(layout)})
}

func (d *Deployment) columns() []column {
	return []column{
		{"id", &d.ID},
		{"tenant", (*string)(&d.Tenant)},
		{"revision", &d.Revision},
		{"author", &d.Author},
		{"author_email", &d.AuthorEmail},
		{"subject", &d.Subject},
		{"reverts", &d.Reverts},
		{"bundle_digest", &d.BundleDigest},
		{"previous_bundle", &d.PreviousBundle},
		{"plan_digest", &d.PlanDigest},
		{"from_fingerprint", &d.FromFingerprint},
		{"to_fingerprint", &d.ToFingerprint},
		{"status", (*string)(&d.Status)},
		{"transitions", &d.Transitions},
		{"statements", &d.Statements},
		{"statement_times_ns", &d.StatementTimes},
		{"duration_ns", &d.Duration},
		{"rollout", &d.Rollout},
		{"reason", &d.Reason},
		{"error", &d.Error},
		{"next", &d.Next},
		{"started_at", &d.StartedAt},
		{"completed_at", &d.CompletedAt},
	}
}

// SaveDeployment records d, or overwrites what was recorded of it before: a
// deployment is known by its id and is never there twice. The events are
// recorded with it, or it is not recorded either.
func (s *Store) SaveDeployment(ctx context.Context, d Deployment, events ...Event) error {
	doing := fmt.Sprintf("save deployment %q of tenant %q", d.ID, d.Tenant)
	row, err := insertion("REPLACE INTO deployments", d.columns())
	if err != nil {
		return explain(s.path, doing, err)
	}
	told, err := s.insertions(events)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, append([]database.Statement{row}, told...)...)
}

// Deployments returns the tenant's newest deployments, newest first: at most
// n of them, or all for 0. It is empty for an unknown tenant.
func (s *Store) Deployments(ctx context.Context, tenant protocol.TenantID, n int) ([]Deployment, error) {
	return s.deployments(ctx, fmt.Sprintf("read deployments of tenant %q", tenant),
		"WHERE tenant = ? ORDER BY started_at DESC, id DESC LIMIT ?", string(tenant), limit(n))
}

// Unfinished returns the deployments that are neither ready nor failed, by id.
// After a crash these are the ones whose fate the tenant's journal knows.
func (s *Store) Unfinished(ctx context.Context) ([]Deployment, error) {
	return s.deployments(ctx, "read unfinished deployments",
		"WHERE status NOT IN (?, ?) ORDER BY id",
		string(protocol.DeployReady), string(protocol.DeployFailed))
}

// Deployment returns the deployment with an id, or with an id that begins so.
// It gives an error matching ErrNotFound or ErrAmbiguous.
func (s *Store) Deployment(ctx context.Context, id string) (Deployment, error) {
	prefix := strings.ToLower(id)
	doing := fmt.Sprintf("read deployment %q", id)
	found, err := s.deployments(ctx, doing,
		"WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", prefix, prefix+"~")
	switch {
	case err != nil:
		return Deployment{}, err
	case len(found) == 0 || prefix == "":
		return Deployment{}, explain(s.path, doing, ErrNotFound)
	case len(found) == 2 && found[0].ID != prefix:
		return Deployment{}, explain(s.path, doing, fmt.Errorf(
			"%w: %s and %s begin so: give more of the id", ErrAmbiguous, found[0].ID, found[1].ID))
	}
	return found[0], nil
}

func (s *Store) deployments(ctx context.Context, doing, where string, args ...any) ([]Deployment, error) {
	return read(ctx, s, doing, (*Deployment).columns, database.Statement{
		SQL: selection("deployments", new(Deployment).columns()) + where, Args: args,
	})
}

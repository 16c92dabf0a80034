package state

import (
	"context"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// kindFetch is the kind of the row of passes that tells of the repository: a
// look at it, and at no tenant.
const kindFetch = "fetch"

// Source is what is known of the watched repository.
type Source struct {
	Revision  string    // head of the followed ref, as it was fetched last
	FetchedAt time.Time // when the repository answered last; zero for never
	AwaySince time.Time // when it answered no more; zero while it answers
	Error     string    // why it does not answer
}

// Age is how old what is known of the repository is, zero before it was
// fetched for the first time.
func (s Source) Age(now time.Time) time.Duration {
	if s.FetchedAt.IsZero() {
		return 0
	}
	return max(0, now.Sub(s.FetchedAt))
}

// SaveSource records the last look at the repository.
func (s *Store) SaveSource(ctx context.Context, source Source) error {
	pass := Pass{
		Kind: kindFetch, Revision: source.Revision, Status: Succeeded,
		Error: source.Error, StartedAt: source.AwaySince, CompletedAt: source.FetchedAt,
	}
	if source.Error != "" {
		pass.Status = Failed
	}
	return s.SavePass(ctx, pass)
}

// Source returns what is known of the repository, the zero value before the
// first look.
func (s *Store) Source(ctx context.Context) (Source, error) {
	pass, _, err := first(read(ctx, s, "read source", (*Pass).columns, database.Statement{
		SQL:  selection("passes", new(Pass).columns()) + "WHERE kind = ?",
		Args: []any{kindFetch},
	}))
	return Source{Revision: pass.Revision, FetchedAt: pass.CompletedAt, AwaySince: pass.StartedAt, Error: pass.Error}, err
}

package apply

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
)

// Errors that a caller can match.
var (
	// ErrStale says that the database is not in the state that the plan
	// starts from: plan again.
	ErrStale = errors.New("plan is stale")
	// ErrOwnedElsewhere says that the database belongs to another fleet,
	// environment or tenant.
	ErrOwnedElsewhere = errors.New("database belongs to somebody else")
	// ErrNewerJournal says that a newer reconciler wrote the journal.
	ErrNewerJournal = errors.New("journal was written by a newer reconciler")
	// ErrEmptyJournal says that a database is one that was deployed to, and that
	// somebody has emptied its journal.
	ErrEmptyJournal = errors.New("its journal is empty")
	// ErrUnknownDatabase says that a database has tables and no journal.
	ErrUnknownDatabase = errors.New("database has tables that the reconciler did not make")
	// ErrGuard says that the database would not be what was proved. Nothing
	// is committed.
	ErrGuard = errors.New("result differs from the proof")
	// ErrProof says that a plan does not do in a scratch database what it
	// should. It is not run anywhere.
	ErrProof = errors.New("plan failed its proof")
	// ErrUnfilled says that rows of a table are not in step with its fill, so
	// that its columns cannot be swapped yet: go on with Fill.
	ErrUnfilled = errors.New("rows were written past the fill")
	// ErrSnapshot says that the copy which a deployment wanted first could not
	// be made. Nothing was run.
	ErrSnapshot = errors.New("snapshot could not be taken")
	// ErrRestless says that another writer kept committing between the copy
	// and the lock. It comes with ErrSnapshot.
	ErrRestless = errors.New("another writer kept changing the database")
)

// StatementError reports the statement at which a deployment stopped. Nothing
// of the deployment is committed.
type StatementError struct {
	Index int    // zero-based, into MigrationPlan.Statements; -1 for metadata
	SQL   string // as rendered
	Err   error
}

func (e *StatementError) Error() string {
	where := "metadata statement"
	if e.Index >= 0 {
		where = fmt.Sprintf("statement %d", e.Index+1)
	}
	return fmt.Sprintf("%s: %v: %s", where, e.Err, shorten(e.SQL))
}

func (e *StatementError) Unwrap() error { return e.Err }

// Finding is one pre-check that found rows in the way.
type Finding struct {
	plan.PreCheck
	Count int64    `json:"count"`
	IDs   []string `json:"ids"` // of the first rows, at most maxIDs
}

// BlockedError reports the rows that keep a plan from being run. It is the
// tenant's data that has to change, or the bundle.
type BlockedError struct{ Findings []Finding }

func (e *BlockedError) Error() string { return e.tell(func(Finding) string { return "" }) }

// Detail is the error with the ids of the first rows, for the tenant's own
// status: they are not for a page that others see.
func (e *BlockedError) Detail() string {
	return e.tell(func(f Finding) string {
		ids := ": " + strings.Join(f.IDs, ", ")
		if rest := f.Count - int64(len(f.IDs)); rest > 0 {
			ids += fmt.Sprintf(" and %d more", rest)
		}
		return ids
	})
}

func (e *BlockedError) tell(ids func(Finding) string) string {
	texts := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		rows := "rows"
		if f.Count == 1 {
			rows = "row"
		}
		texts[i] = fmt.Sprintf("%s (%d %s%s)", f.Message, f.Count, rows, ids(f))
	}
	return strings.Join(texts, "; ")
}

// Reason is the word for programs.
func (e *BlockedError) Reason() string { return reason.PreCheckFailed }

// Next says what to do about the first finding.
func (e *BlockedError) Next() string { return e.Findings[0].Next }

// SeedError reports the records for which a strict deployment was given up.
type SeedError struct{ Issues []plan.SeedIssue }

func (e *SeedError) Error() string {
	texts := make([]string, 0, len(e.Issues))
	for _, i := range e.Issues {
		texts = append(texts, i.String())
	}
	return "seed data cannot be loaded: " + strings.Join(texts, "; ")
}

// Reason is the word for programs.
func (e *SeedError) Reason() string { return reason.SeedRejected }

// Next is the next step, for people.
func (e *SeedError) Next() string { return "correct the records, or set seed: skip in fleet.yaml" }

// shorten keeps a statement readable in a message.
func shorten(sql string) string {
	return shortenTo(strings.Join(strings.Fields(sql), " "), 200)
}

func shortenTo(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + " ..."
	}
	return text
}

func errorsJoin(err, also error) error {
	if also == nil {
		return err
	}
	return errors.Join(err, also)
}

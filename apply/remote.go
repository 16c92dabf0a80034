package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Ends remembers the schema that plans lead to, as text, so that a plan which
// many tenants run is tried out once. The zero value is empty. It may be
// shared.
type Ends struct {
	mu    sync.Mutex
	texts map[string]string // by from-fingerprint and plan digest
}

const maxEnds = 64 // plans that are run at the same time are few, and each text is that of a schema

// of runs the plan in a private copy of the schema and returns what that is
// afterwards.
func (e *Ends) of(ctx context.Context, from schema.Master, p *plan.Plan) (string, error) {
	key := from.Fingerprint() + " " + p.Digest
	e.mu.Lock()
	text, known := e.texts[key]
	e.mu.Unlock()
	if known {
		return text, nil
	}
	after, err := rehearse(ctx, from, p)
	if err != nil {
		return "", err
	}
	if after.Fingerprint() != p.To {
		return "", fmt.Errorf("%w: the schema would be %.12s, the proof ended with %.12s", ErrGuard, after.Fingerprint(), p.To)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.texts == nil || len(e.texts) >= maxEnds {
		e.texts = map[string]string{}
	}
	e.texts[key] = after.Text()
	return after.Text(), nil
}

func rehearse(ctx context.Context, from schema.Master, p *plan.Plan) (schema.Master, error) {
	conn, err := libsql.OpenMemory(ctx)
	if err != nil {
		return schema.Master{}, err
	}
	defer conn.Close()
	r := runner{conn: conn, plan: p}
	if err := r.foreignKeys(ctx, false); err != nil {
		return schema.Master{}, err
	}
	if err := from.Replay(ctx, conn); err != nil {
		return schema.Master{}, err
	}
	if err := createTables(ctx, conn); err != nil {
		return schema.Master{}, err
	}
	if err := r.migrate(ctx); err != nil {
		return schema.Master{}, err
	}
	return schema.ReadMaster(ctx, conn)
}

// batched tells that a deployment can go to a server as one conditional batch.
// Seed data, what a rollback takes back, fills and quotas decide by what they
// read on the way: those go in a transaction over several requests, which has
// to be done before the server gives its lock away.
func (r *runner) batched() bool {
	p, d := r.plan, r.deployment
	return database.Remote(r.conn) && len(p.Seeds) == 0 && len(p.SeedIssues) == 0 && len(d.Undo) == 0 && len(p.Fills) == 0 && d.Watch == nil
}

// runBatch runs the plan as one conditional batch, in one round trip. What is
// written is what the runner writes elsewhere; what it looks at elsewhere are
// statements that fail.
func (r *runner) runBatch(ctx context.Context) error {
	now := r.deployment.Seen
	if now == nil {
		read, err := Read(ctx, r.conn)
		if err != nil {
			return err
		}
		now = &read
	}
	s, err := r.script(ctx, *now)
	if err != nil {
		return err
	}
	start := time.Now()
	results, err := r.conn.Batch(ctx, s.steps)
	if err != nil {
		r.uncertain = true
		return fmt.Errorf("commit: %w", err)
	}
	if failed := s.failure(results); failed != nil {
		return r.explain(ctx, failed)
	}
	r.outcome.Statements = len(r.plan.Migration.Statements)
	if n := r.outcome.Statements; n > 0 { // the server does not say what each took
		r.outcome.StatementTimes = slices.Repeat([]time.Duration{time.Since(start) / time.Duration(n)}, n)
	}
	return nil
}

// script is a transaction as one batch. It is a Conn to the runner's writing
// parts: what they run is added to it.
type script struct {
	database.Conn // nil: nothing is asked
	steps         []database.Step
	wrong         []func(error) error // what the failure of a step means, by step
	last          int                 // the step that has to succeed before the next
	meaning       func(error) error   // of what is added now
}

func (s *script) Exec(_ context.Context, sql string, args ...any) (int64, error) {
	s.add(true, sql, args...)
	return 0, nil
}

// add adds a step that runs when the one before has succeeded. The failure of
// one that is not needed changes nothing.
func (s *script) add(needed bool, sql string, args ...any) int {
	step := database.Step{Statement: database.Statement{SQL: sql, Args: args}}
	if len(s.steps) > 0 {
		step.When = &database.Condition{OK: pointer(s.last)}
	}
	s.steps, s.wrong = append(s.steps, step), append(s.wrong, s.meaning)
	if needed {
		s.last = len(s.steps) - 1
	}
	return len(s.steps) - 1
}

func pointer(i int) *int { return &i }

// check adds a step that fails unless the condition holds, and what that means.
func (s *script) check(meaning error, condition string, args ...any) {
	s.mean(func(error) error { return meaning })
	s.add(true, "SELECT CASE WHEN "+condition+" THEN 1 ELSE json('no') END", args...) // json() of no JSON is an error
	s.mean(nil)
}

func (s *script) mean(meaning func(error) error) { s.meaning = meaning }

// failed is a step that failed, and what it means.
type failed struct {
	err     error
	meaning error
}

// failure returns the first step that was needed and failed, nil when the
// batch has committed.
func (s *script) failure(results []database.StepResult) *failed {
	commit := len(s.steps) - 2
	if result := results[commit]; result.Err == nil && !result.Skipped {
		return nil
	}
	for i, result := range results {
		if result.Err == nil || i < commit && s.steps[i+1].When.OK != nil && *s.steps[i+1].When.OK != i {
			continue // it succeeded, or was not needed
		}
		f := &failed{err: result.Err, meaning: result.Err}
		if s.wrong[i] != nil {
			f.meaning = s.wrong[i](result.Err)
		}
		return f
	}
	return &failed{err: database.ErrAway, meaning: fmt.Errorf("%w: the batch ended without a result", database.ErrAway)}
}

const (
	countGuard  = "guard "     // and the place of a guard: rows of a table before the plan
	violations  = "guard keys" // foreign keys that point nowhere, before the plan
	countedKeys = "SELECT count(*) FROM pragma_foreign_key_check"
)

// script writes the transaction down.
func (r *runner) script(ctx context.Context, now Reading) (*script, error) {
	if err := r.judgeStart(now); err != nil {
		return nil, err
	}
	end, err := r.deployment.Ends.of(ctx, now.Master, r.plan)
	if err != nil {
		return nil, err
	}
	s := &script{}
	onServer := *r
	onServer.conn = s
	s.add(true, "PRAGMA foreign_keys = OFF")
	s.mean(func(err error) error { return fmt.Errorf("begin: %w", err) })
	s.add(true, "BEGIN IMMEDIATE")
	s.check(errors.New("foreign keys stay on after switching them off"), "(SELECT foreign_keys FROM pragma_foreign_keys) = 0")
	if r.deployment.Guessed {
		s.expected(now, r.plan)
	} else {
		s.unchanged(now)
	}
	for _, check := range r.asked() {
		s.check(errRows, "NOT EXISTS (SELECT * FROM ("+check.SQL+"\n))")
	}
	if err := onServer.writes(ctx, s, now); err != nil {
		return nil, err
	}
	s.check(fmt.Errorf("%w: the schema would not be the one that the proof ended with, %.12s", ErrGuard, r.plan.To),
		"("+schema.TextQuery+") = ?", end)
	s.add(true, "DELETE FROM _reconciler_meta WHERE substr(key, 1, 6) = ?", countGuard)
	if err := onServer.journal(ctx); err != nil {
		return nil, err
	}
	s.mean(func(err error) error { return fmt.Errorf("commit: %w", err) })
	s.add(true, "COMMIT")
	s.steps = append(s.steps, database.Step{
		Statement: database.Statement{SQL: "ROLLBACK"}, When: &database.Condition{Not: &database.Condition{IsAutocommit: true}},
	})
	s.wrong = append(s.wrong, nil)
	return s, nil
}

// errRows is a pre-check that found rows; which ones is asked afterwards.
var errRows = errors.New("rows are in the way")

// unchanged checks that the database is as it was read.
func (s *script) unchanged(now Reading) {
	s.check(fmt.Errorf("%w: its schema is not %.12s any more, which the plan starts from", ErrStale, now.Master.Fingerprint()),
		"("+schema.TextQuery+") = ?", now.Master.Text())
	other := fmt.Errorf("%w: another deployment came first", ErrStale)
	if now.Record.Last == nil {
		s.check(other, "NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_reconciler_journal')")
		return
	}
	value := func(key string) string { return "(SELECT value FROM _reconciler_meta WHERE key = '" + key + "')" }
	owner := now.Record.Owner
	s.check(other, value("applied")+" IS ? AND (SELECT deployment FROM _reconciler_journal ORDER BY seq DESC LIMIT 1) IS ?",
		now.Record.Applied, now.Record.Last.Deployment)
	s.check(fmt.Errorf("%w: somebody has taken it over", ErrOwnedElsewhere),
		value("fleet")+" IS ? AND "+value("environment")+" IS ? AND "+value("tenant")+" IS ?", owner.Fleet, owner.Environment, owner.Tenant)
	s.check(ErrSuspended, "coalesce("+value(suspendedKey)+", '') = ''")
}

// writes adds what the plan writes, with the guards around it. A count before
// is kept in a row of our own until it is compared.
func (r *runner) writes(ctx context.Context, s *script, now Reading) error {
	if !now.Master.Reconciled {
		if err := createTables(ctx, r.conn); err != nil {
			return err
		}
	}
	const keep = "INSERT INTO _reconciler_meta (key, value) "
	for i, g := range r.plan.Guards {
		s.add(true, keep+"SELECT ?, count(*) FROM "+schema.Quote(g.Before), fmt.Sprint(countGuard, i))
	}
	statements := r.plan.Migration.Statements
	counted := -1
	if len(statements) > 0 {
		counted = s.add(false, keep+"SELECT ?, ("+countedKeys+")", violations) // fails where a foreign table refers to no key
	}
	for i, statement := range statements {
		s.mean(func(err error) error { return &StatementError{Index: i, SQL: statement.SQL, Err: err} })
		s.add(true, statement.SQL)
	}
	kept := "(SELECT CAST(value AS INTEGER) FROM _reconciler_meta WHERE key = ?)"
	for i, g := range r.plan.Guards {
		s.check(fmt.Errorf("%w: table %q would have another number of rows", ErrGuard, g.After),
			"(SELECT count(*) FROM "+schema.Quote(g.After)+") = "+kept, fmt.Sprint(countGuard, i))
	}
	s.mean(func(err error) error { return &StatementError{Index: -1, SQL: "registry", Err: err} })
	if err := r.register(ctx); err != nil {
		return err
	}
	s.mean(nil)
	if counted >= 0 {
		s.check(fmt.Errorf("%w: more foreign keys would point nowhere than before", ErrGuard),
			"NOT EXISTS (SELECT 1 FROM _reconciler_meta WHERE key = ?1) OR ("+countedKeys+") <= "+
				"(SELECT CAST(value AS INTEGER) FROM _reconciler_meta WHERE key = ?1)", violations)
	}
	return nil
}

// explain says why a batch did not commit. Which rows are in the way is asked
// now, as a deployment to a file does under its lock.
func (r *runner) explain(ctx context.Context, f *failed) error {
	if errors.Is(f.err, database.ErrBusy) || errors.Is(f.err, database.ErrAway) {
		return f.err // of any step: the lock was taken away, or the server has trouble
	}
	if !errors.Is(f.meaning, errRows) {
		return f.meaning
	}
	findings, err := ask(ctx, r.conn, r.asked())
	if err != nil {
		return err
	}
	if len(findings) == 0 {
		return fmt.Errorf("%w: rows were in the way, and are gone", ErrStale)
	}
	return &BlockedError{Findings: findings}
}

// onServer runs the plan as one batch and resolves a lost answer.
func (r *runner) onServer(ctx context.Context) (Outcome, error) {
	r.report(protocol.DeployValidating, protocol.DeployMigrating, protocol.DeployRegistering)
	err := r.runBatch(ctx)
	if r.answerLost(ctx, err) {
		err = nil
	}
	if err != nil {
		return Outcome{}, err
	}
	return r.outcome, nil
}

// answerLost tells that a deployment has committed on a server, though an error
// says otherwise. The connection may be of no use any more after it: another
// one over the same way looks.
func (r *runner) answerLost(ctx context.Context, err error) bool {
	if err == nil || !r.uncertain || !database.Remote(r.conn) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	if again, ok := r.conn.(interface{ Again() database.Conn }); ok {
		conn := again.Again()
		defer conn.Close()
		return committed(ctx, conn, r.deployment.ID)
	}
	return committed(ctx, r.conn, r.deployment.ID)
}

const lookTime = 5 * time.Second // for one row; the next pass looks again

// committed tells whether a deployment is in the journal whose answer was
// lost. That it is not there yet says nothing: the request may be on its way.
func committed(ctx context.Context, conn database.Conn, id string) bool {
	rows, err := conn.Query(ctx, "SELECT 1 FROM _reconciler_journal WHERE deployment = ?", id)
	return err == nil && len(rows.Values) == 1
}

// report tells the protocol's steps of a deployment that is one batch.
func (r *runner) report(statuses ...protocol.DeployStatus) {
	for _, status := range statuses {
		if r.deployment.OnStatus != nil {
			r.deployment.OnStatus(status)
		}
	}
}

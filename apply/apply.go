// Package apply is the only writer to a tenant's database. It runs a plan on
// one connection in one transaction: structure, seed data, registered metadata
// and the journal row commit together, or none of them does.
package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Deployment is one attempt to run a plan on one tenant.
type Deployment struct {
	ID             string // unique; chosen before the transaction, so that the journal tells whether it committed
	Owner          Owner
	Revision       string
	Author         string
	PreviousBundle string // bundle digest of the newest journal row, empty for the first
	At             time.Time
	// Adopt lets the first deployment into a database that has tables take
	// them over. Without it such a database gives ErrUnknownDatabase.
	Adopt bool
	// Undo are the journal rows that a rollback takes back, oldest first: rows
	// that their seed data wrote go with them where nobody has touched them.
	Undo   []Entry
	Apps   string // Apps as JSON that the tenant has afterwards; empty for none
	BackTo string // of a rollback: the deployment that it goes back to; "0" for none at all
	// Seen is what the plan was made for, as Read found it on this connection.
	// While nobody has committed since, it is not read again. May be nil.
	Seen *Reading
	// Guessed says that Seen was not read from this database: it is what state
	// says of it and what others of the same class were found to be. The
	// transaction checks all of it, and anything else gives ErrStale: look, and
	// try again. Run takes it for a Guessable plan that is one batch to a server.
	Guessed bool
	// Waives tells the pre-checks that are not asked, because the policy or
	// somebody allows what they ask for. Nil waives none.
	Waives func(plan.PreCheck) bool
	// Snapshot is the file to copy the database to before the first statement;
	// empty for none. Where the copy cannot be made nothing is run, and one
	// whose deployment fails is removed.
	Snapshot string
	// Unverified marks the deployment as one that is to be verified, see Verified.
	Unverified bool
	// Watch is asked inside the transaction: when it has begun, and before it
	// commits. An error of it undoes everything. May be nil.
	Watch Watch
	// Ends is what many deployments on servers share; nil for one alone.
	Ends *Ends
	// OnStatus is told each step of the protocol's deploy status. May be nil.
	OnStatus func(protocol.DeployStatus)
}

// Watch looks at a deployment from inside its transaction.
type Watch interface {
	Begin(ctx context.Context, conn database.Conn) error
	End(ctx context.Context, conn database.Conn) error
}

// Outcome is what a committed deployment did.
type Outcome struct {
	Statements     int              // of the migration
	StatementTimes []time.Duration  // one a statement, in order
	Seeded         int              // rows that seed data inserted or updated
	SeedIssues     []plan.SeedIssue // records left out, and warnings
}

// Run runs a sealed plan and commits, or changes nothing. The context is
// looked at between statements: until COMMIT a cancelled context rolls back.
//
// The connection must be outside a transaction. After an error it must be
// closed, not used again. It is closed already when everything was committed
// and enforcing foreign keys again failed. An error of COMMIT itself may hide
// that it succeeded: the journal knows. Errors to match: ErrStale,
// ErrOwnedElsewhere, ErrNewerJournal, ErrSnapshot, ErrRestless, *BlockedError,
// *SeedError, *StatementError and the sentinels of package database.
func Run(ctx context.Context, conn database.Conn, p *plan.Plan, d Deployment) (Outcome, error) {
	r := runner{conn: conn, plan: p, deployment: d}
	if r.deployment.Ends == nil {
		r.deployment.Ends = &Ends{}
	}
	if r.batched() {
		return r.onServer(ctx)
	}
	if d.Guessed {
		return Outcome{}, fmt.Errorf("%w: the database was not looked at", ErrStale)
	}
	if err := r.foreignKeys(ctx, false); err != nil {
		return Outcome{}, err
	}
	if err := r.begin(ctx); err != nil {
		return Outcome{}, err
	}
	err := r.commit(ctx)
	if r.answerLost(ctx, err) {
		return r.outcome, nil
	}
	if err != nil {
		if d.Snapshot != "" && !r.uncertain {
			err = errorsJoin(err, discard(d.Snapshot))
		}
		return Outcome{}, err
	}
	if err := r.foreignKeys(context.WithoutCancel(ctx), true); err != nil {
		_ = conn.Close() // the deployment is there all the same; nobody may write without enforcement
	}
	return r.outcome, nil
}

// commit runs the transaction that is open, and ends it.
func (r *runner) commit(ctx context.Context) error {
	if err := r.transaction(ctx); err != nil {
		if _, rollback := r.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK"); rollback != nil {
			return fmt.Errorf("%w (and rolling back: %w)", err, rollback)
		}
		return err
	}
	if err := ctx.Err(); err != nil {
		_, rollback := r.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		return errorsJoin(fmt.Errorf("before commit: %w", err), rollback)
	}
	if _, err := r.conn.Exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		_, rollback := r.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		r.uncertain = rollback != nil // there is nothing to roll back, or no answer
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// runner runs one plan.
type runner struct {
	conn       database.Conn
	plan       *plan.Plan
	deployment Deployment
	first      bool // the database has no journal yet
	uncertain  bool // COMMIT gave an error, which may hide that it succeeded
	outcome    Outcome
	violations int // of foreign keys, before the plan
	counts     []int64
	images     []image // of rows that seed data wrote
}

// foreignKeys switches enforcement and reads it back: a rebuild with it on
// deletes child rows, and inside a transaction the switch is silently ignored.
func (r *runner) foreignKeys(ctx context.Context, on bool) error {
	want, word := int64(0), "OFF"
	if on {
		want, word = 1, "ON"
	}
	if _, err := r.conn.Query(ctx, "PRAGMA foreign_keys = "+word); err != nil {
		return fmt.Errorf("switch foreign keys %s: %w", word, err)
	}
	rows, err := r.conn.Query(ctx, "PRAGMA foreign_keys")
	if err != nil {
		return fmt.Errorf("read foreign keys back: %w", err)
	}
	if len(rows.Values) != 1 || rows.Values[0][0] != want {
		return fmt.Errorf("foreign keys stay %v after switching them %s", rows.Values, word)
	}
	return nil
}

func (r *runner) transaction(ctx context.Context) error {
	steps := []struct {
		status protocol.DeployStatus
		run    func(context.Context) error
	}{
		{protocol.DeployValidating, r.verifyStart},
		{protocol.DeployValidating, r.preChecks},
		{protocol.DeployValidating, r.watchBegin},
		{protocol.DeployMigrating, r.settleFills},
		{protocol.DeployMigrating, r.undoSeeds},
		{protocol.DeployMigrating, r.migrate},
		{protocol.DeployMigrating, r.verifyCounts},
		{protocol.DeployRegistering, r.seed},
		{protocol.DeployRegistering, r.register},
		{protocol.DeployRegistering, r.verifyEnd},
		{protocol.DeployRegistering, r.journal},
		{protocol.DeployRegistering, r.watchEnd},
	}
	last := protocol.DeployStatus("")
	for _, step := range steps {
		if step.status != last && r.deployment.OnStatus != nil {
			r.deployment.OnStatus(step.status)
		}
		last = step.status
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// verifyStart makes sure that the database is still the one that was planned
// for, and remembers what must not change.
func (r *runner) verifyStart(ctx context.Context) error {
	now, err := r.read(ctx)
	if err == nil {
		err = r.judgeStart(now)
	}
	if err != nil {
		return err
	}
	if r.first = !now.Master.Reconciled; r.first {
		if err := createTables(ctx, r.conn); err != nil {
			return err
		}
	}
	if r.violations, err = r.foreignKeyViolations(ctx); err != nil {
		return err
	}
	for _, g := range r.plan.Guards {
		n, err := r.count(ctx, g.Before)
		if err != nil {
			return err
		}
		r.counts = append(r.counts, n)
	}
	return nil
}

// judgeStart holds a database against what the plan starts from.
func (r *runner) judgeStart(now Reading) error {
	master, record := now.Master, now.Record
	if master.Fingerprint() != r.plan.From {
		return fmt.Errorf("%w: its schema is %.12s, the plan starts from %.12s", ErrStale, master.Fingerprint(), r.plan.From)
	}
	if record.Applied != r.plan.FromApplied {
		return fmt.Errorf("%w: another deployment came first", ErrStale)
	}
	if !master.Reconciled {
		if !master.Empty() && !r.deployment.Adopt {
			return ErrUnknownDatabase
		}
	} else if err := record.Owner.check(r.deployment.Owner); err != nil {
		return err
	}
	if record.Suspended != "" {
		return fmt.Errorf("%w since %s", ErrSuspended, record.Suspended)
	}
	return nil
}

func (r *runner) watchBegin(ctx context.Context) error {
	if r.deployment.Watch == nil {
		return nil
	}
	return r.deployment.Watch.Begin(ctx, r.conn)
}

func (r *runner) watchEnd(ctx context.Context) error {
	if r.deployment.Watch == nil {
		return nil
	}
	return r.deployment.Watch.End(ctx, r.conn)
}

// read returns what the database is now, under the write lock.
func (r *runner) read(ctx context.Context) (Reading, error) {
	if seen := r.deployment.Seen; seen != nil {
		if current, err := seen.current(ctx, r.conn); err != nil || current {
			return *seen, err
		}
	}
	return Read(ctx, r.conn)
}

func (r *runner) preChecks(ctx context.Context) error {
	findings, err := ask(ctx, r.conn, r.asked())
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return &BlockedError{Findings: findings}
	}
	return nil
}

// asked are the pre-checks that count.
func (r *runner) asked() []plan.PreCheck {
	return slices.DeleteFunc(slices.Clone(r.plan.PreChecks), func(c plan.PreCheck) bool {
		return c.Advisory || r.deployment.Waives != nil && r.deployment.Waives(c)
	})
}

func (r *runner) migrate(ctx context.Context) error {
	for i, s := range r.plan.Migration.Statements {
		start := time.Now()
		if _, err := r.conn.Exec(ctx, s.SQL); err != nil {
			return &StatementError{Index: i, SQL: s.SQL, Err: err}
		}
		r.outcome.StatementTimes = append(r.outcome.StatementTimes, time.Since(start))
	}
	r.outcome.Statements = len(r.plan.Migration.Statements)
	return nil
}

func (r *runner) register(ctx context.Context) error {
	for _, sql := range r.plan.Registry {
		if _, err := r.conn.Exec(ctx, sql); err != nil {
			return &StatementError{Index: -1, SQL: sql, Err: err}
		}
	}
	return r.writeMeta(ctx)
}

// verifyCounts makes sure that no row of a rebuilt or renamed table is
// missing. Seed data comes after it: that may add rows.
func (r *runner) verifyCounts(ctx context.Context) error {
	for i, g := range r.plan.Guards {
		n, err := r.count(ctx, g.After)
		if err != nil {
			return err
		}
		if n != r.counts[i] {
			return fmt.Errorf("%w: table %q had %d rows and would have %d", ErrGuard, g.After, r.counts[i], n)
		}
	}
	return nil
}

// verifyEnd makes sure that the database is what the proof said it would be.
func (r *runner) verifyEnd(ctx context.Context) error {
	violations, err := r.foreignKeyViolations(ctx)
	if err != nil {
		return err
	}
	if violations > r.violations {
		return fmt.Errorf("%w: %d foreign keys would point nowhere, %d did before", ErrGuard, violations, r.violations)
	}
	master, err := schema.ReadMaster(ctx, r.conn)
	if err != nil {
		return err
	}
	if master.Fingerprint() != r.plan.To {
		return fmt.Errorf("%w: the schema would be %.12s, the proof ended with %.12s", ErrGuard, master.Fingerprint(), r.plan.To)
	}
	return nil
}

func (r *runner) count(ctx context.Context, table string) (int64, error) {
	rows, err := r.conn.Query(ctx, "SELECT count(*) FROM "+schema.Quote(table))
	if err != nil {
		return 0, fmt.Errorf("count rows of %q: %w", table, err)
	}
	n, _ := rows.Values[0][0].(int64)
	return n, nil
}

// foreignKeyViolations counts rows whose foreign key points nowhere. Our
// tables have none; where nobody's has one the answer costs nothing, and a
// plan without statements does not ask.
func (r *runner) foreignKeyViolations(ctx context.Context) (int, error) {
	if len(r.plan.Migration.Statements) == 0 {
		return 0, nil
	}
	rows, err := r.conn.Query(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		if strings.Contains(err.Error(), "foreign key mismatch") {
			return 0, nil // a foreign table refers to a key that does not exist: not ours to judge
		}
		return 0, fmt.Errorf("check foreign keys: %w", err)
	}
	return len(rows.Values), nil
}

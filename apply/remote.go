package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/memo"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// Ends remembers what plans lead to, so that a plan which many tenants run is
// tried out once. The zero value is empty. It may be shared.
type Ends struct {
	known memo.Map[found] // by from-fingerprint and plan digest
}

// found is an end, or why there is none.
type found struct {
	end end
	err error
}

// end is what is known of a plan and the schema that it starts from.
type end struct {
	text string // the schema afterwards
	keys bool   // there may be foreign keys: before, afterwards or meanwhile
	adds bool   // see onlyAdds
}

const maxEnds = 64 // plans that are run at the same time are few, and each text is that of a schema

// of is what is known of a plan and the schema that it starts from.
func (e *Ends) of(ctx context.Context, from schema.Master, p *plan.Plan) (end, error) {
	known := e.known.Of(from.Fingerprint()+" "+p.Digest, maxEnds, func() (found, bool) {
		end, err := find(ctx, from, p)
		return found{end, err}, err == nil
	})
	return known.end, known.err
}

// find runs the plan in a copy of the schema.
func find(ctx context.Context, from schema.Master, p *plan.Plan) (end, error) {
	after, err := rehearse(ctx, from, p)
	if err != nil {
		return end{}, err
	}
	if after.Fingerprint() != p.To {
		return end{}, fmt.Errorf("%w: the schema would be %.12s, the proof ended with %.12s", ErrGuard, after.Fingerprint(), p.To)
	}
	e := end{text: after.Text(), adds: onlyAdds(p)}
	e.keys = refers(from.Text(), e.text) || slices.ContainsFunc(p.Migration.Statements, func(m protocol.MigrationStatement) bool { return refers(m.SQL) })
	return e, nil
}

func rehearse(ctx context.Context, from schema.Master, p *plan.Plan) (schema.Master, error) {
	private, err := NewCopy(ctx, from)
	if err != nil {
		return schema.Master{}, err
	}
	defer private.Close()
	if err := createTables(ctx, private.conn); err != nil {
		return schema.Master{}, err
	}
	r := runner{conn: private.conn, plan: p}
	if err := r.migrate(ctx); err != nil {
		return schema.Master{}, err
	}
	return schema.ReadMaster(ctx, private.conn)
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
		return r.explain(ctx, s, failed)
	}
	r.outcome.Statements = len(r.plan.Migration.Statements)
	if n := r.outcome.Statements; n > 0 { // the server does not say what each took
		r.outcome.StatementTimes = slices.Repeat([]time.Duration{time.Since(start) / time.Duration(n)}, n)
	}
	return nil
}

// explain says why a batch did not commit. What exactly is in the way is asked
// now, as a deployment to a file does under its lock.
func (r *runner) explain(ctx context.Context, s *script, f *failed) error {
	switch {
	case errors.Is(f.err, database.ErrBusy), errors.Is(f.err, database.ErrAway):
		return f.err // of any step: the lock was taken away, or the server has trouble
	case errors.Is(f.meaning, errRows):
		return r.rowsInTheWay(ctx)
	case errors.Is(f.meaning, errStart), s.byEnd:
		if err := r.startedElsewhere(ctx); err != nil {
			return err
		}
	}
	if errors.Is(f.meaning, errStart) {
		return fmt.Errorf("%w: the database was not what it was seen to be", ErrStale)
	}
	return f.meaning
}

func (r *runner) rowsInTheWay(ctx context.Context) error {
	findings, err := ask(ctx, r.conn, r.asked())
	if err != nil {
		return err
	}
	if len(findings) == 0 {
		return fmt.Errorf("%w: rows were in the way, and are gone", ErrStale)
	}
	return &BlockedError{Findings: findings}
}

// startedElsewhere looks whether the database is what the plan starts from. A
// guess is only said to be wrong: whoever guessed looks himself.
func (r *runner) startedElsewhere(ctx context.Context) error {
	now, err := Read(ctx, r.conn)
	if err == nil {
		err = r.judgeStart(now)
	}
	if err != nil && r.deployment.Guessed && !errors.Is(err, database.ErrAway) {
		return fmt.Errorf("%w: the database is not what state says of it: %w", ErrStale, err)
	}
	return err
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

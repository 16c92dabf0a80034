package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// script is a transaction as one batch. It is a Conn to the runner's writing
// parts: what they run is added to it.
type script struct {
	database.Conn // nil: nothing is asked
	steps         []database.Step
	wrong         []func(error) error // what the failure of a step means, by step
	last          int                 // the step that has to succeed before the next
	meaning       func(error) error   // of what is added now
	// byEnd says that the schema which the plan starts from is checked by what
	// the schema is at the end.
	byEnd bool
}

func (s *script) Exec(_ context.Context, sql string, args ...any) (int64, error) {
	s.add(true, sql, args...)
	return 0, nil
}

// add adds a step that runs when the one before has succeeded. The failure of
// one that is not needed changes nothing.
func (s *script) add(needed bool, sql string, args ...any) int {
	step := database.Step{Statement: database.Statement{SQL: sql, Args: args}, Brief: true}
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

// What a check of the batch that fails means.
var (
	errStart = errors.New("the database is not what the plan starts from")
	errRows  = errors.New("rows are in the way")
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
	s := &script{byEnd: end.adds}
	onServer := *r
	onServer.conn, onServer.first = s, !now.Master.Reconciled
	if end.keys {
		s.add(true, "PRAGMA foreign_keys = OFF")
	}
	s.mean(func(err error) error { return fmt.Errorf("begin: %w", err) })
	s.add(true, "BEGIN IMMEDIATE")
	if end.keys {
		s.check(errors.New("foreign keys stay on after switching them off"), "(SELECT foreign_keys FROM pragma_foreign_keys) = 0")
	}
	s.start(now, r)
	for _, check := range r.asked() {
		s.check(errRows, "NOT EXISTS (SELECT * FROM ("+check.SQL+"\n))")
	}
	if err := onServer.writes(ctx, s, end.keys && !end.adds); err != nil {
		return nil, err
	}
	s.check(fmt.Errorf("%w: the schema would not be the one that the proof ended with, %.12s", ErrGuard, r.plan.To),
		"("+schema.TextQuery+") = ?", end.text)
	if err := onServer.journal(ctx); err != nil {
		return nil, err
	}
	s.mean(func(err error) error { return fmt.Errorf("commit: %w", err) })
	s.add(true, "COMMIT")
	s.steps = append(s.steps, database.Step{
		Statement: database.Statement{SQL: "ROLLBACK"}, When: &database.Condition{Not: &database.Condition{IsAutocommit: true}}, Brief: true,
	})
	s.wrong = append(s.wrong, nil)
	return s, nil
}

// refers tells that a schema, or a statement, may have a foreign key: none is
// written without this word. Without any, the engine has nothing to enforce
// and nothing to count.
func refers(texts ...string) bool {
	return strings.Contains(strings.ToUpper(strings.Join(texts, "\n")), "REFERENCES")
}

// onlyAdds tells that a plan takes nothing away: each statement puts a column,
// a table or an index where there is none, and fails where there is one. Then
// the schema at the end says what it was at the beginning, and no row of
// anybody has changed.
func onlyAdds(p *plan.Plan) bool {
	for _, statement := range p.Migration.Statements {
		tokens, err := database.Tokens(statement.SQL)
		if err != nil || !adds(tokens) {
			return false
		}
	}
	return len(p.Guards) == 0
}

// adds reads the first words of a statement.
func adds(tokens []database.Token) bool {
	tokens = slices.DeleteFunc(tokens, database.Token.Trivia)
	is := func(at int, word string) bool { return at < len(tokens) && tokens[at].Is(word) }
	none := func(word string) bool {
		return !slices.ContainsFunc(tokens, func(t database.Token) bool { return t.Is(word) })
	}
	switch {
	case is(0, "ALTER"):
		return is(1, "TABLE") && is(3, "ADD") && none("REFERENCES")
	case is(0, "CREATE") && (is(1, "INDEX") || is(1, "UNIQUE") || is(1, "TABLE")):
		return none("IF") && none("SELECT")
	}
	return false
}

// start checks that the database is as it was read, or guessed: its schema,
// who it belongs to, that it is not suspended, what is ours in it and by which
// deployment; of a guess the definitions too that the plan will change, and that
// no fill is under way. A database without a journal has its tables made, which
// fails where there is one.
func (s *script) start(now Reading, r *runner) {
	var all []string
	var args []any
	also := func(condition string, values ...any) {
		all, args = append(all, condition), append(args, values...)
	}
	if !s.byEnd {
		also("("+schema.TextQuery+") = ?", now.Master.Text())
	}
	if last := now.Record.Last; last != nil {
		owner := now.Record.Owner
		also("(SELECT deployment FROM _reconciler_journal ORDER BY seq DESC LIMIT 1) = ?", last.Deployment)
		also(`(SELECT sum(CASE key WHEN 'format' THEN value = ? WHEN 'fleet' THEN value = ? WHEN 'environment' THEN value = ?
 WHEN 'tenant' THEN value = ? WHEN 'applied' THEN value = ? WHEN '`+suspendedKey+`' THEN -(value <> '') END) FROM _reconciler_meta) = 5`,
			fmt.Sprint(Format), owner.Fleet, owner.Environment, owner.Tenant, now.Record.Applied)
	}
	if r.deployment.Guessed {
		also("NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_reconciler_fill')")
		for _, u := range r.plan.Undo {
			if u.Checksum == "" {
				continue // it was not there
			}
			also("EXISTS (SELECT 1 FROM "+schema.Quote(plan.RegistryTable)+" WHERE id = ? AND type = ? AND name = ? AND CAST(metadata AS TEXT) = ?)",
				plan.RowID(plan.RegistryTable, string(u.Type), u.Name), string(u.Type), u.Name, u.Body)
		}
	}
	if len(all) > 0 {
		s.check(errStart, strings.Join(all, " AND "), args...)
	}
}

// writes adds what the plan writes, with the guards around it. A count before
// is kept in a row of our own until it is compared.
func (r *runner) writes(ctx context.Context, s *script, keys bool) error {
	if r.first {
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
	if len(statements) > 0 && keys {
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
	if counted >= 0 || len(r.plan.Guards) > 0 {
		s.add(true, "DELETE FROM _reconciler_meta WHERE substr(key, 1, 6) = ?", countGuard)
	}
	return nil
}

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

// ours is the condition of a name that is a fill's.
func ours(name string) string {
	return fmt.Sprintf("substr(%s, 1, %d) = '%s'", name, len(schema.FillPrefix), schema.FillPrefix)
}

// Abandon takes away what fills have in the database, but for those to keep:
// nobody wants them any more. It looks for what is there, whatever a record
// says. Columns that applications use are not touched: they never were. A
// column that may not be stripped stays, for a fill that needs it again or a time
// in which it may: nobody sees it. It returns whether anything has gone.
func Abandon(ctx context.Context, conn database.Conn, keep []plan.Fill, strip Strips) (bool, error) {
	seen, err := schema.ReadMaster(ctx, conn)
	if err != nil || !seen.Filling {
		return false, err
	}
	var kept []string
	for _, f := range keep {
		for _, t := range f.Triggers() {
			kept = append(kept, t.Name)
		}
		for _, c := range f.Columns {
			kept = append(kept, f.Table+"."+c.Name)
		}
		kept = append(kept, f.ID())
	}
	done, err := drop(ctx, conn, func(name string) bool { return !slices.Contains(kept, name) }, strip, len(keep) == 0)
	if err != nil {
		return done, fmt.Errorf("take a fill away: %w", err)
	}
	return done, nil
}

// dropOne takes away one fill, to begin it anew. Its columns stay where they are
// in place: a row that has a value is filled where it is out of step.
func (w *filler) dropOne(ctx context.Context, f plan.Fill) error {
	names := []string{f.ID()}
	for _, t := range f.Triggers() {
		names = append(names, t.Name)
	}
	good, err := w.conn.Query(ctx, "SELECT "+strings.Join(inPlace(f), " AND "))
	if err != nil {
		return err
	}
	there, err := columnsOf(ctx, w.conn, f.Table)
	if err != nil {
		return err
	}
	if good.Values[0][0] != int64(1) && slices.ContainsFunc(f.Columns, func(c plan.FillColumn) bool { return slices.Contains(there, c.Name) }) {
		if !w.pace.Strip.may(f.Table) {
			return fmt.Errorf("%w: somebody has added a column to %q, after one that is being filled and that would take too long to drop: "+
				"drop theirs, or raise maxLock for a while", ErrGuard, f.Table)
		}
		for _, c := range f.Columns {
			names = append(names, f.Table+"."+c.Name)
		}
	}
	_, err = drop(ctx, w.conn, func(name string) bool { return slices.Contains(names, name) }, w.pace.Strip, false)
	return err
}

// columnsOf are the columns of fills that a table has.
func columnsOf(ctx context.Context, conn database.Conn, table string) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT name FROM pragma_table_info("+schema.QuoteText(table)+") WHERE "+ours("name"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, row := range rows.Values {
		names = append(names, str(row[0]))
	}
	return names, nil
}

// drop takes away the triggers, columns and records that gone names: a column
// with its table before a dot.
func drop(ctx context.Context, conn database.Conn, gone func(string) bool, strip Strips, all bool) (bool, error) {
	found, err := conn.Query(ctx, `SELECT 'trigger', name, '' FROM sqlite_master WHERE type = 'trigger' AND `+ours("name")+`
 UNION ALL SELECT 'column', c.name, m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND `+ours("c.name")+`
 UNION ALL SELECT 'table', name, '' FROM sqlite_master WHERE type = 'table' AND name IN ('_reconciler_fill', '_reconciler_stale') ORDER BY 1, 2`)
	if err != nil {
		return false, err
	}
	others, err := standAside(ctx, conn, "type IN ('trigger', 'view')")
	if err != nil {
		return false, err
	}
	b := begin()
	others.unchanged(b)
	var triggers, columns, records []string
	for _, row := range found.Values {
		name, table := str(row[1]), str(row[2])
		switch kind := str(row[0]); {
		case kind == "trigger" && gone(name):
			triggers = append(triggers, "DROP TRIGGER "+schema.Quote(name))
		case kind == "column" && gone(table+"."+name) && strip.may(table):
			columns = append(columns, fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", schema.Quote(table), schema.Quote(name)))
		case kind == "table" && all:
			records = append(records, "DROP TABLE "+name)
		case name == "_reconciler_fill":
			ids, err := conn.Query(ctx, "SELECT id FROM _reconciler_fill")
			if err != nil {
				return false, err
			}
			for _, id := range ids.Values {
				if gone(str(id[0])) {
					records = append(records, "DELETE FROM _reconciler_fill WHERE id = "+schema.QuoteText(str(id[0])))
				}
			}
		case name == "_reconciler_stale" && len(records) > 0: // comes after the other
			records = append(records, "DELETE FROM _reconciler_stale WHERE fill NOT IN (SELECT id FROM _reconciler_fill)")
		}
	}
	if len(triggers)+len(columns)+len(records) == 0 {
		return false, nil
	}
	add := func(statements []string) {
		for _, sql := range statements {
			b.add(sql)
		}
	}
	add(triggers)
	if len(columns) > 0 {
		others.around(b, func() { add(columns) })
	}
	add(records)
	_, err = b.run(ctx, conn)
	return err == nil, err
}

// aside are views and triggers of somebody else's that must not see what a
// transaction does, and are there again when it ends.
type aside struct {
	drop, put []string
	where     string
	seen      any // texts, as they were
}

// texts is their SQL as one value.
func (a aside) texts() string {
	return fmt.Sprintf("(SELECT json_group_array(sql) FROM (SELECT sql FROM sqlite_master WHERE %s AND NOT %s ORDER BY type, name))", a.where, ours("name"))
}

func standAside(ctx context.Context, conn database.Conn, where string) (aside, error) {
	a := aside{where: where}
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT type, name, sql, %s FROM sqlite_master WHERE %s AND NOT %s ORDER BY type, name",
		a.texts(), where, ours("name")))
	if err != nil {
		return a, fmt.Errorf("look for triggers: %w", err)
	}
	var views []string
	for _, row := range rows.Values {
		a.drop = append(a.drop, "DROP "+strings.ToUpper(str(row[0]))+" "+schema.Quote(str(row[1])))
		if str(row[0]) == "view" {
			views = append(views, str(row[2]))
		} else {
			a.put = append(a.put, str(row[2]))
		}
	}
	a.put = slices.Concat(views, a.put)
	a.seen = "[]"
	if len(rows.Values) > 0 {
		a.seen = rows.Values[0][3]
	}
	return a, nil
}

// triggersOf are those that a table has.
func triggersOf(ctx context.Context, conn database.Conn, table string) (aside, error) {
	return standAside(ctx, conn, "type = 'trigger' AND tbl_name = "+schema.QuoteText(table)+" COLLATE NOCASE")
}

// unchanged makes the batch fail where they are not what they were.
func (a aside) unchanged(b *batch) {
	b.require("SELECT "+a.texts()+" IS ?", fmt.Errorf("%w: somebody changed its views or triggers", ErrStale), a.seen)
}

func (a aside) around(b *batch, add func()) {
	for _, sql := range a.drop {
		b.add(sql)
	}
	add()
	for _, sql := range a.put {
		b.add(sql)
	}
}

// batch is one transaction that is sent as a whole: a statement runs when the
// one before has, and what fails undoes everything.
type batch struct {
	steps []database.Step
	means map[int]error // what it means that a step fails
}

func begin() *batch {
	return &batch{steps: []database.Step{{Statement: database.Statement{SQL: "BEGIN IMMEDIATE"}}}, means: map[int]error{}}
}

// add returns the index of the statement's result.
func (b *batch) add(sql string, args ...any) int {
	last := len(b.steps) - 1
	b.steps = append(b.steps, database.Step{Statement: database.Statement{SQL: sql, Args: args}, When: &database.Condition{OK: &last}})
	return len(b.steps) - 1
}

// require makes the batch fail with an error where a query does not give 1.
func (b *batch) require(query string, or error, args ...any) {
	b.means[b.add("SELECT CASE WHEN ("+query+") = 1 THEN 1 ELSE json('') END", args...)] = or
}

// run sends the batch, with statements that run after it was committed. Its
// error is that of the first statement that failed.
func (b *batch) run(ctx context.Context, conn database.Conn, after ...string) ([]database.StepResult, error) {
	committed := b.add("COMMIT")
	for _, sql := range after {
		b.add(sql)
	}
	first := 0
	// The end is what ends a transaction, so that a server needs no session.
	b.steps = append(b.steps, database.Step{
		Statement: database.Statement{SQL: "ROLLBACK"},
		When:      &database.Condition{And: []database.Condition{{OK: &first}, {Not: &database.Condition{OK: &committed}}}},
	})
	results, err := conn.Batch(ctx, b.steps)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if r.Err != nil {
			return nil, b.failure(i, r.Err)
		}
	}
	if results[committed].Skipped {
		return nil, errors.New("the transaction was not committed")
	}
	return results, nil
}

// failure is what it means that a step gave an error.
func (b *batch) failure(step int, err error) error {
	if means := b.means[step]; means != nil && strings.Contains(err.Error(), "JSON") {
		return means
	}
	return &StatementError{Index: -1, SQL: b.steps[step].SQL, Err: err}
}

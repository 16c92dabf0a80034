package apply_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// For random bundles and rows whose plan can go in stages: while an application
// writes what it likes between the batches, the staged way ends with the same
// schema and, cell by cell, the same values as one transaction after all those
// writes; going back afterwards is the same too. Where that is blocked so is
// this, and nothing that the application sees has changed.
func TestPropertyOfFills(t *testing.T) {
	pairs, seed := setting(t, "PROPERTY_PAIRS", 500), uint64(setting(t, "PROPERTY_SEED", 1))
	count := map[string]int{}
	for i := range pairs / 4 {
		outcome, err := checkFill(t, seed, uint64(i))
		if err != nil {
			t.Fatalf("PROPERTY_SEED=%d, pair %d: %v", seed, i, err)
		}
		count[outcome]++
	}
	t.Logf("%v", count)
	if count["filled"] < pairs/40 || count["blocked"] < pairs/200 {
		t.Errorf("too few of %d pairs say something: %v", pairs, count)
	}
}

func checkFill(t *testing.T, seed, i uint64) (string, error) {
	random := rand.New(rand.NewPCG(seed, i))
	a := fillObjects(random, nil)
	b := fillObjects(random, a)
	one, staged := &pairTenant{t: t}, &pairTenant{t: t}
	for _, x := range []*pairTenant{one, staged} {
		var err error
		if x.conn, err = libsql.OpenMemory(t.Context()); err != nil {
			return "", err
		}
		defer x.conn.Close()
		if _, err := x.deploy(a); err != nil {
			return "", fmt.Errorf("first bundle: %w", err)
		}
		w := writer{conn: x.conn, tables: desired(a), random: rand.New(rand.NewPCG(seed, i))}
		for range 40 {
			w.write(t)
		}
		if i%2 == 0 { // the second time round a column of an earlier type is there
			if _, err := x.deploy(b); err != nil {
				continue
			}
			w.tables = desired(b)
			for range 10 {
				w.write(t)
			}
		}
	}
	if i%2 == 0 {
		a, b = b, a
	}
	p, err := planFor(t.Context(), staged.conn, b, false, nil)
	if err != nil || p.Staged == nil {
		return "not staged", nil
	}
	for _, w := range p.Warnings {
		if w.Code == "not_staged" {
			return "", errors.New(w.Message)
		}
	}
	return compareWays(t, one, staged, p, a, b, random.Uint64())
}

// compareWays runs the plan both ways.
func compareWays(t *testing.T, one, staged *pairTenant, p *plan.Plan, a, b []schema.Object, seed uint64) (string, error) {
	const writes = 30
	between := writer{conn: staged.conn, tables: desired(a), random: rand.New(rand.NewPCG(seed, 1))}
	left := writes
	filled, err := fillWith(t, staged, p, func() {
		for range min(left, 3) {
			between.write(t)
			left--
		}
	})
	if err == nil && !filled.Complete {
		err = errors.New("the fill is not complete")
	}
	for ; left > 0; left-- {
		between.write(t)
	}
	if errors.Is(err, apply.ErrDamaged) { // what was in the way may have been corrected by now
		_, err = fillWith(t, staged, p, func() {})
	}
	if err == nil {
		_, err = apply.Run(t.Context(), staged.conn, p.Swap(), apply.Deployment{ID: "swap"})
	}
	after := writer{conn: one.conn, tables: desired(a), random: rand.New(rand.NewPCG(seed, 1))}
	for range writes {
		after.write(t)
	}
	_, oneErr := apply.Run(t.Context(), one.conn, p, apply.Deployment{ID: "one"})
	outcome, tables := "filled", b
	var blocked *apply.BlockedError
	switch {
	case errors.As(oneErr, &blocked) && (errors.Is(err, apply.ErrDamaged) || errors.As(err, &blocked)):
		outcome, tables = "blocked", a
		if err := one.revert(); err != nil {
			return "", err
		}
		if err := staged.revert(); err != nil {
			return "", err
		}
	case oneErr != nil && err != nil && fmt.Sprint(oneErr) == fmt.Sprint(err):
		return "refused", nil // by a constraint, both of them
	case oneErr != nil || err != nil:
		return "", fmt.Errorf("in stages: %w; at once: %w; plan %+v", err, oneErr, p.Staged)
	}
	when := "afterwards"
	if outcome == "blocked" {
		when = blockedNow
	}
	if err := errors.Join(sameRows(t, one, staged, tables, when), staged.is(tables)); err != nil {
		return "", err
	}
	if outcome == "blocked" {
		return outcome, nil
	}
	_, oneErr = one.deploy(a)
	if _, err := staged.deploy(a); fmt.Sprint(oneErr) != fmt.Sprint(err) {
		return "", fmt.Errorf("going back: in stages: %w; at once: %w", err, oneErr)
	}
	var differ error // none where rows block it, both ways
	if oneErr == nil {
		differ = sameRows(t, one, staged, a, "after going back")
	}
	return outcome, differ
}

const blockedNow = "what is blocked"

// fillWith fills row by row.
func fillWith(t *testing.T, x *pairTenant, p *plan.Plan, write func()) (apply.Filled, error) {
	return apply.Fill(t.Context(), x.conn, p.Staged.Fills, apply.Pace{Batch: 1, Rows: 1, OnBatch: func(apply.Filled) { write() }})
}

// revert is what becomes of a fill that nobody wants any more.
func (x *pairTenant) revert() error {
	if _, err := x.conn.Exec(x.t.Context(), "ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction") {
		return err
	}
	if _, err := apply.Abandon(x.t.Context(), x.conn, nil, nil); err != nil {
		return err
	}
	rows, err := x.conn.Query(x.t.Context(), "SELECT sql FROM sqlite_master WHERE sql LIKE '%reconciler_fill%' OR sql LIKE '%reconciler_stale%'")
	if err == nil && len(rows.Values) > 0 {
		err = fmt.Errorf("an abandoned fill leaves %v", rows.Values)
	}
	return err
}

// sameRows compares the tables of a bundle, and what is retired, in two
// databases, without columns whose default is the time.
func sameRows(t *testing.T, one, other *pairTenant, objects []schema.Object, when string) error {
	var queries []string
	for _, table := range desired(objects) {
		columns := "id, rowid"
		for _, c := range table.Columns[3:] {
			if c.Default == "" || schema.IsLiteral(c.Default) {
				columns += ", " + schema.Quote(c.Name) + ", typeof(" + schema.Quote(c.Name) + ")"
			}
		}
		if when == blockedNow {
			queries = append(queries, "SELECT "+columns+" FROM "+schema.Quote(table.Name)+" ORDER BY id")
			continue // a column of the new type that was retired before has been filled, which no application sees
		}
		live, err := one.conn.Query(t.Context(), "SELECT name FROM pragma_table_info("+schema.QuoteText(table.Name)+") WHERE name LIKE '\\_retired%' ESCAPE '\\' ORDER BY name")
		if err != nil {
			return err
		}
		for _, row := range live.Values {
			columns += ", " + schema.Quote(fmt.Sprint(row[0]))
		}
		queries = append(queries, "SELECT "+columns+" FROM "+schema.Quote(table.Name)+" ORDER BY id")
	}
	want, err := one.valuesAs(queries)
	got, otherErr := other.valuesAs(queries)
	return errors.Join(err, otherErr, differ(when, got, want))
}

func desired(objects []schema.Object) []schema.Table {
	tables, _ := schema.Desired(objects, schema.Options{})
	return tables
}

// fillObjects are bundles in which types change often.
func fillObjects(random *rand.Rand, from []schema.Object) []schema.Object {
	if from != nil {
		o := from[0]
		next := schema.Object{Object: o.Object, FieldRenames: map[string]string{}}
		next.Fields = map[string]protocol.Field{}
		for key, f := range o.Fields {
			next.Fields[key] = f
		}
		for i := range 4 {
			key := fmt.Sprint("f", i)
			if _, had := next.Fields[key]; random.IntN(2) == 0 {
				next.Fields[key] = randomField(random)
				if had && random.IntN(5) == 0 {
					next.Fields[key+"_renamed"] = next.Fields[key]
					next.FieldRenames[key+"_renamed"] = key
					delete(next.Fields, key)
				}
			}
		}
		if random.IntN(8) == 0 {
			next.Name, next.RenamedFrom = "moved", o.Name
		}
		return []schema.Object{withIndexes(random, next)}
	}
	o := schema.Object{Object: protocol.Object{Name: "thing", Fields: map[string]protocol.Field{}}}
	for i := range 1 + random.IntN(3) {
		o.Fields[fmt.Sprint("f", i)] = randomField(random)
	}
	return []schema.Object{withIndexes(random, o)}
}

// writer is an application: it inserts, updates, replaces, deletes and gives
// rows other keys, and is refused what constraints refuse.
type writer struct {
	conn   database.Conn
	tables []schema.Table
	random *rand.Rand
}

var writtenValues = []any{
	nil, int64(1), int64(7), 2.5, 3.0, "1", "7", "0012", "true", "False", "text", "2024-01-02", "", "1e3", "9007199254740993", int64(9007199254740993), "[\"a\"]",
}

func (w writer) write(t *testing.T) {
	table := w.tables[w.random.IntN(len(w.tables))]
	name, id := schema.Quote(table.Name), fmt.Sprint("r", w.random.IntN(12))
	clean := w.random.IntN(12) > 0
	value := func() any {
		if clean {
			return []any{"1", "7", "12"}[w.random.IntN(3)] // that every conversion understands
		}
		return writtenValues[w.random.IntN(len(writtenValues))]
	}
	columns, marks, args := "id, created_at", "?, ?", []any{id, "2001-01-01"}
	for _, c := range table.Columns[3:] {
		columns, marks, args = columns+", "+schema.Quote(c.Name), marks+", ?", append(args, value())
	}
	var sql string
	switch w.random.IntN(8) {
	case 0, 1:
		sql = "INSERT INTO " + name + " (" + columns + ") VALUES (" + marks + ")"
	case 2:
		sql = "INSERT OR REPLACE INTO " + name + " (" + columns + ") VALUES (" + marks + ")"
	case 3:
		sql, args = "DELETE FROM "+name+" WHERE id = ?", []any{id}
	case 4:
		sql, args = "UPDATE OR REPLACE "+name+" SET id = ? WHERE id = ?", []any{id, fmt.Sprint("r", w.random.IntN(12))}
	case 5:
		sql, args = "INSERT OR FAIL INTO "+name+" (id, created_at) VALUES (?, '2002-02-02')", []any{id}
	default:
		if len(table.Columns) == 3 {
			return
		}
		c := table.Columns[3+w.random.IntN(len(table.Columns)-3)]
		sql, args = "UPDATE OR IGNORE "+name+" SET "+schema.Quote(c.Name)+" = ? WHERE id = ?", []any{value(), id}
	}
	_, _ = w.conn.Exec(t.Context(), sql, args...)
}

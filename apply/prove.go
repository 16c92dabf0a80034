package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// Prove runs a plan, and its way back, in a copy of the schema that it starts
// from, with one row in each table. It sets the plan's To fingerprint and
// WayBack and seals it. The copy is of no use for anything else afterwards.
//
// A plan that fails, that does not lead to the schema it promises, or that
// would change or break something foreign gives an error matching ErrProof or
// a plan.ConflictError. A way back that cannot be proved is left out, and the
// plan is marked as not reversible.
func Prove(ctx context.Context, c *Copy, in plan.Input, p *plan.Plan) error {
	s := scratch{conn: c.conn, in: in, plan: p}
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("prove plan: %w", err)
	}
	before, err := s.contents(ctx)
	if err != nil {
		return fmt.Errorf("prove plan: %w", err)
	}
	after, tables, err := s.forward(ctx)
	if err != nil {
		return fmt.Errorf("prove plan: %w", err)
	}
	p.To = after.Fingerprint()
	values, err := s.values(ctx)
	if err != nil {
		return fmt.Errorf("prove plan: %w", err)
	}
	if len(p.Migration.Statements) > 0 {
		if err := s.back(ctx, after, tables, before); err != nil {
			p.WayBack, p.Migration.Reversible = nil, false
			p.Warnings = append(p.Warnings, plan.Warning{Code: "no_way_back", Message: err.Error()})
		}
	}
	if p.Staged != nil {
		if err := s.proveStaged(ctx, values); err != nil {
			p.Staged = nil
			p.Warnings = append(p.Warnings, plan.Warning{Code: "not_staged", Message: err.Error()})
		}
	}
	return p.Seal()
}

// scratch is the private database of one proof.
type scratch struct {
	conn database.Conn
	in   plan.Input
	plan *plan.Plan
}

// prepare puts one row into every table, because some statements pass on an
// empty table and fail on one with rows.
func (s scratch) prepare(ctx context.Context) error {
	if err := createTables(ctx, s.conn); err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, seedTable); err != nil {
		return err
	}
	for _, t := range s.in.Live {
		if err := s.fill(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// fill inserts one row. Its values are the digit 1, which every type and every
// conversion understands. A table whose constraints refuse that row stays
// empty: they are not ours.
func (s scratch) fill(ctx context.Context, t schema.Table) error {
	var columns, values []string
	for _, c := range t.Columns {
		if !c.Generated {
			columns, values = append(columns, schema.Quote(c.Name)), append(values, "'1'")
		}
	}
	_, err := s.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)",
		schema.Quote(t.Name), strings.Join(columns, ", "), strings.Join(values, ", ")))
	if err != nil && !errors.Is(err, database.ErrConstraint) {
		return nil // a foreign trigger that fails is not ours either; the plan itself decides
	}
	return nil
}

// forward runs the plan as a deployment would, and checks where it leads: to
// the schema and the tables that it returns.
func (s scratch) forward(ctx context.Context) (schema.Master, []schema.Table, error) {
	for _, check := range s.plan.PreChecks {
		if _, err := s.conn.Query(ctx, check.SQL); err != nil {
			return schema.Master{}, nil, fmt.Errorf("%w: pre-check %s: %w", ErrProof, check.Code, err)
		}
	}
	for i, statement := range s.plan.Migration.Statements {
		if _, err := s.conn.Exec(ctx, statement.SQL); err != nil {
			return schema.Master{}, nil, s.failed(&StatementError{Index: i, SQL: statement.SQL, Err: err})
		}
	}
	for _, sql := range s.plan.Registry {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return schema.Master{}, nil, fmt.Errorf("%w: %w", ErrProof, &StatementError{Index: -1, SQL: sql, Err: err})
		}
	}
	for _, seed := range s.plan.Seeds {
		if _, err := load(ctx, s.conn, seed); err != nil {
			return schema.Master{}, nil, fmt.Errorf("%w: seed %s record %d: %w", ErrProof, seed.Set, seed.Record+1, err)
		}
	}
	after, err := schema.ReadMaster(ctx, s.conn)
	if err != nil {
		return schema.Master{}, nil, err
	}
	if err := s.foreignKept(ctx, after); err != nil {
		return schema.Master{}, nil, err
	}
	tables, err := s.reached(ctx)
	return after, tables, err
}

// failed tells a plan that is wrong from one that something foreign stops.
func (s scratch) failed(err *StatementError) error {
	for _, word := range []string{"view", "trigger", "index"} {
		if name, found := strings.CutPrefix(err.Err.Error(), "error in "+word+" "); found {
			return foreignDependent(word, strings.Fields(name)[0], err.Error())
		}
	}
	return fmt.Errorf("%w: %w", ErrProof, err)
}

// foreignKept makes sure that every view and trigger is still there with the
// text it had, and that views which could be read can still be.
func (s scratch) foreignKept(ctx context.Context, after schema.Master) error {
	text := map[string]string{}
	for _, e := range after.Entries {
		text[e.Type+" "+e.Name] = e.SQL
	}
	for _, e := range s.in.Master.Entries {
		if e.Type != "view" && e.Type != "trigger" {
			continue
		}
		if text[e.Type+" "+e.Name] != e.SQL {
			return foreignDependent(e.Type, e.Name, "the plan would change its text")
		}
	}
	return s.viewsReadable(ctx)
}

func (s scratch) viewsReadable(ctx context.Context) error {
	views := s.in.Master.Of("view")
	if len(views) == 0 {
		return nil
	}
	original, err := NewCopy(ctx, s.in.Master)
	if err != nil {
		return err
	}
	defer original.Close()
	for _, v := range views {
		query := "SELECT * FROM " + schema.Quote(v.Name) + " LIMIT 0"
		if _, err := original.conn.Query(ctx, query); err != nil {
			continue // it was broken before
		}
		if _, err := s.conn.Query(ctx, query); err != nil {
			return foreignDependent("view", v.Name, err.Error())
		}
	}
	return nil
}

func foreignDependent(kind, name, why string) error {
	return plan.Conflict(reason.ForeignDependent, "", fmt.Sprintf("change or drop the %s by hand, or keep what it uses", kind),
		"%s %q is not ours and depends on what changes: %s", kind, name, why)
}

// reached makes sure that the tables are now what the bundle wants: comparing
// again finds nothing.
func (s scratch) reached(ctx context.Context) ([]schema.Table, error) {
	tables, err := schema.Inspect(ctx, s.conn, s.in.Live...)
	if err != nil {
		return nil, err
	}
	left, err := plan.Remaining(s.plan, s.in, tables)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%w: %s is still to be done afterwards", ErrProof, strings.Join(left, ", "))
	}
	return tables, nil
}

// back computes and runs the way back from where the plan led: it must lead to
// the structure that was there, and to every earlier value when the plan says that it is reversible.
func (s scratch) back(ctx context.Context, after schema.Master, tables []schema.Table, before map[string]string) error {
	statements, err := plan.WayBack(s.in, after, tables)
	if err != nil {
		return err
	}
	for i, sql := range statements {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("way back: %w", &StatementError{Index: i, SQL: sql, Err: err})
		}
	}
	if tables, err = schema.Inspect(ctx, s.conn, slices.Concat(tables, s.in.Live)...); err != nil {
		return err
	}
	if err := plan.SameManaged(s.in, tables); err != nil {
		return err
	}
	s.plan.WayBack = statements
	if !s.plan.Migration.Reversible {
		return nil
	}
	values, err := s.contents(ctx)
	if err != nil {
		return err
	}
	for table, rows := range before {
		if values[table] != rows {
			return fmt.Errorf("way back: table %q does not have its values again", table)
		}
	}
	return nil
}

// contents returns the rows of our tables as text, by table, under the names
// that they have before the plan and after the way back.
func (s scratch) contents(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, t := range plan.Before(s.in.Diff) {
		if t.Name == plan.RegistryTable {
			continue // the registry is not part of the way back
		}
		columns := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			columns[i] = schema.Quote(c.Name)
		}
		rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE id = '1' ORDER BY id",
			strings.Join(columns, ", "), schema.Quote(t.Name)))
		if err != nil {
			return nil, err
		}
		all[t.Name] = fmt.Sprint(rows.Values)
	}
	return all, nil
}

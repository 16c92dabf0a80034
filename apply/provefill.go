package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// proveStaged runs the staged way of the plan in a private copy of its own,
// with an application that writes while the fills are under way, and its way
// back. It must end with the values that the other way gave. It sets what the
// proof of Plan.Staged says.
func (s scratch) proveStaged(ctx context.Context, want map[string]string) error {
	original, err := NewCopy(ctx, s.in.Master)
	if err != nil {
		return err
	}
	defer original.Close()
	swap := s.plan.Swap()
	staged := scratch{conn: original.conn, in: s.in, plan: swap}
	if err := staged.prepare(ctx); err != nil {
		return err
	}
	before, err := staged.contents(ctx)
	if err != nil {
		return err
	}
	if err := staged.fillAll(ctx); err != nil {
		return err
	}
	r := runner{conn: staged.conn, plan: swap}
	if err := r.settleFills(ctx); err != nil {
		return err
	}
	after, tables, err := staged.forward(ctx)
	if err != nil {
		return err
	}
	if err := staged.same(ctx, want); err != nil {
		return err
	}
	if len(s.plan.WayBack) > 0 {
		if err := staged.back(ctx, after, tables, before); err != nil {
			return err
		}
	}
	s.plan.Staged.To, s.plan.Staged.WayBack = after.Fingerprint(), swap.WayBack
	return nil
}

// fillAll goes through the fills one row at a time, and writes between.
func (s scratch) fillAll(ctx context.Context) error {
	work := filler{conn: s.conn, rows: 1}
	for _, f := range s.plan.Fills {
		record, _, err := work.begin(ctx, f)
		if err == nil {
			record.others, err = triggersOf(ctx, s.conn, f.Table)
		}
		if err != nil {
			return err
		}
		s.interfere(ctx, f)
		for range 2 { // the row that was there, and the one that is there now
			if _, err := work.batch(ctx, f, &record); err != nil {
				return err
			}
			s.interfere(ctx, f)
		}
	}
	return nil
}

// interfere writes every watched value again, and puts a row in place of the
// one that is there. What somebody else's triggers refuse is not ours.
func (s scratch) interfere(ctx context.Context, f plan.Fill) {
	var sets []string
	for _, column := range f.Watch {
		sets = append(sets, fmt.Sprintf("%[1]s = %[1]s", schema.Quote(column)))
	}
	table := schema.Quote(f.Table)
	_, _ = s.conn.Exec(ctx, "UPDATE "+table+" SET "+strings.Join(sets, ", "))
	if _, err := s.conn.Exec(ctx, "DELETE FROM "+table); err != nil {
		return
	}
	for _, t := range s.in.Live {
		if t.Name == f.Table {
			_ = s.fill(ctx, t)
		}
	}
}

// values are the rows of the tables as the bundle wants them, by table, without
// columns that have another value each time.
func (s scratch) values(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	if s.plan.Staged == nil {
		return all, nil
	}
	for _, t := range s.in.Desired {
		var columns []string
		for _, c := range t.Columns {
			if c.Default == "" || schema.IsLiteral(c.Default) {
				columns = append(columns, schema.Quote(c.Name))
			}
		}
		rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE id = '1'", strings.Join(columns, ", "), schema.Quote(t.Name)))
		if err != nil {
			return nil, err
		}
		all[t.Name] = fmt.Sprint(rows.Values)
	}
	return all, nil
}

func (s scratch) same(ctx context.Context, want map[string]string) error {
	got, err := s.values(ctx)
	if err != nil {
		return err
	}
	for table, rows := range want {
		if got[table] != rows {
			return fmt.Errorf("%w: in stages table %q would not have the values that it has otherwise", ErrProof, table)
		}
	}
	return nil
}

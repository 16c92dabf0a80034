package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/schema"
)

// WayBack returns the statements that undo the structure of a plan, given the
// schema that it leads to. They are a plan of their own in the other
// direction, not the reverse of single statements: those do not compose (a
// rebuild has none).
func WayBack(in Input, after schema.Master, tables []schema.Table) ([]string, error) {
	before := make([]schema.Table, len(in.Diff.Managed))
	for i, t := range in.Diff.Managed {
		before[i] = t.Clone()
	}
	undoRenames(before, in.Diff.Changes)
	back, err := diff.Compute(diff.Live{Tables: tables, Owned: in.Diff.Owned}, diff.Desired{Tables: before})
	if err != nil {
		return nil, fmt.Errorf("plan the way back: %w", err)
	}
	p, err := Build(Input{Diff: back, Master: after, Live: tables})
	if err != nil {
		return nil, fmt.Errorf("plan the way back: %w", err)
	}
	statements := make([]string, len(p.Migration.Statements))
	for i, s := range p.Migration.Statements {
		statements[i] = s.SQL
	}
	return statements, nil
}

// undoRenames gives tables, which carry their new names, the old ones and
// declares where they come from.
func undoRenames(tables []schema.Table, changes []diff.Change) {
	for i := range tables {
		t := &tables[i]
		name := t.Name
		for _, c := range changes {
			if c.Table != name {
				continue
			}
			switch c.Op {
			case diff.RenameTable:
				t.RenamedFrom, t.Name = t.Object, c.Old
			case diff.RenameColumn:
				undoColumn(t, c.To.Name, c.Old)
			}
		}
	}
}

func undoColumn(t *schema.Table, name, before string) {
	for j := range t.Columns {
		if strings.EqualFold(t.Columns[j].Name, name) {
			t.Columns[j].RenamedFrom, t.Columns[j].Name = name, before
		}
	}
	for j := range t.Indexes {
		for k, column := range t.Indexes[j].Columns {
			if strings.EqualFold(column, name) {
				t.Indexes[j].Columns[k] = before
			}
		}
	}
}

// NamesBefore returns a function that gives a managed table's name and quoted
// column names as they were before the renames of a difference.
func NamesBefore(r diff.Result) func(schema.Table) (string, []string) {
	return func(t schema.Table) (string, []string) {
		one := []schema.Table{t.Clone()}
		undoRenames(one, r.Changes)
		columns := make([]string, len(one[0].Columns))
		for i, c := range one[0].Columns {
			columns[i] = schema.Quote(c.Name)
		}
		return one[0].Name, columns
	}
}

// Remaining describes what a plan leaves to be done in the tables that it
// leads to: nothing, when it is right.
func Remaining(p *Plan, in Input, tables []schema.Table) ([]string, error) {
	again, err := diff.Compute(diff.Live{Tables: tables, Owned: in.Diff.Owned}, diff.Desired{Tables: in.Desired})
	if err != nil {
		return nil, err
	}
	var left []string
	for _, c := range again.Changes {
		left = append(left, c.Describe())
	}
	if len(left) == 0 && again.Before != p.ToSchema {
		left = append(left, "a difference in structure that has no name")
	}
	return left, nil
}

// SameManaged compares our part of tables with what it was before the plan.
func SameManaged(in Input, tables []schema.Table) error {
	want := make([]schema.Table, 0, len(in.Diff.Managed))
	for _, t := range in.Diff.Managed {
		want = append(want, t.Clone())
	}
	undoRenames(want, in.Diff.Changes)
	var got []schema.Table
	for _, w := range want {
		for _, t := range tables {
			if !strings.EqualFold(t.Name, w.Name) {
				continue
			}
			part := t.Clone()
			part.Columns = slices.DeleteFunc(part.Columns, func(c schema.Column) bool { _, ok := w.Column(c.Name); return !ok })
			part.Indexes = slices.DeleteFunc(part.Indexes, func(i schema.Index) bool { _, ok := w.Index(i.Name); return !ok })
			got = append(got, part)
		}
	}
	if schema.Digest(got) != schema.Digest(want) {
		return errors.New("way back: the structure is not what it was")
	}
	return nil
}

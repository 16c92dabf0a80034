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
	before := Before(in.Diff)
	back, err := diff.Compute(diff.Live{Tables: tables, Owned: in.Diff.Owned, Retire: in.Retire}, diff.Desired{Tables: before})
	if err != nil {
		return nil, fmt.Errorf("plan the way back: %w", err)
	}
	p, err := build(Input{Diff: back, Master: after, Live: tables, Retire: in.Retire})
	if err != nil {
		return nil, fmt.Errorf("plan the way back: %w", err)
	}
	statements := make([]string, len(p.Migration.Statements))
	for i, s := range p.Migration.Statements {
		statements[i] = s.SQL
	}
	return statements, nil
}

// Before returns our part of the tables as it was before the changes of a
// difference: with the old names, of which each declares the new one as what
// it is renamed from, and without what the changes bring back.
func Before(r diff.Result) []schema.Table {
	var before []schema.Table
	for _, t := range r.Managed {
		t = t.Clone()
		if undoRenames(&t, r.Changes) {
			before = append(before, t)
		}
	}
	return before
}

// undoRenames gives a table its old names; false for one that was retired.
func undoRenames(t *schema.Table, changes []diff.Change) bool {
	name := t.Name
	for _, c := range changes {
		if c.Table != name {
			continue
		}
		switch c.Op {
		case diff.RestoreTable:
			return false
		case diff.RestoreColumn:
			t.Columns = slices.DeleteFunc(t.Columns, func(column schema.Column) bool { return column.Name == c.To.Name })
		case diff.RenameTable:
			t.RenamedFrom, t.Name = t.Object, c.Old
		case diff.RenameColumn:
			undoColumn(t, c.To.Name, c.Old)
		}
	}
	return true
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
	want := Before(in.Diff)
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

package diff

import (
	"fmt"

	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"

	"github.com/tenantops/reconciler/schema"
)

// atlasChanges lets Atlas compare two sets of tables and returns what it
// found as our changes. Both sides are made from our own inspection: Atlas's
// fails on seven kinds of tables that tenants have (measured, v0.38.0).
func atlasChanges(from, to []schema.Table) ([]Change, error) {
	from, to = differing(from, to)
	differences, err := sqlite.DefaultDiff.SchemaDiff(schema.Atlas(from), schema.Atlas(to))
	if err != nil {
		return nil, fmt.Errorf("compare tables: %w", err)
	}
	r := reader{from: byName(from), to: byName(to)}
	for _, d := range differences {
		if err := r.table(d); err != nil {
			return nil, err
		}
	}
	return r.changes, nil
}

// differing are the tables that the other side does not have just as they are:
// of 20 a commit changes one.
func differing(from, to []schema.Table) (before, after []schema.Table) {
	same := make(map[string]bool, len(to))
	wanted := byName(to)
	for _, t := range from {
		if w := wanted[t.Name]; w != nil && schema.SameAtlas(t, *w) {
			same[t.Name] = true
		} else {
			before = append(before, t)
		}
	}
	for _, t := range to {
		if !same[t.Name] {
			after = append(after, t)
		}
	}
	return before, after
}

// reader turns Atlas's changes into ours.
type reader struct {
	from, to map[string]*schema.Table
	changes  []Change
}

func (r *reader) table(d atlas.Change) error {
	switch d := d.(type) {
	case *atlas.AddTable:
		t := r.to[d.T.Name]
		r.changes = append(r.changes, Change{Op: AddTable, Table: t.Name, New: t})
		for i := range t.Indexes {
			r.changes = append(r.changes, Change{Op: AddIndex, Table: t.Name, Index: &t.Indexes[i]})
		}
	case *atlas.DropTable:
		r.changes = append(r.changes, Change{Op: DropTable, Table: d.T.Name, New: r.from[d.T.Name]})
	case *atlas.ModifyTable:
		for _, inner := range d.Changes {
			if err := r.inside(d.T.Name, inner); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("compare tables: unexpected difference %T", d)
	}
	return nil
}

func (r *reader) inside(table string, d atlas.Change) error {
	from, to := r.from[table], r.to[table]
	add := func(c Change) {
		c.Table = table
		r.changes = append(r.changes, c)
	}
	switch d := d.(type) {
	case *atlas.AddColumn:
		c, _ := to.Column(d.C.Name)
		add(Change{Op: AddColumn, To: c})
	case *atlas.DropColumn:
		c, _ := from.Column(d.C.Name)
		add(Change{Op: DropColumn, From: c})
	case *atlas.ModifyColumn:
		before, _ := from.Column(d.From.Name)
		after, _ := to.Column(d.To.Name)
		op := AlterColumn
		if schema.Affinity(before.Type) != schema.Affinity(after.Type) {
			op = RetypeColumn
		}
		add(Change{Op: op, From: before, To: after})
	case *atlas.AddIndex:
		i, _ := to.Index(d.I.Name)
		add(Change{Op: AddIndex, Index: i})
	case *atlas.DropIndex:
		i, _ := from.Index(d.I.Name)
		add(Change{Op: DropIndex, Index: i})
	case *atlas.ModifyIndex:
		before, _ := from.Index(d.From.Name)
		after, _ := to.Index(d.To.Name)
		add(Change{Op: DropIndex, Index: before})
		add(Change{Op: AddIndex, Index: after})
	case *atlas.ModifyPrimaryKey, *atlas.AddPrimaryKey, *atlas.DropPrimaryKey:
		// Reported as a conflict where the tables were paired.
	default:
		return fmt.Errorf("compare table %q: unexpected difference %T", table, d)
	}
	return nil
}

func byName(tables []schema.Table) map[string]*schema.Table {
	named := make(map[string]*schema.Table, len(tables))
	for i := range tables {
		named[tables[i].Name] = &tables[i]
	}
	return named
}

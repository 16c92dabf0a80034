package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
)

// copyPrefix names the new table of a rebuild until it takes the old one's
// name. The prefix is reserved, so no bundle and no runtime has such a table.
const copyPrefix = "_reconciler_new_"

// needsRebuild tells whether a column cannot be changed in place: its type
// changes, or its definition has a comma, at which libSQL's ALTER COLUMN cuts
// the old definition off and leaves the rest behind (measured on 3.45.1).
func (b *builder) needsRebuild(c diff.Change) bool {
	if c.Op == diff.RetypeColumn {
		return c.Kept == ""
	}
	live, ok := b.liveSQL(c.Table)
	if !ok || c.Op != diff.AlterColumn {
		return false
	}
	text, err := schema.ColumnText(live, b.liveColumn(c.Table, c.To.Name))
	return err == nil && strings.Contains(text, ",")
}

// rebuildIfNeeded rebuilds a table whose column cannot be changed in place: a
// new table made from the text of the old one, the rows copied with checked
// conversions, the old table dropped and the new one renamed
// (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema
// Changes"). Whatever else the text has, such as foreign columns, CHECKs,
// collations and foreign keys, stays. All such columns of a table share one
// rebuild.
func (b *builder) rebuildIfNeeded(c diff.Change) error {
	if b.rebuild[c.Table] || !b.needsRebuild(c) {
		return nil
	}
	b.current.Class = max(c.Class, diff.Rewrite)
	b.rebuild[c.Table] = true
	live, ok := b.liveSQL(c.Table)
	if !ok {
		return fmt.Errorf("plan %s: the table is not there", c.Describe())
	}
	if _, renamed := b.tables[strings.ToLower(c.Table)]; renamed || b.renamesColumn(c.Table) {
		return Conflict(reason.RenameAndRetype, c.Table, "rename in one commit and change the type in the next",
			"table %q is renamed, or a column of it, and a column changes its type in the same step", c.Table)
	}
	changes := b.rebuilt(c.Table)
	text := live
	for _, r := range changes {
		before, err := schema.ColumnText(live, r.From.Name)
		if err != nil {
			return fmt.Errorf("plan %s: %w", r.Describe(), err)
		}
		after, err := schema.EditColumn(before, *r.From, *r.To)
		if err != nil {
			return fmt.Errorf("plan %s: %w", r.Describe(), err)
		}
		if text, err = schema.ReplaceColumn(text, r.From.Name, after); err != nil {
			return fmt.Errorf("plan %s: %w", r.Describe(), err)
		}
		b.checkConversion(r)
	}
	text, err := schema.RenameTable(text, copyPrefix+c.Table)
	if err != nil {
		return fmt.Errorf("plan %s: %w", c.Describe(), err)
	}
	b.guard(c.Table)
	b.withoutDependents(func() { b.copyTable(c.Table, text, changes) })
	return nil
}

// copyTable adds the statements that put a table of the given text in the
// place of an old one.
func (b *builder) copyTable(table, text string, retyped []diff.Change) {
	old, fresh := schema.Quote(table), schema.Quote(copyPrefix+table)
	live := b.liveStructure(table)
	b.add(text, "")
	into, from := []string{}, []string{}
	if !live.WithoutRowID && !hasRowIDColumn(live) {
		into, from = append(into, "rowid"), append(from, "rowid") // others may have kept it
	}
	for _, column := range live.Columns {
		if column.Generated {
			continue
		}
		into = append(into, schema.Quote(column.Name))
		from = append(from, conversion(column, retyped))
	}
	b.add(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s",
		fresh, strings.Join(into, ", "), strings.Join(from, ", "), old), "")
	b.copies()
	if live.Sequence {
		b.add(fmt.Sprintf("DELETE FROM sqlite_sequence WHERE name = %s", schema.QuoteText(copyPrefix+table)), "")
		b.add(fmt.Sprintf("INSERT INTO sqlite_sequence (name, seq) SELECT %s, seq FROM sqlite_sequence WHERE name = %s",
			schema.QuoteText(copyPrefix+table), schema.QuoteText(table)), "")
	}
	b.add("DROP TABLE "+old, "")
	b.add(fmt.Sprintf("ALTER TABLE %s RENAME TO %s", fresh, old), "")
	for _, index := range b.in.Master.Of("index") {
		if strings.EqualFold(index.Table, table) && !b.drops(index.Name) {
			b.add(index.SQL, "")
		}
	}
}

// withoutDependents takes every view and trigger away for as long as add
// runs: the rename at the end of a rebuild fails while one mentions the table.
func (b *builder) withoutDependents(add func()) {
	views, triggers := b.in.Master.Of("view"), b.in.Master.Of("trigger")
	for _, t := range triggers {
		b.add("DROP TRIGGER "+schema.Quote(t.Name), "")
	}
	for _, v := range views {
		b.add("DROP VIEW "+schema.Quote(v.Name), "")
	}
	add()
	for _, e := range slices.Concat(views, triggers) {
		b.add(e.SQL, "")
	}
}

func (b *builder) liveStructure(table string) schema.Table {
	for _, t := range b.in.Live {
		if strings.EqualFold(t.Name, table) {
			return t
		}
	}
	return schema.Table{Name: table}
}

// rebuilt lists the changes that a table is rebuilt for.
func (b *builder) rebuilt(table string) []diff.Change {
	var changes []diff.Change
	for _, c := range b.in.Diff.Changes {
		if c.Table == table && b.needsRebuild(c) {
			changes = append(changes, c)
		}
	}
	return changes
}

func (b *builder) renamesColumn(table string) bool {
	return slices.ContainsFunc(b.in.Diff.Changes, func(c diff.Change) bool {
		return (c.Op == diff.RenameColumn || c.Op == diff.RestoreColumn) && c.Table == table
	})
}

func (b *builder) drops(index string) bool {
	return slices.ContainsFunc(b.in.Diff.Changes, func(c diff.Change) bool {
		return c.Op == diff.DropIndex && strings.EqualFold(c.Index.Name, index)
	})
}

func hasRowIDColumn(t schema.Table) bool {
	for _, name := range []string{"rowid", "oid", "_rowid_"} {
		if _, taken := t.Column(name); taken {
			return true
		}
	}
	return false
}

// conversion is the expression that carries a column's value over.
func conversion(column schema.Column, retyped []diff.Change) string {
	for _, r := range retyped {
		if strings.EqualFold(r.From.Name, column.Name) {
			value := converted(schema.Quote(column.Name), r.From.Type, r.To.Type)
			if r.To.NotNull && !r.From.NotNull && r.To.Default != "" {
				return fmt.Sprintf("coalesce(%s, %s)", value, schema.DefaultClause(r.To.Default))
			}
			return value
		}
	}
	return schema.Quote(column.Name)
}

// converted turns a value of one type into the other. Whole numbers become
// text without a fraction, and the words true and false become 1 and 0.
func converted(column, from, to string) string {
	switch target := schema.Affinity(to); {
	case target == schema.Affinity(from):
		return column
	case target == schema.Text:
		return fmt.Sprintf("CASE WHEN typeof(%[1]s) = 'real' AND %[1]s = CAST(%[1]s AS INTEGER) THEN CAST(CAST(%[1]s AS INTEGER) AS TEXT) ELSE CAST(%[1]s AS TEXT) END", column)
	case target == schema.Integer:
		return fmt.Sprintf("CASE lower(%[1]s) WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE CAST(%[1]s AS INTEGER) END", column)
	case target == schema.Real:
		return fmt.Sprintf("CAST(%s AS REAL)", column)
	}
	return column
}

// checkConversion asks for the rows whose value would not come back if the
// conversion were turned around: 007 is not the number 7.
func (b *builder) checkConversion(c diff.Change) {
	column := schema.Quote(c.From.Name)
	table := schema.Quote(b.liveTable(c.Table))
	damaged := ""
	switch target := schema.Affinity(c.To.Type); {
	case target == schema.Affinity(c.From.Type):
	case target == schema.Real:
		damaged = damagedValue(column, "CAST(CAST(%[1]s AS REAL) AS TEXT) NOT IN (%[1]s, %[1]s || '.0')", "CAST(%[1]s AS REAL) <> %[1]s")
	case target == schema.Integer:
		damaged = damagedValue(column, "lower(%[1]s) NOT IN ('true', 'false') AND CAST(CAST(%[1]s AS INTEGER) AS TEXT) <> %[1]s", "CAST(%[1]s AS INTEGER) <> %[1]s")
	case target == schema.Text:
		damaged = damagedValue(column, "0", "CAST(CAST(%[1]s AS TEXT) AS NUMERIC) <> %[1]s")
	}
	if damaged != "" {
		b.check(PreCheck{
			Code: "conversion_damages", Table: c.Table, Column: c.To.Name,
			SQL:     fmt.Sprintf("SELECT id FROM %s WHERE %s", table, damaged),
			Message: fmt.Sprintf("rows of %q have a value in %s that is not %s", c.Table, c.To.Name, strings.ToLower(c.To.Type)),
			Next:    "correct the values, or add a field of the new type beside the old one",
		})
	}
	if c.To.NotNull && !c.From.NotNull && c.To.Default == "" {
		b.checkNulls(c, column)
	}
}

// damagedValue is a condition on the values of a column: one for text, one for
// numbers; a blob is never converted.
func damagedValue(column, text, number string) string {
	return fmt.Sprintf("CASE typeof(%[1]s) WHEN 'null' THEN 0 WHEN 'blob' THEN 1 WHEN 'text' THEN "+text+" ELSE "+number+" END", column)
}

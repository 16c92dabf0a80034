package plan

import (
	"fmt"

	atlas "ariga.io/atlas/sql/schema"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/schema"
)

// retireTable takes a table out of the applications' sight in constant time
// and keeps its rows. Its indexes go, because their names would be taken when
// the object comes back.
func (b *builder) retireTable(c diff.Change) error {
	if err := b.withoutForeign(c); err != nil {
		return err
	}
	b.checkEmptyTable(c)
	for _, i := range c.New.Indexes {
		b.add("DROP INDEX "+schema.Quote(i.Name), i.SQL)
	}
	return b.atlas(&atlas.RenameTable{From: atlas.NewTable(c.Table), To: atlas.NewTable(c.Kept)})
}

// retireColumn does the same to a column: without NOT NULL, so that inserts
// which no longer know it work, and under another name.
func (b *builder) retireColumn(c diff.Change) error {
	b.checkEmptyColumn(c)
	return b.setAside(c)
}

// setAside gives a column its retired name and definition.
func (b *builder) setAside(c diff.Change) error {
	table := b.liveStructure(b.liveTable(c.Table))
	before := b.liveColumn(c.Table, c.From.Name)
	definition, err := schema.RetiredDefinition(table, before)
	if err != nil {
		return fmt.Errorf("plan %s: %w", c.Describe(), err)
	}
	if definition != "" {
		text, err := schema.ColumnText(table.SQL, before)
		if err != nil {
			return fmt.Errorf("plan %s: %w", c.Describe(), err)
		}
		b.alter(c.Table, c.From.Name, definition, text)
	}
	return b.renameTo(c.Table, c.From.Name, c.Kept)
}

func (b *builder) renameTo(table, from, to string) error {
	return b.atlas(&atlas.ModifyTable{T: atlas.NewTable(table), Changes: []atlas.Change{
		&atlas.RenameColumn{From: atlas.NewColumn(from), To: atlas.NewColumn(to)},
	}})
}

// retypeColumn keeps the old values under a retired name and fills the column
// of the new type from them. Where a column of that type was retired before,
// it comes back: a row whose value has not changed since has its old value
// again, and only the others are converted. A column that cannot be kept was
// converted in a rebuilt table.
func (b *builder) retypeColumn(c diff.Change) error {
	if c.Kept == "" {
		return nil
	}
	if b.staging != nil {
		if filled, err := b.fillRetyped(c); filled || err != nil {
			return err
		}
	}
	b.checkConversion(c)
	var err error
	b.withoutDependents(func() { err = b.convert(c) })
	b.guard(c.Table)
	return err
}

func (b *builder) convert(c diff.Change) error {
	if err := b.setAside(c); err != nil {
		return err
	}
	kept, column := schema.Quote(c.Kept), schema.Quote(c.To.Name)
	value, where := converted(kept, c.From.Type, c.To.Type), kept+" IS NOT NULL"
	now := schema.Column{Name: c.To.Name, Type: c.To.Type}
	if c.Former == nil {
		err := b.atlas(&atlas.ModifyTable{T: atlas.NewTable(c.Table), Changes: []atlas.Change{
			&atlas.AddColumn{C: schema.AtlasColumn(now)},
		}})
		if err != nil {
			return err
		}
	} else {
		if err := b.renameTo(c.Table, c.Former.Name, c.To.Name); err != nil {
			return err
		}
		table := b.liveStructure(b.liveTable(c.Table))
		if live, ok := table.Column(c.Former.Name); ok {
			now = *live
		}
		where = fmt.Sprintf("%s IS NOT %s", converted(column, c.To.Type, c.From.Type), kept)
	}
	if impliesValues(now, *c.To) { // every row is written
		value, where = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", where, value, column), "1"
	}
	b.add(fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", schema.Quote(c.Table), column, value, where), "")
	b.copies()
	if c.To.NotNull && c.To.Default != "" {
		b.add(fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s IS NULL", schema.Quote(c.Table), column, schema.DefaultClause(c.To.Default)), "")
		b.copies()
	}
	return b.settle(c, now)
}

// settle gives the converted column its definition, where that is not the one
// which it has.
func (b *builder) settle(c diff.Change, now schema.Column) error {
	if now.Form() == c.To.Form() {
		return nil
	}
	definition := c.To.Definition()
	if c.Former != nil {
		live, _ := b.liveSQL(c.Table)
		text, err := schema.ColumnText(live, c.Former.Name)
		if err != nil {
			return fmt.Errorf("plan %s: %w", c.Describe(), err)
		}
		if definition, err = schema.EditColumn(text, now, *c.To); err != nil {
			return fmt.Errorf("plan %s: %w", c.Describe(), err)
		}
	}
	b.alter(c.Table, c.To.Name, definition, "")
	return nil
}

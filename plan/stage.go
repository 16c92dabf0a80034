package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/schema"
)

// stage plans the staged way: the same plan, but that a column which it would
// add and fill is there and filled when it begins, and only takes its name. It
// is nil where no column can be filled before:
//
//   - of a table that is rebuilt: its rows are copied as a whole;
//   - that applications use, and that becomes NOT NULL: they would see values
//     which nobody has deployed yet;
//   - whose values nothing can be held against later, because a default that
//     they get is another one each time.
func stage(in Input) (*Staged, error) {
	fills := []Fill{}
	b := newBuilder(in)
	b.staging = &fills
	if err := b.build(); err != nil {
		return nil, err
	}
	if len(fills) == 0 {
		return nil, nil
	}
	return &Staged{Fills: fills, Statements: b.plan.Migration.Statements, Steps: b.plan.Steps, PreChecks: b.plan.PreChecks}, nil
}

// fillAdded leaves a new column that would have to be filled to a fill.
func (b *builder) fillAdded(c diff.Change) bool {
	to := *c.To
	if !to.NotNull || to.Default == "" || schema.IsLiteral(to.Default) {
		return false // nothing to fill
	}
	name := filled(to.Name, to.Type)
	column := FillColumn{
		Name: name, Type: to.Type, Stale: schema.Quote(name) + " IS NULL",
		Value: fmt.Sprintf("coalesce(%s, %s)", schema.Quote(name), schema.DefaultClause(to.Default)),
	}
	if !b.fill(c.Table, column, "") {
		return false
	}
	b.withoutDependents(func() {
		_ = b.renameTo(c.Table, name, to.Name) // Atlas plans any renaming
		b.alter(c.Table, to.Name, to.Definition(), "")
	})
	b.guard(c.Table)
	return true
}

// fillWritten leaves it to a fill to write every row of a column as it is: no
// application sees that.
func (b *builder) fillWritten(c diff.Change) bool {
	name := b.liveColumn(c.Table, c.To.Name)
	return b.fill(c.Table, FillColumn{Name: name, Value: schema.Quote(name), Stale: "0", Every: true}, "")
}

// fillRetyped leaves the conversion of a column to a fill. What is left of it
// changes names alone, so that it puts no row at stake.
func (b *builder) fillRetyped(c diff.Change) (bool, error) {
	if c.To.NotNull && c.To.Default != "" && !schema.IsLiteral(c.To.Default) {
		return false, nil
	}
	source := b.liveColumn(c.Table, c.From.Name)
	column := b.converting(c, schema.Quote(source))
	asked := len(b.plan.PreChecks)
	b.checkConversion(c)
	column.Damaged = b.damaged(b.plan.PreChecks[asked:])
	if !b.fill(c.Table, column, source) {
		b.plan.PreChecks = b.plan.PreChecks[:asked]
		return false, nil
	}
	b.plan.PreChecks = b.plan.PreChecks[:asked]
	b.current.Class = min(c.Class, diff.Rewrite)
	var err error
	b.withoutDependents(func() { err = b.swapIn(c, column) })
	b.guard(c.Table)
	return true, err
}

// converting is what convert does to the rows, as a fill: of a column that was
// retired before, only the rows whose value has changed since are converted.
func (b *builder) converting(c diff.Change, source string) FillColumn {
	column := FillColumn{Type: c.To.Type}
	if schema.IsLiteral(c.To.Default) {
		column.Type += " DEFAULT " + c.To.Default
	}
	column.Name = filled(c.To.Name, column.Type)
	if c.Former != nil {
		column.Name, column.Type = c.Former.Name, ""
		column.Every = impliesValues(schema.Column{Default: b.formerDefault(c)}, *c.To)
	}
	name := schema.Quote(column.Name)
	column.Value = converted(source, c.From.Type, c.To.Type)
	if c.Former != nil {
		column.Value = fmt.Sprintf("CASE WHEN %s IS NOT %s THEN %s ELSE %s END",
			converted(name, c.To.Type, c.From.Type), source, column.Value, name)
	}
	if c.To.NotNull && c.To.Default != "" {
		column.Value = fmt.Sprintf("coalesce(%s, %s)", column.Value, schema.DefaultClause(c.To.Default))
	}
	column.Stale = fmt.Sprintf("%s IS NOT (%s)", name, column.Value)
	return column
}

// filled is the name of a column while it is filled: another one for each form
// that it may have, so that one which is there has the form that it should.
func filled(column, form string) string {
	sum := sha256.Sum256([]byte(form))
	return schema.FillPrefix + hex.EncodeToString(sum[:3]) + "_" + column
}

// formerDefault is the default that a column has which comes back.
func (b *builder) formerDefault(c diff.Change) string {
	table := b.liveStructure(b.liveTable(c.Table))
	if live, ok := table.Column(c.Former.Name); ok {
		return live.Default
	}
	return ""
}

// damaged is the condition of rows that pre-checks of one column ask for.
func (b *builder) damaged(checks []PreCheck) string {
	var conditions []string
	for _, c := range checks {
		where, _ := strings.CutPrefix(c.SQL, fmt.Sprintf("SELECT id FROM %s WHERE ", schema.Quote(b.liveTable(c.Table))))
		conditions = append(conditions, "("+where+")")
	}
	return strings.Join(conditions, " OR ")
}

// swapIn gives the old column its retired name and the filled one that of the
// old.
func (b *builder) swapIn(c diff.Change, column FillColumn) error {
	if err := b.setAside(c); err != nil {
		return err
	}
	if err := b.renameTo(c.Table, column.Name, c.To.Name); err != nil {
		return err
	}
	now := schema.Column{Name: c.To.Name, Type: c.To.Type}
	if schema.IsLiteral(c.To.Default) {
		now.Default = c.To.Default
	}
	if c.Former != nil {
		table := b.liveStructure(b.liveTable(c.Table))
		if live, ok := table.Column(c.Former.Name); ok {
			now = *live
		}
	}
	return b.settle(c, now)
}

// fill adds a column to the fill of its table; false where the table cannot be
// gone through row by row.
func (b *builder) fill(table string, column FillColumn, source string) bool {
	live := b.liveStructure(b.liveTable(table))
	key, ok := keyOf(live)
	if !ok || b.rebuild[table] {
		return false
	}
	fills := *b.staging
	at := slices.IndexFunc(fills, func(f Fill) bool { return f.Table == live.Name })
	if at < 0 {
		at = len(fills)
		fills = append(fills, Fill{Table: live.Name, Key: key, Watch: slices.Clone(live.PrimaryKey)})
	}
	fills[at].Columns = append(fills[at].Columns, column)
	if source != "" && !slices.Contains(fills[at].Watch, source) {
		fills[at].Watch = append(fills[at].Watch, source)
	}
	*b.staging = fills
	return true
}

// keyOf is the column by which the rows of a table are gone through: in the
// order in which they are stored. A VACUUM numbers rows anew where a table has
// no index and no key of its own (sqlite.org/lang_vacuum.html).
func keyOf(t schema.Table) (string, bool) {
	switch {
	case len(t.PrimaryKey) == 0:
		return "", false
	case t.WithoutRowID:
		return t.PrimaryKey[0], len(t.PrimaryKey) == 1
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if _, taken := t.Column(name); !taken {
			return name, true
		}
	}
	return "", false
}

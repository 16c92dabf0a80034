package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"

	"github.com/tenantops/reconciler/diff"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// builder collects the statements of one plan.
type builder struct {
	in      Input
	plan    *Plan
	current diff.Change             // the change that statements are being added for
	tables  map[string]string       // table after renames → before, in lower case
	columns map[string]string       // "table.column" after renames → column before
	rebuild map[string]bool         // tables that are rebuilt
	targets map[string]schema.Table // tables as they will be, in lower case
	staging *[]Fill                 // fills of the staged way; nil while the other one is planned
}

func newBuilder(in Input) *builder {
	b := &builder{
		in: in,
		plan: &Plan{
			Migration: protocol.MigrationPlan{Statements: []protocol.MigrationStatement{}, Dialect: schema.Dialect, Reversible: true},
			Diff:      in.Diff.Diff, Foreign: in.Diff.Foreign, Seeds: in.Seeds.Seeds, SeedIssues: in.Seeds.Issues,
			From: in.Master.Fingerprint(), FromSchema: in.Diff.Before, ToSchema: in.Diff.After,
			Bundle: in.Bundle, Owned: in.Diff.Owned.JSON(),
			SeedDigests: in.Seeds.Digests, Registered: in.Registered, Policy: in.Policy, FromApplied: in.FromApplied,
		},
		tables: map[string]string{}, columns: map[string]string{},
		rebuild: map[string]bool{}, targets: map[string]schema.Table{},
	}
	b.plan.Applied = AppliedDigest(b.plan.Owned, b.plan.Registered, b.plan.SeedDigests)
	if len(in.Seeds.Seeds)+len(in.Seeds.Issues) > 0 {
		b.plan.SeedMode = in.SeedMode
	}
	for _, c := range in.Diff.Registry {
		if c.Before != nil && c.After != nil && c.Before.Checksum == c.After.Checksum && c.Before.Package == c.After.Package {
			continue // somebody's own change is put right: taking that back leaves what was registered
		}
		if c.Before == nil {
			b.plan.Undo = append(b.plan.Undo, Undo{Type: c.After.Type, Name: c.After.Name})
			continue
		}
		b.plan.Undo = append(b.plan.Undo, Undo{
			Type: c.Before.Type, Name: c.Before.Name, Package: c.Before.Package, Checksum: c.Before.Checksum, Body: c.Before.Body,
		})
	}
	for _, c := range in.Diff.Changes {
		if c.Kept != "" {
			b.plan.Retired = append(b.plan.Retired, c.Kept)
		}
	}
	for _, t := range in.Diff.Target {
		b.targets[strings.ToLower(t.Name)] = t
	}
	return b
}

func (b *builder) build() error {
	phases := []struct {
		ops []diff.Op
		run func(diff.Change) error
	}{
		{[]diff.Op{diff.RenameTable, diff.RestoreTable}, b.renameTable},
		{[]diff.Op{diff.RenameColumn}, b.renameColumn},
		{[]diff.Op{diff.DropIndex}, b.dropIndex},
		{[]diff.Op{diff.RetypeColumn, diff.AlterColumn}, b.rebuildIfNeeded},
		{[]diff.Op{diff.RetireColumn}, b.retireColumn},
		{[]diff.Op{diff.RestoreColumn}, b.renameColumn},
		{[]diff.Op{diff.RetypeColumn}, b.retypeColumn},
		{[]diff.Op{diff.AddTable}, b.addTable},
		{[]diff.Op{diff.AddColumn}, b.addColumn},
		{[]diff.Op{diff.AlterColumn}, b.alterColumn},
		{[]diff.Op{diff.DropColumn, diff.PurgeColumn}, b.dropColumn},
		{[]diff.Op{diff.RetireTable}, b.retireTable},
		{[]diff.Op{diff.DropTable, diff.PurgeTable}, b.dropTable},
		{[]diff.Op{diff.AddIndex}, b.addIndex},
	}
	for _, phase := range phases {
		for _, c := range b.in.Diff.Changes {
			if !slices.Contains(phase.ops, c.Op) {
				continue
			}
			b.current = c
			if err := phase.run(c); err != nil {
				return err
			}
		}
	}
	b.checkLimits()
	return nil
}

// add appends one statement for the current change. reverse is the one
// statement that undoes exactly this one, empty when there is none.
func (b *builder) add(sql, reverse string) {
	order := len(b.plan.Migration.Statements)
	b.plan.Migration.Statements = append(b.plan.Migration.Statements, protocol.MigrationStatement{
		SQL: sql, Reversible: reverse != "", RollbackSQL: reverse, Order: order,
	})
	b.plan.Steps = append(b.plan.Steps, Step{
		Change: b.current.Describe(), Class: b.current.Class, Table: b.current.Table,
	})
}

// copies marks the statement added last as one that touches every row.
func (b *builder) copies() { b.plan.Steps[len(b.plan.Steps)-1].Copies = true }

func (b *builder) check(c PreCheck) { b.plan.PreChecks = append(b.plan.PreChecks, c) }

// atlas adds the statements that Atlas plans for a change. Its pragmas are
// left out: they have no effect in a transaction, and the connection that
// runs the plan has set its own.
func (b *builder) atlas(changes ...atlas.Change) error {
	planned, err := sqlite.DefaultPlan.PlanChanges(context.Background(), "plan", changes)
	if err != nil {
		return fmt.Errorf("plan %s: %w", b.current.Describe(), err)
	}
	for _, c := range planned.Changes {
		if strings.HasPrefix(c.Cmd, "PRAGMA ") {
			continue
		}
		b.add(c.Cmd, reverseOf(c))
	}
	return nil
}

func reverseOf(c *migrate.Change) string {
	reverse, _ := c.Reverse.(string)
	return reverse
}

// liveTable and liveColumn name what is asked about before the plan has run.
func (b *builder) liveTable(table string) string {
	if before, ok := b.tables[strings.ToLower(table)]; ok {
		return before
	}
	return table
}

func (b *builder) liveColumn(table, column string) string {
	if before, ok := b.columns[strings.ToLower(table+"."+column)]; ok {
		return before
	}
	return column
}

func (b *builder) renameTable(c diff.Change) error {
	b.tables[strings.ToLower(c.Table)] = c.Old
	return b.atlas(&atlas.RenameTable{From: atlas.NewTable(c.Old), To: atlas.NewTable(c.Table)})
}

func (b *builder) renameColumn(c diff.Change) error {
	b.columns[strings.ToLower(c.Table+"."+c.To.Name)] = c.Old
	return b.atlas(&atlas.ModifyTable{T: atlas.NewTable(c.Table), Changes: []atlas.Change{
		&atlas.RenameColumn{From: atlas.NewColumn(c.Old), To: atlas.NewColumn(c.To.Name)},
	}})
}

func (b *builder) dropIndex(c diff.Change) error {
	b.add("DROP INDEX "+schema.Quote(c.Index.Name), c.Index.SQL)
	return nil
}

func (b *builder) addTable(c diff.Change) error {
	bare := c.New.Clone()
	bare.Indexes = nil
	return b.atlas(&atlas.AddTable{T: schema.AtlasTable(bare)})
}

func (b *builder) dropTable(c diff.Change) error {
	if err := b.withoutForeign(c); err != nil {
		return err
	}
	if live := b.liveStructure(c.Table); c.Op == diff.DropTable && len(live.Columns) > len(c.New.Columns) {
		return Conflict(reason.ForeignDependent, c.Table, "drop the columns by hand, or keep the object",
			"table %q has columns that are not ours", c.Table)
	}
	b.checkEmptyTable(c)
	b.plan.Migration.Reversible = false
	b.add("DROP TABLE "+schema.Quote(c.Table), "")
	return nil
}

// withoutForeign refuses to take away a table that has somebody else's
// trigger.
func (b *builder) withoutForeign(c diff.Change) error {
	for _, trigger := range b.in.Master.Of("trigger") {
		if strings.EqualFold(trigger.Table, c.Table) {
			return Conflict(reason.ForeignDependent, c.Table, "drop the trigger by hand, or keep the object",
				"table %q has a trigger %q that is not ours", c.Table, trigger.Name)
		}
	}
	return nil
}

// checkEmptyTable asks for rows, where the policy does not let them go.
func (b *builder) checkEmptyTable(c diff.Change) {
	if !b.in.KeepValues || c.Op == diff.PurgeTable {
		return
	}
	b.check(PreCheck{
		Code: tableNotEmpty, Table: c.Table,
		SQL:     fmt.Sprintf("SELECT id FROM %s", schema.Quote(c.Table)),
		Message: fmt.Sprintf("table %q holds rows, and its object is removed", c.Table),
		Next:    "keep the object, empty the table, or set policy.destructive in fleet.yaml to approve or allow",
	})
}

func (b *builder) addIndex(c diff.Change) error {
	if c.Index.Unique && !b.isNew(c.Table) {
		b.checkUnique(c)
	}
	target := b.targets[strings.ToLower(c.Table)]
	table := schema.AtlasTable(target)
	index, ok := table.Index(c.Index.Name)
	if !ok {
		return fmt.Errorf("plan %s: the table has no such index", c.Describe())
	}
	return b.atlas(&atlas.ModifyTable{T: table, Changes: []atlas.Change{&atlas.AddIndex{I: index}}})
}

func (b *builder) isNew(table string) bool {
	for _, c := range b.in.Diff.Changes {
		if c.Op == diff.AddTable && c.Table == table {
			return true
		}
	}
	return false
}

// checkUnique asks for the rows that a unique index would refuse. NULLs are
// never equal; a column that the plan adds has the same value in every row.
func (b *builder) checkUnique(c diff.Change) {
	var known []string
	for _, column := range c.Index.Columns {
		if added := b.addedColumn(c.Table, column); added == nil {
			known = append(known, schema.Quote(b.liveColumn(c.Table, column)))
		} else if !schema.IsLiteral(added.Default) && !added.NotNull {
			return // new and NULL in every row
		}
	}
	table := schema.Quote(b.liveTable(c.Table))
	sql := fmt.Sprintf("SELECT id FROM %s LIMIT -1 OFFSET 1", table)
	if len(known) > 0 {
		columns, where := strings.Join(known, ", "), strings.Join(known, " IS NOT NULL AND ")+" IS NOT NULL"
		if c.Index.Where != "" {
			where += " AND (" + c.Index.Where + ")"
		}
		sql = fmt.Sprintf("SELECT id FROM %[1]s WHERE %[3]s AND (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s GROUP BY %[2]s HAVING count(*) > 1)",
			table, columns, where)
	}
	b.check(PreCheck{
		Code: "duplicate_values", Table: c.Table, Column: strings.Join(c.Index.Columns, ","), SQL: sql,
		Message: fmt.Sprintf("rows of %q have the same value in %s, which becomes unique", c.Table, strings.Join(c.Index.Columns, ", ")),
		Next:    "make the values different, or take `unique` back",
	})
}

func (b *builder) addedColumn(table, column string) *schema.Column {
	for _, c := range b.in.Diff.Changes {
		if c.Op == diff.AddColumn && c.Table == table && strings.EqualFold(c.To.Name, column) {
			return c.To
		}
	}
	return nil
}

func (b *builder) guard(table string) {
	for _, g := range b.plan.Guards {
		if g.After == table {
			return
		}
	}
	b.plan.Guards = append(b.plan.Guards, Guard{Before: b.liveTable(table), After: table})
}

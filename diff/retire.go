package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
)

// restoreColumns gives retired columns their names back where a definition
// wants them again, so that the comparison afterwards finds them.
func (m *matcher) restoreColumns(have *schema.Table, owned *schema.OwnedTable, want schema.Table) {
	for _, c := range want.Columns {
		if _, there := have.Column(c.Name); there {
			continue
		}
		former, ok := owned.Former(c.Name, c.Type)
		if !ok && c.RenamedFrom != "" {
			former, ok = owned.Former(c.RenamedFrom, c.Type)
		}
		kept, live := have.Column(former.Name)
		if !ok || !live {
			continue
		}
		m.renames = append(m.renames, Change{Op: RestoreColumn, Table: want.Name, Old: kept.Name, To: ptr(c)})
		m.restore(want.Name, c.Name, former.Form)
		kept.Name = c.Name
		owned.Columns = append(slices.Clone(owned.Columns), c.Name)
		if former.Found {
			owned.Found = append(slices.Clone(owned.Found), c.Name)
		}
		owned.Retired = without(owned.Retired, former.Name)
	}
}

func (m *matcher) restore(table, column string, form schema.Form) {
	if m.restored == nil {
		m.restored = map[string]schema.Form{}
	}
	m.restored[key(table, column)] = form
}

// cameBack tells whether a column, or its whole table, was retired before.
func (m *matcher) cameBack(table, column string) bool {
	_, ok := m.restored[key(table, column)]
	return ok || slices.ContainsFunc(m.renames, func(c Change) bool { return c.Op == RestoreTable && c.Table == table })
}

// keepRetired carries the record of a retired table on, or ends it.
func (m *matcher) keepRetired(retired schema.RetiredTable, have schema.Table) {
	if m.due(have.Name) {
		m.purges = append(m.purges, Change{Op: PurgeTable, Table: have.Name, New: ptr(have)})
		return
	}
	kept := retired.Retired
	retired.Retired = nil
	for _, c := range kept {
		live, ok := have.Column(c.Name)
		switch {
		case ok && m.due(c.Name):
			m.purges = append(m.purges, Change{Op: PurgeColumn, Table: have.Name, From: live})
		case ok:
			retired.Retired = append(retired.Retired, c)
		}
	}
	m.result.Owned.Retired = append(m.result.Owned.Retired, retired)
}

func (m *matcher) due(name string) bool {
	return schema.ContainsFold(m.live.Due, name)
}

// retire turns what Atlas would drop into what is kept under another name, and
// keeps the old values of a column whose type changes.
func (m *matcher) retire(changes []Change) []Change {
	if !m.live.Retire {
		return changes
	}
	names := schema.NewRetirement(m.live.Tables)
	var all []Change
	for _, c := range changes {
		switch c.Op {
		case DropTable:
			all = append(all, m.retireTable(c, names.Name(c.Table)))
		case DropColumn:
			c.Op = RetireColumn
			m.retireColumn(&c, names)
			all = append(all, c)
		case RetypeColumn:
			all = append(all, m.retype(c, names, changes)...)
		default:
			all = append(all, c)
		}
	}
	return all
}

func (m *matcher) retireTable(c Change, kept string) Change {
	owned, _ := m.ours(c.Table)
	record := schema.RetiredTable{OwnedTable: owned, Was: owned.Name}
	record.Name, record.Indexes = kept, nil
	for _, i := range c.New.Indexes {
		record.Dropped = append(record.Dropped, i.SQL)
	}
	m.result.Owned.Retired = append(m.result.Owned.Retired, record)
	c.Op, c.Kept = RetireTable, kept
	return c
}

// retireColumn gives the change its retired name and records it. What cannot
// be retired is a conflict.
func (m *matcher) retireColumn(c *Change, names *schema.Retirement) {
	from := m.managed(c.Table)
	if _, err := schema.RetiredDefinition(from, m.nameBefore(c.Table, c.From.Name)); err != nil {
		m.result.Conflicts = append(m.result.Conflicts, Conflict{
			Reason: reason.ForeignDependent, Table: c.Table, Column: c.From.Name,
			Message: fmt.Sprintf("%s.%s cannot be retired: %v", c.Table, c.From.Name, err),
			Next:    "take the constraint away by hand, or make the field optional first and remove it in the next commit",
		})
		return
	}
	c.Kept = names.Name(c.From.Name)
	at := slices.IndexFunc(m.result.Owned.Tables, func(t schema.OwnedTable) bool { return t.Name == c.Table })
	table := &m.result.Owned.Tables[at]
	before, _ := m.ours(m.tableBefore(c.Table))
	record := schema.RetiredColumn{
		Name: c.Kept, Column: c.From.Name, Form: c.From.Form(),
		Found: schema.ContainsFold(before.Found, m.nameBefore(c.Table, c.From.Name)),
	}
	for _, i := range from.Indexes {
		if slices.ContainsFunc(i.Columns, func(column string) bool { return strings.EqualFold(column, c.From.Name) }) {
			record.Indexes = append(record.Indexes, i.SQL)
		}
	}
	table.Retired = append(slices.Clone(table.Retired), record)
}

// retype keeps the old column beside the new one, and brings an earlier one of
// the new type back. A column that cannot be retired is converted in a rebuilt
// table instead. Indexes on it follow the name and are made again.
func (m *matcher) retype(c Change, names *schema.Retirement, others []Change) []Change {
	from := m.managed(c.Table)
	_, err := schema.RetiredDefinition(from, m.nameBefore(c.Table, c.From.Name))
	if err != nil || m.foreignIndex(c.Table, c.From.Name) {
		return []Change{c}
	}
	at := slices.IndexFunc(m.result.Owned.Tables, func(t schema.OwnedTable) bool { return t.Name == c.Table })
	if former, ok := m.result.Owned.Tables[at].Former(c.To.Name, c.To.Type); ok {
		c.Former = &former
		m.result.Owned.Tables[at].Retired = without(m.result.Owned.Tables[at].Retired, former.Name)
	}
	m.retireColumn(&c, names)
	all := []Change{c}
	for i := range from.Indexes {
		index := &from.Indexes[i]
		dropped := slices.ContainsFunc(others, func(o Change) bool { return o.Op == DropIndex && o.Index.Name == index.Name })
		if mentions(*index, c.From.Name) && !dropped {
			all = append(all, Change{Op: DropIndex, Table: c.Table, Index: index}, Change{Op: AddIndex, Table: c.Table, Index: index})
		}
	}
	return all
}

// managed is our part of a live table, under the name that it will have.
func (m *matcher) managed(table string) schema.Table {
	at := slices.IndexFunc(m.result.Managed, func(t schema.Table) bool { return t.Name == table })
	return m.result.Managed[at]
}

// nameBefore is the name of a column before the renames of this comparison.
func (m *matcher) nameBefore(table, column string) string {
	for _, r := range m.renames {
		if r.Table == table && (r.Op == RenameColumn || r.Op == RestoreColumn) && r.To.Name == column {
			return r.Old
		}
	}
	return column
}

// tableBefore is the name of a table before the renames of this comparison.
func (m *matcher) tableBefore(table string) string {
	for _, r := range m.renames {
		if r.Table == table && (r.Op == RenameTable || r.Op == RestoreTable) {
			return r.Old
		}
	}
	return table
}

// foreignIndex tells whether somebody else has an index on a column.
func (m *matcher) foreignIndex(table, column string) bool {
	ours := m.managed(table)
	live, _ := m.liveTable(m.tableBefore(table))
	return slices.ContainsFunc(live.Indexes, func(i schema.Index) bool {
		_, known := ours.Index(i.Name)
		return !known && mentions(i, m.nameBefore(table, column))
	})
}

// mentions tells whether an index depends on a column. One over an expression,
// or with a condition, might.
func mentions(i schema.Index, column string) bool {
	return i.Where != "" || slices.ContainsFunc(i.Columns, func(c string) bool {
		return c == "(expr)" || strings.EqualFold(c, column)
	})
}

func without(columns []schema.RetiredColumn, name string) []schema.RetiredColumn {
	return slices.DeleteFunc(slices.Clone(columns), func(c schema.RetiredColumn) bool { return c.Name == name })
}

// inOrderOf sorts some columns in the order in which all were retired.
func inOrderOf(all, some []schema.RetiredColumn) {
	place := func(c schema.RetiredColumn) int {
		return slices.IndexFunc(all, func(o schema.RetiredColumn) bool { return o.Name == c.Name })
	}
	slices.SortFunc(some, func(a, b schema.RetiredColumn) int { return place(a) - place(b) })
}

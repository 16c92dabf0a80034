package diff

import (
	"slices"
	"strings"

	"github.com/tenantops/reconciler/schema"
)

// classify gives each change its class, and turns a change of something that
// is not ours into a conflict: what was there before us is only added to.
func (m *matcher) classify() {
	added := map[string]bool{}
	for _, c := range m.result.Changes {
		switch c.Op {
		case AddTable:
			added[strings.ToLower(c.Table)] = true
		case AddColumn:
			added[key(c.Table, c.To.Name)] = c.To.Default == ""
		}
	}
	for i := range m.result.Changes {
		c := &m.result.Changes[i]
		c.Class = m.classOf(*c, added)
		if m.adopted[strings.ToLower(c.Table)] && c.Class != Additive && c.Op != AddIndex {
			m.conflict(c.Table, columnOf(*c), "would need a change that is not additive: %s", c.Describe())
		}
	}
}

// classOf is the class of a change. What a retired column or table had before
// may come back with it without asking: its pre-checks still hold it up where
// rows that came meanwhile do not fit.
func (m *matcher) classOf(c Change, added map[string]bool) Class {
	switch {
	case c.Op == AlterColumn && m.cameBack(c.Table, c.To.Name) && m.restored[key(c.Table, c.To.Name)] == c.To.Form():
		return Additive
	case c.Op == AddIndex && slices.ContainsFunc(c.Index.Columns, func(name string) bool { return m.cameBack(c.Table, name) }):
		return Additive
	}
	return classOf(c, added)
}

func classOf(c Change, added map[string]bool) Class {
	switch c.Op {
	case RenameTable, RenameColumn:
		return Rewrite
	case DropTable, DropColumn, RetireTable, RetireColumn, PurgeTable, PurgeColumn:
		return Destructive
	case RestoreTable, RestoreColumn:
		return Additive
	case RetypeColumn:
		if losslessRetype(c.From.Type, c.To.Type) && (c.From.NotNull || !c.To.NotNull) {
			return Rewrite
		}
		return Narrowing
	case AlterColumn:
		if c.To.NotNull && !c.From.NotNull {
			return Narrowing
		}
		return Widening
	case DropIndex:
		return Widening
	case AddColumn:
		if c.To.NotNull && c.To.Default == "" {
			return Narrowing // rows that are there have no value for it
		}
	case AddIndex:
		if c.Index.Unique && !added[strings.ToLower(c.Table)] && !allAdded(c, added) {
			return Narrowing
		}
	}
	return Additive
}

// allAdded tells whether every column of a new index is new as well: such a
// column holds no two equal values that an index could refuse, unless it has
// a default that fills every row.
func allAdded(c Change, added map[string]bool) bool {
	for _, column := range c.Index.Columns {
		if !added[key(c.Table, column)] {
			return false
		}
	}
	return true
}

// losslessRetype tells whether every value of the old type has one of the new
// type that can be turned back.
func losslessRetype(from, to string) bool {
	return schema.Affinity(to) == schema.Text || schema.Affinity(from) == schema.Integer && schema.Affinity(to) == schema.Real
}

func key(table, column string) string { return strings.ToLower(table + "." + column) }

func columnOf(c Change) string {
	switch {
	case c.To != nil:
		return c.To.Name
	case c.From != nil:
		return c.From.Name
	}
	return ""
}

// Describe says the change in a few words: "drop column crm.fax".
func (c Change) Describe() string {
	words := strings.ReplaceAll(string(c.Op), "_", " ") + " " + c.Table
	switch {
	case c.Index != nil:
		return strings.ReplaceAll(string(c.Op), "_", " ") + " " + c.Index.Name + " on " + c.Table
	case c.Op == RenameTable, c.Op == RestoreTable:
		return words + " from " + c.Old
	case c.Op == RenameColumn, c.Op == RestoreColumn:
		return words + "." + c.To.Name + " from " + c.Old
	case c.Op == RetypeColumn || c.Op == AlterColumn:
		return words + "." + c.To.Name + " from " + c.From.Definition() + " to " + c.To.Definition()
	case columnOf(c) != "":
		return words + "." + columnOf(c)
	}
	return words
}

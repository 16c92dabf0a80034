package diff

import (
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
		c.Class = classOf(*c, added)
		if m.adopted[strings.ToLower(c.Table)] && c.Class != Additive && c.Op != AddIndex {
			m.conflict(c.Table, columnOf(*c), "would need a change that is not additive: %s", c.Describe())
		}
	}
}

func classOf(c Change, added map[string]bool) Class {
	switch c.Op {
	case RenameTable, RenameColumn:
		return Rewrite
	case DropTable, DropColumn:
		return Destructive
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
	case c.Op == RenameTable:
		return words + " from " + c.Old
	case c.Op == RenameColumn:
		return words + "." + c.To.Name + " from " + c.Old
	case c.Op == RetypeColumn || c.Op == AlterColumn:
		return words + "." + c.To.Name + " from " + c.From.Definition() + " to " + c.To.Definition()
	case columnOf(c) != "":
		return words + "." + columnOf(c)
	}
	return words
}

package schema

import (
	"slices"
	"strings"
)

// FillPrefix begins the names of the columns and triggers that a fill has in
// somebody's table while it is under way (see plan.Fill). They are ours for a
// while and no part of the schema: whoever reads it sees the table as it was.
const FillPrefix = "_reconciler_fill_"

// isFill tells that a name is one of a fill's.
func isFill(name string) bool {
	return len(name) > len(FillPrefix) && strings.EqualFold(name[:len(FillPrefix)], FillPrefix)
}

// withoutFills returns the text of a table without the columns of a fill, to
// the byte what it was before ADD COLUMN wrote ", " and the definition into it.
func withoutFills(sql string) (string, bool) {
	if !strings.Contains(sql, FillPrefix) {
		return sql, false
	}
	table, err := parseTable(sql)
	if err != nil {
		return sql, false // somebody else's, of a form that we do not write
	}
	found := false
	for _, item := range slices.Backward(table.items) {
		if len(item) == 0 {
			continue
		}
		name, ok := item[0].Name()
		before := item[0].Start - len(", ")
		if !ok || !isFill(name) || before < 0 || sql[before:item[0].Start] != ", " {
			continue
		}
		sql, found = sql[:before]+sql[item[len(item)-1].End():], true
	}
	return sql, found
}

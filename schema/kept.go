package schema

import (
	"slices"
	"strings"
)

// KeptTable is a table whose app was uninstalled. It has its own name and all
// its rows, belongs to nobody, and is changed by nothing, until an object wants
// it again: its record is the one that it had.
type KeptTable struct {
	OwnedTable
	App string `json:"app"` // that it came with
}

// KeptTable returns the record of a table that an app left, in any case.
func (o Owned) KeptTable(name string) (KeptTable, bool) {
	return o.kept(func(t KeptTable) bool { return strings.EqualFold(t.Name, name) })
}

// KeptOf returns the record of the table that an object of a name left.
func (o Owned) KeptOf(object string) (KeptTable, bool) {
	return o.kept(func(t KeptTable) bool { return t.Object == object })
}

func (o Owned) kept(is func(KeptTable) bool) (KeptTable, bool) {
	at := slices.IndexFunc(o.Kept, is)
	if at < 0 {
		return KeptTable{}, false
	}
	return o.Kept[at], true
}

package diff

import (
	"slices"
	"strings"
)

// compareDefinitions pairs two registries by type and name, in that order.
func compareDefinitions(before, after []Definition) []DefinitionChange {
	type key struct{ kind, name string }
	var keys []key
	old, wanted := map[key]*Definition{}, map[key]*Definition{}
	for i := range before {
		k := key{string(before[i].Type), before[i].Name}
		keys, old[k] = append(keys, k), &before[i]
	}
	for i := range after {
		k := key{string(after[i].Type), after[i].Name}
		if old[k] == nil {
			keys = append(keys, k)
		}
		wanted[k] = &after[i]
	}
	slices.SortFunc(keys, func(a, b key) int {
		return strings.Compare(a.kind+"\x00"+a.name, b.kind+"\x00"+b.name)
	})
	var changes []DefinitionChange
	for _, k := range keys {
		b, a := old[k], wanted[k]
		if b != nil && a != nil && b.Checksum == a.Checksum && b.Package == a.Package && !b.Edited && !b.Gone {
			continue
		}
		changes = append(changes, DefinitionChange{Before: b, After: a})
	}
	return changes
}

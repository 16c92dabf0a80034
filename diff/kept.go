package diff

import (
	"slices"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// keeps carries the record of a table on that no object wants and that stays
// as it is: because its app goes now, or went before.
func (m *matcher) keeps(have schema.Table, owned schema.OwnedTable, ours bool) bool {
	kept, left := m.live.Owned.KeptTable(have.Name)
	if ours {
		app := m.appOf(owned.Object)
		if !slices.Contains(m.desired.Gone, app) {
			return false // the object goes, and its app stays
		}
		kept, left = schema.KeptTable{OwnedTable: owned, App: app}, true
	}
	if !left || slices.Contains(m.desired.DropApps, kept.App) {
		return false
	}
	m.result.Owned.Kept = append(m.result.Owned.Kept, kept)
	if ours {
		m.result.Released = append(m.result.Released, kept)
		m.canonical = append(m.canonical, managedPart(have, owned))
	}
	return true
}

// appOf names the app that a live object came with, empty for one of the
// tenant itself.
func (m *matcher) appOf(object string) string {
	for _, d := range m.live.Definitions {
		if d.Type == protocol.EntityObject && d.Name == object {
			return d.Package
		}
	}
	return ""
}

// ours returns the record of a live table: of one that is ours, or that an
// app left.
func (m *matcher) ours(table string) (schema.OwnedTable, bool) {
	if owned, ok := m.live.Owned.Table(table); ok {
		return owned, true
	}
	kept, ok := m.live.Owned.KeptTable(table)
	return kept.OwnedTable, ok
}

// byObject is ours for the table of an object.
func (m *matcher) byObject(object string) (schema.OwnedTable, bool) {
	if owned, ok := m.live.Owned.ByObject(object); ok {
		return owned, true
	}
	kept, ok := m.live.Owned.KeptOf(object)
	return kept.OwnedTable, ok
}

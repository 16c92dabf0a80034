package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Owned records which names of one database earlier deployments made or
// adopted. Everything else in it is foreign: reported, kept, and never
// changed. It is stored in the tenant's database as JSON.
type Owned struct {
	Tables  []OwnedTable   `json:"tables,omitempty"`
	Retired []RetiredTable `json:"retired,omitempty"`
	Kept    []KeptTable    `json:"kept,omitempty"` // of apps that were uninstalled
}

// OwnedTable lists what is ours of one table, each list but Retired in order of
// name.
type OwnedTable struct {
	Name    string          `json:"name"`
	Object  string          `json:"object"`
	Columns []string        `json:"columns"`
	Indexes []string        `json:"indexes,omitempty"`
	Adopted []Adopted       `json:"adopted,omitempty"`
	Retired []RetiredColumn `json:"retired,omitempty"` // in the order in which they were retired
	Found   []string        `json:"found,omitempty"`   // the columns that were there before us
	// From is the object that this one was renamed from, Renames the columns
	// that were renamed: taking the rename back gives the old names again.
	From    string         `json:"from,omitempty"`
	Renames []ColumnRename `json:"renames,omitempty"`
}

// ColumnRename is a column and the name that it had.
type ColumnRename struct {
	Column string `json:"column"`
	From   string `json:"from"`
}

// Adopted is a column that was there before us in a form that was accepted
// instead of the one we would have given it. It stays as it is for as long as
// the desired form does not change.
type Adopted struct {
	Column string `json:"column"`
	Live   Form   `json:"live"`
	As     Form   `json:"as"`
}

// Form is how a column is declared.
type Form struct {
	Type    string `json:"type"`
	NotNull bool   `json:"notNull,omitempty"`
	Default string `json:"default,omitempty"`
}

// Form returns how the column is declared.
func (c Column) Form() Form { return Form{Type: c.Type, NotNull: c.NotNull, Default: c.Default} }

// ParseOwned reads what Owned.JSON wrote; empty text is a database in which
// nothing is ours.
func ParseOwned(text string) (Owned, error) {
	var o Owned
	if text == "" {
		return o, nil
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return Owned{}, fmt.Errorf("read owned names: %w", err)
	}
	return o, nil
}

// JSON returns the record as text, the same for the same names.
func (o Owned) JSON() string {
	slices.SortFunc(o.Tables, func(a, b OwnedTable) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Retired, func(a, b RetiredTable) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Kept, func(a, b KeptTable) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range o.Tables {
		t.sort()
	}
	for _, t := range o.Retired {
		t.sort()
	}
	for _, t := range o.Kept {
		t.sort()
	}
	text, err := json.Marshal(o)
	if err != nil {
		panic("owned names cannot be marshalled: " + err.Error()) // plain strings and booleans
	}
	return string(text)
}

// Table returns the record of a table, in any case.
func (o Owned) Table(name string) (OwnedTable, bool) {
	for _, t := range o.Tables {
		if strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return OwnedTable{}, false
}

// ByObject returns the record of an object's table.
func (o Owned) ByObject(object string) (OwnedTable, bool) {
	for _, t := range o.Tables {
		if t.Object == object {
			return t, true
		}
	}
	return OwnedTable{}, false
}

func (t OwnedTable) sort() {
	slices.Sort(t.Columns)
	slices.Sort(t.Indexes)
	slices.Sort(t.Found)
	slices.SortFunc(t.Adopted, func(a, b Adopted) int { return strings.Compare(a.Column, b.Column) })
	slices.SortFunc(t.Renames, func(a, b ColumnRename) int { return strings.Compare(a.Column, b.Column) })
}

// HasColumn tells whether a column is ours.
func (t OwnedTable) HasColumn(name string) bool { return ContainsFold(t.Columns, name) }

// HasIndex tells whether an index is ours.
func (t OwnedTable) HasIndex(name string) bool { return ContainsFold(t.Indexes, name) }

// Adoption returns the forms under which a column was adopted.
func (t OwnedTable) Adoption(column string) (Adopted, bool) {
	for _, a := range t.Adopted {
		if strings.EqualFold(a.Column, column) {
			return a, true
		}
	}
	return Adopted{}, false
}

// RenamedFrom returns the column that was renamed from a name.
func (t OwnedTable) RenamedFrom(name string) (string, bool) {
	for _, r := range t.Renames {
		if strings.EqualFold(r.From, name) {
			return r.Column, true
		}
	}
	return "", false
}

// ContainsFold tells whether a name is among others, in any case.
func ContainsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

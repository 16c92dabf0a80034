package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
)

// Compute compares live with desired. It returns the changes in the order in
// which their tables are named, and no error but one that Atlas gives for a
// table that it cannot express. The result shares no memory with its inputs.
func Compute(live Live, desired Desired) (Result, error) {
	m := matcher{live: live, desired: desired, result: Result{}}
	taken := map[string]bool{}
	for _, want := range desired.Tables {
		taken[strings.ToLower(m.table(want))] = true
	}
	for _, have := range live.Tables {
		if taken[strings.ToLower(have.Name)] {
			continue
		}
		owned, ours := live.Owned.Table(have.Name)
		if retired, ok := live.Owned.RetiredTable(have.Name); ok {
			m.keepRetired(retired, have)
			continue
		}
		if m.keeps(have, owned, ours) {
			continue
		}
		owned, ours = m.ours(have.Name)
		if !ours {
			m.result.Foreign = append(m.result.Foreign, Foreign{Kind: "table", Table: have.Name, Name: have.Name})
			continue
		}
		part := managedPart(have, owned)
		m.result.Managed = append(m.result.Managed, part)
		m.canonical = append(m.canonical, part)
	}
	changes, err := atlasChanges(m.result.Managed, m.result.Target)
	if err != nil {
		return Result{}, err
	}
	m.result.Changes = slices.Concat(m.renames, m.retire(changes), m.purges)
	m.classify()
	m.result.Before, m.result.After = schema.Digest(m.canonical), schema.Digest(desired.Tables)
	m.result.Registry = compareDefinitions(live.Definitions, desired.Definitions)
	m.result.Diff = deployDiff(m.result, live, desired)
	return m.result, nil
}

// matcher pairs desired tables and columns with live ones.
type matcher struct {
	live      Live
	desired   Desired
	result    Result
	renames   []Change
	purges    []Change
	restored  map[string]schema.Form // by "table.column": what came back had this form
	canonical []schema.Table         // what earlier deployments made, in our form
	adopted   map[string]bool        // tables that are not in the record yet, by name after renames
}

// table pairs one desired table and returns the live name that it takes.
func (m *matcher) table(want schema.Table) string {
	have, owned, how, ok := m.find(want)
	record := schema.OwnedTable{Name: want.Name, Object: want.Object}
	target := want.Clone()
	if !ok {
		for _, c := range want.Columns {
			record.Columns = append(record.Columns, c.Name)
		}
		for _, i := range want.Indexes {
			record.Indexes = append(record.Indexes, i.Name)
		}
		m.keep(record, target)
		return want.Name
	}
	liveName := have.Name
	_, known := m.live.Owned.Table(liveName)
	known = known || how == RestoreTable
	kept, wasKept := m.live.Owned.KeptTable(liveName)
	if wasKept {
		m.result.Reclaimed = append(m.result.Reclaimed, kept)
	}
	if !known && !wasKept {
		if m.adopted == nil {
			m.adopted = map[string]bool{}
		}
		m.adopted[strings.ToLower(want.Name)] = true
	}
	if how == RenameTable {
		record.From = owned.Object
	} else if m.wanted(owned.From) == nil {
		record.From = owned.From
	}
	if how != "" {
		m.renames = append(m.renames, Change{Op: how, Table: want.Name, Old: have.Name})
	}
	have = have.Clone()
	have.Name, have.Object = want.Name, want.Object
	target.Name = want.Name
	if !slices.EqualFunc(have.PrimaryKey, want.PrimaryKey, strings.EqualFold) {
		m.conflict(want.Name, "", "its primary key is (%s), not (id)", strings.Join(have.PrimaryKey, ", "))
	}
	m.renameColumns(&have, &owned, want)
	m.restoreColumns(&have, &owned, want)
	managed, canonical := have.Clone(), want.Clone()
	managed.Columns, canonical.Columns, target.Columns = nil, nil, nil
	for _, c := range want.Columns {
		m.column(pairing{
			want: c, have: &have, owned: owned, record: &record,
			managed: &managed, canonical: &canonical, target: &target,
		})
	}
	for _, c := range have.Columns {
		if _, wanted := want.Column(c.Name); wanted {
			continue
		}
		retired, isRetired := owned.RetiredColumn(c.Name)
		switch {
		case owned.HasColumn(c.Name):
			managed.Columns, canonical.Columns = append(managed.Columns, c), append(canonical.Columns, c)
		case isRetired && m.due(c.Name):
			m.purges = append(m.purges, Change{Op: PurgeColumn, Table: want.Name, From: ptr(c)})
		case isRetired:
			record.Retired = append(record.Retired, retired)
		default:
			m.result.Foreign = append(m.result.Foreign, Foreign{Kind: "column", Table: want.Name, Name: c.Name})
		}
	}
	inOrderOf(owned.Retired, record.Retired)
	record.Renames = m.columnRenames(want, owned)
	m.indexes(have, owned, want, &managed, &canonical, &record)
	m.result.Managed = append(m.result.Managed, managed)
	if known {
		m.canonical = append(m.canonical, canonical)
	}
	m.keep(record, target)
	return liveName
}

func (m *matcher) keep(record schema.OwnedTable, target schema.Table) {
	m.result.Owned.Tables = append(m.result.Owned.Tables, record)
	m.result.Target = append(m.result.Target, target)
}

// find returns the live table for a desired one: the one of its name, else
// the one of the object that it declares to be renamed from, else the one that
// was renamed from it, else the one that was retired under either name. how is the change that gives it its name, empty
// when it has it.
func (m *matcher) find(want schema.Table) (have schema.Table, owned schema.OwnedTable, how Op, ok bool) {
	if have, ok := m.liveTable(want.Name); ok {
		owned, _ := m.ours(have.Name)
		return have, owned, "", true
	}
	if want.RenamedFrom != "" {
		if owned, ok := m.byObject(want.RenamedFrom); ok {
			if have, ok := m.liveTable(owned.Name); ok {
				return have, owned, RenameTable, true
			}
		}
	}
	for _, owned := range m.live.Owned.Tables {
		if owned.From == want.Object && m.wanted(owned.Object) == nil {
			if have, ok := m.liveTable(owned.Name); ok {
				return have, owned, RenameTable, true // the rename is taken back
			}
		}
	}
	for _, retired := range slices.Backward(m.live.Owned.Retired) {
		again := retired.Object == want.Object && strings.EqualFold(retired.Was, want.Name)
		if !again && (want.RenamedFrom == "" || retired.Object != want.RenamedFrom) {
			continue
		}
		if have, ok := m.liveTable(retired.Name); ok {
			return have, retired.OwnedTable, RestoreTable, true
		}
	}
	return schema.Table{}, schema.OwnedTable{}, "", false
}

func (m *matcher) liveTable(name string) (schema.Table, bool) {
	at := slices.IndexFunc(m.live.Tables, func(t schema.Table) bool { return strings.EqualFold(t.Name, name) })
	if at < 0 {
		return schema.Table{}, false
	}
	return m.live.Tables[at], true
}

// wanted returns the desired table of an object, nil when there is none.
func (m *matcher) wanted(object string) *schema.Table {
	for i := range m.desired.Tables {
		if object != "" && m.desired.Tables[i].Object == object {
			return &m.desired.Tables[i]
		}
	}
	return nil
}

// columnRenames carries the record of renamed columns on, for as long as the
// old name is free.
func (m *matcher) columnRenames(want schema.Table, owned schema.OwnedTable) []schema.ColumnRename {
	var kept []schema.ColumnRename
	for _, r := range owned.Renames {
		_, is := want.Column(r.Column)
		_, taken := want.Column(r.From)
		if is && !taken {
			kept = append(kept, r)
		}
	}
	for _, c := range m.renames {
		_, taken := want.Column(c.Old)
		if c.Op == RenameColumn && c.Table == want.Name && !taken {
			kept = slices.DeleteFunc(kept, func(r schema.ColumnRename) bool { return r.Column == c.To.Name })
			kept = append(kept, schema.ColumnRename{Column: c.To.Name, From: c.Old})
		}
	}
	return kept
}

// renameColumns gives the live columns their new names where a field declares
// its old one, or where a rename is taken back, so that the comparison
// afterwards finds them.
func (m *matcher) renameColumns(have *schema.Table, owned *schema.OwnedTable, want schema.Table) {
	for _, c := range want.Columns {
		if _, there := have.Column(c.Name); there {
			continue
		}
		from := c.RenamedFrom
		if back, ok := owned.RenamedFrom(c.Name); ok && from == "" {
			if _, wanted := want.Column(back); !wanted {
				from = back
			}
		}
		old, ok := have.Column(from)
		if from == "" || !ok || !owned.HasColumn(old.Name) {
			continue
		}
		before := old.Name
		m.renames = append(m.renames, Change{Op: RenameColumn, Table: want.Name, Old: before, To: ptr(c)})
		old.Name = c.Name
		owned.Columns, owned.Found = renamed(owned.Columns, before, c.Name), renamed(owned.Found, before, c.Name)
		owned.Adopted = slices.Clone(owned.Adopted)
		for i := range owned.Adopted {
			if strings.EqualFold(owned.Adopted[i].Column, before) {
				owned.Adopted[i].Column = c.Name
			}
		}
		for i := range have.Indexes {
			have.Indexes[i].Columns = renamed(have.Indexes[i].Columns, before, c.Name)
		}
	}
}

// pairing is one desired column and the tables that it goes to.
type pairing struct {
	want                       schema.Column
	have                       *schema.Table
	owned                      schema.OwnedTable
	record                     *schema.OwnedTable
	managed, canonical, target *schema.Table
}

func (m *matcher) column(p pairing) {
	p.record.Columns = append(p.record.Columns, p.want.Name)
	live, ok := p.have.Column(p.want.Name)
	if !ok {
		p.target.Columns = append(p.target.Columns, p.want)
		return
	}
	to := p.want
	to.Name = live.Name
	if !p.owned.HasColumn(live.Name) || schema.ContainsFold(p.owned.Found, live.Name) {
		p.record.Found = append(p.record.Found, p.want.Name)
	}
	before := *live
	adoption, adopted := p.owned.Adoption(live.Name)
	switch {
	case adopted && adoption.Live == live.Form():
		to = merge(to, *live, adoption.As)
		before = asForm(before, adoption.As)
	case !p.owned.HasColumn(live.Name) && p.want.Accepts(*live):
		to = merge(to, *live, p.want.Form())
		before = asForm(before, p.want.Form())
	}
	if to.Form() != p.want.Form() {
		p.record.Adopted = append(p.record.Adopted, schema.Adopted{Column: to.Name, Live: to.Form(), As: p.want.Form()})
	}
	p.managed.Columns = append(p.managed.Columns, *live)
	p.target.Columns = append(p.target.Columns, to)
	p.canonical.Columns = append(p.canonical.Columns, before)
}

// merge keeps of an adopted column whatever the bundle has not changed since
// it was adopted as form as.
func merge(want, live schema.Column, as schema.Form) schema.Column {
	if want.Type == as.Type {
		want.Type = live.Type
	}
	if want.NotNull == as.NotNull {
		want.NotNull = live.NotNull
	}
	if want.Default == as.Default {
		want.Default = live.Default
	}
	return want
}

func asForm(c schema.Column, f schema.Form) schema.Column {
	c.Type, c.NotNull, c.Default = f.Type, f.NotNull, f.Default
	return c
}

func (m *matcher) indexes(have schema.Table, owned schema.OwnedTable, want schema.Table,
	managed, canonical *schema.Table, record *schema.OwnedTable,
) {
	managed.Indexes, canonical.Indexes = nil, nil
	for _, index := range want.Indexes {
		record.Indexes = append(record.Indexes, index.Name)
	}
	for _, index := range have.Indexes {
		_, wanted := want.Index(index.Name)
		switch {
		case wanted || owned.HasIndex(index.Name):
			managed.Indexes, canonical.Indexes = append(managed.Indexes, index), append(canonical.Indexes, index)
		default:
			m.result.Foreign = append(m.result.Foreign, Foreign{Kind: "index", Table: want.Name, Name: index.Name})
		}
	}
}

// managedPart is the part of a table that is ours.
func managedPart(t schema.Table, owned schema.OwnedTable) schema.Table {
	t = t.Clone()
	t.Object = owned.Object
	t.Columns = slices.DeleteFunc(t.Columns, func(c schema.Column) bool { return !owned.HasColumn(c.Name) })
	t.Indexes = slices.DeleteFunc(t.Indexes, func(i schema.Index) bool { return !owned.HasIndex(i.Name) })
	return t
}

func (m *matcher) conflict(table, column, format string, args ...any) {
	m.result.Conflicts = append(m.result.Conflicts, Conflict{
		Reason: reason.AdoptionReview, Table: table, Column: column,
		Message: fmt.Sprintf("table %q was not made by the reconciler and ", table) + fmt.Sprintf(format, args...),
		Next:    "change the table by hand, or the object so that it fits the table",
	})
}

func renamed(names []string, before, after string) []string {
	names = slices.Clone(names)
	for i := range names {
		if strings.EqualFold(names[i], before) {
			names[i] = after
		}
	}
	return names
}

func ptr[T any](v T) *T { return &v }

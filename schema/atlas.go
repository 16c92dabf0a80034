package schema

import (
	"slices"

	atlas "ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlite"
)

// Atlas returns tables as an Atlas schema called main, the only name that its
// SQLite planner accepts. Expression parts of indexes, foreign keys and CHECKs
// are not carried over: none of them is ever ours.
func Atlas(tables []Table) *atlas.Schema {
	s := atlas.New("main")
	for _, t := range tables {
		s.AddTables(AtlasTable(t))
	}
	return s
}

// AtlasTable returns one table as an Atlas value.
func AtlasTable(t Table) *atlas.Table {
	table := atlas.NewTable(t.Name)
	columns := make(map[string]*atlas.Column, len(t.Columns))
	for _, c := range t.Columns {
		column := AtlasColumn(c)
		columns[c.Name] = column
		table.AddColumns(column)
	}
	var key []*atlas.Column
	for _, name := range t.PrimaryKey {
		if column := columns[name]; column != nil {
			key = append(key, column)
		}
	}
	if len(key) > 0 {
		table.SetPrimaryKey(atlas.NewPrimaryKey(key...))
	}
	for _, i := range t.Indexes {
		table.AddIndexes(AtlasIndex(i, columns))
	}
	return table
}

// SameAtlas tells that two tables are one and the same Atlas value.
func SameAtlas(a, b Table) bool {
	return a.Name == b.Name && slices.Equal(a.PrimaryKey, b.PrimaryKey) &&
		slices.EqualFunc(a.Columns, b.Columns, func(a, b Column) bool { return a.Name == b.Name && a.Form() == b.Form() }) &&
		slices.EqualFunc(a.Indexes, b.Indexes, func(a, b Index) bool {
			return a.Name == b.Name && a.Unique == b.Unique && a.Where == b.Where && slices.Equal(a.Columns, b.Columns)
		})
}

// AtlasColumn returns one column as an Atlas value. Types that we give stay
// what they are; any other declared type is carried verbatim.
func AtlasColumn(c Column) *atlas.Column {
	column := atlas.NewColumn(c.Name).SetNull(!c.NotNull)
	switch c.Type {
	case Text:
		column.SetType(&atlas.StringType{T: c.Type})
	case Integer:
		column.SetType(&atlas.IntegerType{T: c.Type})
	case Real:
		column.SetType(&atlas.FloatType{T: c.Type})
	default:
		column.SetType(&sqlite.UserDefinedType{T: c.Type})
	}
	switch {
	case c.Default == "":
	case IsLiteral(c.Default):
		column.SetDefault(&atlas.Literal{V: c.Default})
	default:
		column.SetDefault(&atlas.RawExpr{X: c.Default})
	}
	return column
}

// AtlasIndex returns one index as an Atlas value over columns.
func AtlasIndex(i Index, columns map[string]*atlas.Column) *atlas.Index {
	index := atlas.NewIndex(i.Name).SetUnique(i.Unique)
	for _, name := range i.Columns {
		if column := columns[name]; column != nil {
			index.AddColumns(column)
		} else {
			index.AddExprs(&atlas.RawExpr{X: name})
		}
	}
	if i.Where != "" {
		index.AddAttrs(&sqlite.IndexPredicate{P: i.Where})
	}
	return index
}

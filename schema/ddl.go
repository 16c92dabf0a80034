package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// The functions of this file edit CREATE TABLE text in place, so that what
// they do not mean to change stays as its author wrote it: collations, CHECKs,
// foreign keys, comments. SQLite keeps that text and is its only record of
// several of these.

// RenameTable returns the text with another table name.
func RenameTable(sql, name string) (string, error) {
	d, err := parseTable(sql)
	if err != nil {
		return "", err
	}
	return sql[:d.name.Start] + Quote(name) + sql[d.name.End():], nil
}

// ColumnText returns the definition of a column without its name:
// "TEXT NOT NULL DEFAULT 'x'".
func ColumnText(sql, column string) (string, error) {
	part, err := findColumn(sql, column)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(sql[part[0].End():part[len(part)-1].End()]), nil
}

// ReplaceColumn returns the text with another definition for a column. The
// column keeps its place and its name.
func ReplaceColumn(sql, column, definition string) (string, error) {
	part, err := findColumn(sql, column)
	if err != nil {
		return "", err
	}
	return sql[:part[0].End()] + " " + definition + sql[part[len(part)-1].End():], nil
}

// EditColumn changes in a column's definition what differs between from and
// to: its type, NOT NULL and DEFAULT. Every other constraint stays.
func EditColumn(definition string, from, to Column) (string, error) {
	tokens, err := meaningful(definition)
	if err != nil {
		return "", err
	}
	d := columnParts(tokens)
	words := d.typ
	if !strings.EqualFold(from.Type, to.Type) {
		words = to.Type
	}
	null, value := d.null, d.def
	if from.NotNull != to.NotNull {
		null = ""
		if to.NotNull {
			null = "NOT NULL"
		}
	}
	if from.Default != to.Default {
		value = ""
		if to.Default != "" {
			value = "DEFAULT " + DefaultClause(to.Default)
		}
	}
	parts := slices.DeleteFunc([]string{words, null, value, d.rest}, func(s string) bool { return s == "" })
	return strings.Join(parts, " "), nil
}

// tableText is a CREATE TABLE statement cut into the parts that we edit.
type tableText struct {
	name  database.Token
	items [][]database.Token // columns first, then table constraints; no trivia
}

// tableConstraints begin an item of a CREATE TABLE that is no column.
var tableConstraints = []string{"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}

func parseTable(sql string) (tableText, error) {
	tokens, err := meaningful(sql)
	if err != nil {
		return tableText{}, err
	}
	open := slices.IndexFunc(tokens, func(t database.Token) bool { return t.Is("(") })
	if open < 1 {
		return tableText{}, fmt.Errorf("read table text: it has no column list: %.60s", sql)
	}
	d := tableText{name: tokens[open-1]}
	depth := 0
	var item []database.Token
	for _, t := range tokens[open:] {
		switch {
		case t.Is("("):
			depth++
			if depth == 1 {
				continue
			}
		case t.Is(")"):
			depth--
			if depth == 0 {
				d.items = append(d.items, item)
				return d, nil
			}
		case t.Is(",") && depth == 1:
			d.items, item = append(d.items, item), nil
			continue
		}
		item = append(item, t)
	}
	return tableText{}, fmt.Errorf("read table text: its column list does not end: %.60s", sql)
}

func findColumn(sql, column string) ([]database.Token, error) {
	d, err := parseTable(sql)
	if err != nil {
		return nil, err
	}
	for _, item := range d.items {
		if len(item) == 0 || slices.ContainsFunc(tableConstraints, item[0].Is) {
			continue
		}
		if name, ok := item[0].Name(); ok && strings.EqualFold(name, column) {
			return item, nil
		}
	}
	return nil, fmt.Errorf("read table text: it has no column %q: %.60s", column, sql)
}

// columnText is a column definition cut into the parts that we edit.
type columnText struct{ typ, null, def, rest string }

// columnConstraints end the type of a column.
var columnConstraints = []string{
	"CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS",
}

func columnParts(tokens []database.Token) columnText {
	var d columnText
	i := 0
	for ; i < len(tokens) && !slices.ContainsFunc(columnConstraints, tokens[i].Is); i++ {
	}
	d.typ = joined(tokens[:i])
	var rest []database.Token
	for i < len(tokens) {
		start := i
		if tokens[i].Is("CONSTRAINT") && i+2 < len(tokens) {
			i += 2
		}
		referential := start > 0 && tokens[start-1].Is("SET")
		switch {
		case tokens[i].Is("NOT") && i+1 < len(tokens) && tokens[i+1].Is("NULL"):
			i = afterConflict(tokens, i+2)
			d.null = joined(tokens[start:i])
		case tokens[i].Is("NULL") && !referential:
			i = afterConflict(tokens, i+1)
			d.null = joined(tokens[start:i])
		case tokens[i].Is("DEFAULT") && !referential:
			i = afterValue(tokens, i+1)
			d.def = joined(tokens[start:i])
		default:
			i = afterValue(tokens, start)
			rest = append(rest, tokens[start:i]...)
		}
	}
	d.rest = joined(rest)
	return d
}

// afterConflict skips an ON CONFLICT clause.
func afterConflict(tokens []database.Token, i int) int {
	if i+2 < len(tokens) && tokens[i].Is("ON") && tokens[i+1].Is("CONFLICT") {
		return i + 3
	}
	return i
}

// afterValue skips one value: a signed number, a bracketed expression or a
// single token.
func afterValue(tokens []database.Token, i int) int {
	if i < len(tokens) && (tokens[i].Is("+") || tokens[i].Is("-")) {
		i++
	}
	if i >= len(tokens) || !tokens[i].Is("(") {
		return min(i+1, len(tokens))
	}
	for depth := 0; i < len(tokens); i++ {
		switch {
		case tokens[i].Is("("):
			depth++
		case tokens[i].Is(")"):
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// joined writes tokens with blanks between them where there were any.
func joined(tokens []database.Token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && tokens[i-1].End() < t.Start {
			b.WriteByte(' ')
		}
		b.WriteString(t.Text)
	}
	return b.String()
}

// meaningful cuts SQL into tokens and leaves out blanks and comments.
func meaningful(sql string) ([]database.Token, error) {
	tokens, err := database.Tokens(sql)
	if err != nil {
		return nil, fmt.Errorf("read table text: %w", err)
	}
	return slices.DeleteFunc(tokens, database.Token.Trivia), nil
}

package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantops/reconciler/internal/database"
)

// column binds a column to a field of a record, by a pointer: *string and
// *time.Time are kept as text, *int and *time.Duration as integers, anything
// else as JSON. A record's list of columns is all that reading and writing it
// needs.
type column struct {
	name  string
	field any
}

// layout sorts as text in the order of time.
const layout = "2006-01-02T15:04:05.000Z07:00"

func (c column) encode() (any, error) {
	switch field := c.field.(type) {
	case *string:
		return clean(*field), nil
	case *int:
		return int64(*field), nil
	case *time.Duration:
		return int64(*field), nil
	case *time.Time:
		if field.IsZero() {
			return "", nil
		}
		return field.UTC().Format(layout), nil
	}
	text, err := json.Marshal(c.field)
	return string(text), err
}

func (c column) decode(value any) error {
	text, fits := value.(string)
	number, isNumber := value.(int64)
	var err error
	switch field := c.field.(type) {
	case *string:
		*field = text
	case *int:
		*field, fits = int(number), isNumber
	case *time.Duration:
		*field, fits = time.Duration(number), isNumber
	case *bool: // as the view has it
		*field = text == "1"
	case *time.Time:
		if text != "" {
			*field, err = time.Parse(time.RFC3339Nano, text)
		}
	default:
		err = json.Unmarshal([]byte(text), field)
	}
	if !fits {
		err = fmt.Errorf("holds a %T", value)
	}
	if err != nil {
		return fmt.Errorf("%w: column %s: %w", database.ErrCorrupt, c.name, err)
	}
	return nil
}

// clean returns s as the store keeps text. The connection refuses a zero byte
// and invalid UTF-8, and the separators of packed may not occur in it.
func clean(s string) string {
	control := func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' }
	if utf8.ValidString(s) && strings.IndexFunc(s, control) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r // a byte that is not UTF-8 arrives, and leaves, as U+FFFD
	}, s)
}

func names(columns []column) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return list
}

// selection is the start of a statement that reads records of a table.
func selection(table string, columns []column) string {
	return "SELECT " + strings.Join(names(columns), ", ") + " FROM " + table + " "
}

// insertion is a statement that writes one row; into is its first words,
// "INSERT INTO events". Rows are overwritten with REPLACE, which SQLite
// compiles three times as fast as an upsert that names each column, measured:
// most of what a short write costs.
func insertion(into string, columns []column) (database.Statement, error) {
	args := make([]any, len(columns))
	for i, c := range columns {
		value, err := c.encode()
		if err != nil {
			return database.Statement{}, fmt.Errorf("column %s: %w", c.name, err)
		}
		args[i] = value
	}
	return database.Statement{
		SQL: into + " (" + strings.Join(names(columns), ", ") + ") VALUES (?" +
			strings.Repeat(", ?", len(columns)-1) + ")",
		Args: args,
	}, nil
}

// update is a statement that overwrites columns of the rows that where finds.
func update(table string, columns []column, where string, args ...any) (database.Statement, error) {
	var values []any
	for _, c := range columns {
		value, err := c.encode()
		if err != nil {
			return database.Statement{}, fmt.Errorf("column %s: %w", c.name, err)
		}
		values = append(values, value)
	}
	return database.Statement{
		SQL:  "UPDATE " + table + " SET " + strings.Join(names(columns), " = ?, ") + " = ? WHERE " + where,
		Args: append(values, args...),
	}, nil
}

// save runs one insertion.
func (s *Store) save(ctx context.Context, doing, into string, columns []column) error {
	statement, err := insertion(into, columns)
	if err != nil {
		return explain(s.path, doing, err)
	}
	return s.write(ctx, doing, statement)
}

// read runs a selection and decodes what it finds. doing names the call in its
// error.
func read[T any](
	ctx context.Context, s *Store, doing string, columns func(*T) []column, q database.Statement,
) ([]T, error) {
	rows, err := s.query(ctx, doing, q.SQL, q.Args...)
	if err != nil {
		return nil, err
	}
	list := make([]T, len(rows.Values))
	for i, values := range rows.Values {
		for j, c := range columns(&list[i]) {
			if err := c.decode(values[j]); err != nil {
				return nil, explain(s.path, doing, err)
			}
		}
	}
	return list, nil
}

// first is the answer of a read that finds at most one record.
func first[T any](list []T, err error) (record T, found bool, _ error) {
	if err != nil || len(list) == 0 {
		return record, false, err
	}
	return list[0], true, nil
}

// limit is the value for LIMIT: n, or all rows for 0.
func limit(n int) int64 {
	if n <= 0 {
		return -1
	}
	return int64(n)
}

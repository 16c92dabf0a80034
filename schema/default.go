package schema

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// Expressions for the moment of an insert, ISO 8601 in UTC, with the
// milliseconds that the current runtime writes. None has a comma: libSQL's
// ALTER COLUMN cuts a definition off at its first one. Without a time the
// functions take the current one (sqlite.org/lang_datefunc.html).
const (
	nowExpression   = `strftime('%Y-%m-%dT%H:%M:%fZ')`
	todayExpression = `date('now')`
	timeExpression  = `time('now')`
)

// acceptedNow are the defaults that the runtimes give created_at and
// updated_at, without blanks and in lower case.
const acceptedNow = `current_timestamp datetime('now') strftime('%y-%m-%dt%h:%m:%fz','now')`

var (
	nowToken   = regexp.MustCompile(`(?i)^(\$?now(\(\))?|current_timestamp|\{\{?\s*now(\(\))?\s*\}?\})$`)
	todayToken = regexp.MustCompile(`(?i)^(\$?today(\(\))?|current_date|\{\{?\s*today(\(\))?\s*\}?\})$`)
	expression = regexp.MustCompile(`^(\$|\{)|^[A-Za-z_][A-Za-z0-9_.]*\(.*\)$`)
	literal    = regexp.MustCompile(`^([+-]?[0-9.]+([eE][+-]?[0-9]+)?|'([^']|'')*'|(?i:null|true|false|current_timestamp|current_date|current_time)|[xX]'[0-9a-fA-F]*')$`)
)

// defaultOf is the DEFAULT of a field's column: a literal, or an expression
// for the tokens now and today. Objects, lists and every other expression
// give none: the runtime fills them when it inserts.
func defaultOf(f protocol.Field, stored form) string {
	if stored.json {
		return ""
	}
	switch v := f.DefaultValue.(type) {
	case bool:
		return boolDefault(v, stored)
	case json.Number:
		return numberDefault(string(v), stored)
	case float64:
		return numberDefault(strconv.FormatFloat(v, 'g', -1, 64), stored)
	case int:
		return numberDefault(strconv.Itoa(v), stored)
	case int64:
		return numberDefault(strconv.FormatInt(v, 10), stored)
	case string:
		return textDefault(f.Type, v, stored)
	}
	return ""
}

func boolDefault(v bool, stored form) string {
	switch {
	case stored.typ == "TEXT":
		return QuoteText(strconv.FormatBool(v))
	case v:
		return "1"
	}
	return "0"
}

func numberDefault(text string, stored form) string {
	if stored.typ == "TEXT" {
		return QuoteText(text)
	}
	return text
}

func textDefault(t protocol.FieldType, v string, stored form) string {
	switch t {
	case protocol.FieldDate, protocol.FieldDatetime, protocol.FieldTime:
		if token := temporalToken(t, v); token != "" {
			return token
		}
	}
	switch {
	case expression.MatchString(v):
		return ""
	case stored.typ != "TEXT":
		return plainNumber(v)
	}
	return QuoteText(v)
}

// temporalToken turns the tokens for "at the time of the insert" into an
// expression that gives the form in which such a field is stored.
func temporalToken(t protocol.FieldType, v string) string {
	now, today := nowToken.MatchString(v), todayToken.MatchString(v)
	switch {
	case today, now && t == protocol.FieldDate:
		return todayExpression
	case now && t == protocol.FieldTime:
		return timeExpression
	case now:
		return nowExpression
	}
	return ""
}

// plainNumber returns text when it is a number that SQLite reads as one. A
// number column gets no DEFAULT that is not a number.
func plainNumber(text string) string {
	text = strings.TrimSpace(text)
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return ""
}

// DefaultClause renders a default for SQL: literals as they are, expressions
// in parentheses.
func DefaultClause(value string) string {
	if IsLiteral(value) {
		return value
	}
	return "(" + value + ")"
}

// IsLiteral tells whether a default is one value for every row. ADD COLUMN
// accepts only such defaults on a table with rows (sqlite.org/lang_altertable).
func IsLiteral(value string) bool {
	return literal.MatchString(value) && !strings.HasPrefix(strings.ToLower(value), "current_")
}

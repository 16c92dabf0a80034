package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/schema"
)

// seedValue returns a value as SQL for a column: a literal, or the expression
// of a moment. Whether a select has such an option is not asked: the runtimes
// do not ask either.
func seedValue(column *schema.Column, value any) (string, error) {
	if value == nil {
		return "NULL", nil
	}
	if column.JSON {
		return jsonValue(value)
	}
	switch v := value.(type) {
	case map[string]any:
		return expressionValue(column, v)
	case []any:
		return "", errors.New("the value is a list and the field holds one value")
	case string:
		if err := checkText(v); err != nil {
			return "", err
		}
		if isTemporal(column) && call.MatchString(strings.TrimSpace(v)) {
			return momentValue(column, v)
		}
	}
	switch column.Type {
	case schema.Real:
		return numberValue(value)
	case schema.Integer:
		return booleanValue(value)
	}
	return textValue(value)
}

func textValue(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return schema.QuoteText(v), nil
	case bool:
		return schema.QuoteText(strconv.FormatBool(v)), nil
	}
	if text, ok := numberText(value); ok {
		return schema.QuoteText(text), nil
	}
	return "", fmt.Errorf("a value of type %T cannot be stored", value)
}

func booleanValue(value any) (string, error) {
	switch text, _ := textOf(value); text {
	case "true", "1":
		return "1", nil
	case "false", "0":
		return "0", nil
	}
	return "", fmt.Errorf("the value is neither true nor false: %v", value)
}

// number is what SQL and JSON both read as a number.
var number = regexp.MustCompile(`\A[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\z`)

func numberValue(value any) (string, error) {
	text, ok := textOf(value)
	text = strings.TrimSpace(text)
	if _, boolean := value.(bool); !ok || boolean || !number.MatchString(text) {
		return "", fmt.Errorf("the value is not a number: %v", value)
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return "", fmt.Errorf("the number is too large: %s", text)
	}
	return text, nil
}

// textOf returns a plain value as it would be written in JSON, text without
// its quotes.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	}
	return numberText(value)
}

// numberText returns a number as it would be written in JSON.
func numberText(value any) (string, bool) {
	switch value.(type) {
	case json.Number, float64, int, int64, uint64:
		text, err := json.Marshal(value)
		return string(text), err == nil
	}
	return "", false
}

func jsonValue(value any) (string, error) {
	if err := checkJSON(value); err != nil {
		return "", err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", fmt.Errorf("the value is not JSON: %w", err)
	}
	return schema.QuoteText(strings.TrimSuffix(b.String(), "\n")), nil
}

// checkJSON refuses what would be stored as something else than it means: text
// that is not Unicode, and expressions, which nothing evaluates inside JSON.
func checkJSON(value any) error {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) {
			return errInvalidText
		}
	case []any:
		for _, one := range v {
			if err := checkJSON(one); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, ok := v["dialect"].(string); ok {
			return errors.New("an expression inside a JSON value is not understood; write the value itself")
		}
		for key, one := range v {
			if err := errors.Join(checkJSON(key), checkJSON(one)); err != nil {
				return err
			}
		}
	}
	return nil
}

var errInvalidText = errors.New("the text is not valid UTF-8")

func checkText(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errInvalidText
	case strings.Contains(text, "\x00"):
		return errors.New("the text contains a NUL, at which the database would cut it")
	}
	return nil
}

var (
	call   = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\s*\(.*\)\z`)
	moment = regexp.MustCompile(`\A(?:(now|today)\(\)|(daysAgo|daysFromNow)\(\s*(-?[0-9]{1,6})\s*\))\z`)
)

// isTemporal tells whether text in a column means a point in time.
func isTemporal(c *schema.Column) bool {
	switch c.Kind {
	case protocol.FieldDate, protocol.FieldDatetime, protocol.FieldTime:
		return true
	}
	return c.Name == "created_at" || c.Name == "updated_at"
}

// expressionValue compiles {dialect: cel, source: ...}.
func expressionValue(column *schema.Column, value map[string]any) (string, error) {
	source, ok := value["source"].(string)
	if value["dialect"] != "cel" || !ok {
		return "", errors.New("the value is an object and the field holds one value")
	}
	return momentValue(column, source)
}

// momentValue compiles an expression to one that the database evaluates when
// the record is loaded, in UTC and in the form in which the column stores
// times. All but now() stand for the beginning of a day, as in ObjectStack's
// own library of functions.
func momentValue(column *schema.Column, source string) (string, error) {
	parts := moment.FindStringSubmatch(strings.TrimSpace(source))
	if parts == nil {
		return "", fmt.Errorf("the expression %q is not understood; use today(), now(), daysAgo(n) or daysFromNow(n)", source)
	}
	if schema.Affinity(column.Type) != schema.Text {
		return "", fmt.Errorf("the expression %q gives a time, which the field does not hold", source)
	}
	days, _ := strconv.Atoi(parts[3]) // none for now() and today()
	if parts[2] == "daysAgo" {
		days = -days
	}
	format := "%Y-%m-%dT00:00:00.000Z"
	switch now := parts[1] == "now"; {
	case column.Kind == protocol.FieldDate:
		format = "%Y-%m-%d"
	case column.Kind == protocol.FieldTime && now:
		format = "%H:%M:%S"
	case column.Kind == protocol.FieldTime:
		format = "00:00:00"
	case now:
		format = "%Y-%m-%dT%H:%M:%fZ"
	}
	if days == 0 {
		return fmt.Sprintf("strftime('%s', 'now')", format), nil
	}
	return fmt.Sprintf("strftime('%s', 'now', '%+d days')", format, days), nil
}

package hrana

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// The answers of the protocol, as far as they are used here; encode.go has the
// requests.
type (
	value struct {
		Type   string          `json:"type"`
		Value  json.RawMessage `json:"value"`
		Base64 *string         `json:"base64"`
	}
	answers struct {
		Baton   *string  `json:"baton"`
		BaseURL *string  `json:"base_url"`
		Results []answer `json:"results"`
	}
	answer struct {
		Type     string       `json:"type"` // ok or error
		Response *response    `json:"response"`
		Error    *serverError `json:"error"`
	}
	response struct {
		Type       string `json:"type"`
		Result     result `json:"result"`
		Autocommit bool   `json:"is_autocommit"`
	}
	// result is that of a statement, a batch or a description.
	result struct {
		stmtResult
		Results  []json.RawMessage `json:"step_results"` // each a stmtResult or null
		Errors   []*serverError    `json:"step_errors"`
		Explain  bool              `json:"is_explain"`
		ReadOnly bool              `json:"is_readonly"`
	}
	stmtResult struct {
		Cols []struct {
			Name *string `json:"name"`
		} `json:"cols"`
		Rows         [][]value `json:"rows"`
		RowsAffected int64     `json:"affected_row_count"`
	}
)

// execute reads the result of one statement.
func (a answer) execute() (database.StepResult, error) {
	result, err := a.result("execute")
	if err != nil {
		return database.StepResult{}, err
	}
	return result.decode()
}

// batch reads the results of steps.
func (a answer) batch(steps []database.Step) ([]database.StepResult, error) {
	result, err := a.result("batch")
	if err != nil {
		return nil, err
	}
	if len(result.Results) != len(steps) || len(result.Errors) != len(steps) {
		return nil, malformed("it has results of %d steps, not %d", len(result.Results), len(steps))
	}
	decoded := make([]database.StepResult, len(steps))
	for i, text := range result.Results {
		switch {
		case result.Errors[i] != nil:
			decoded[i].Err = result.Errors[i].typed()
		case string(text) == "null":
			decoded[i].Skipped = true
		case steps[i].Brief && text[0] == '{':
		default:
			var done stmtResult
			if err := json.Unmarshal(text, &done); err != nil {
				return nil, malformed("%w", err)
			}
			if decoded[i], err = done.decode(); err != nil {
				return nil, err
			}
		}
	}
	return decoded, nil
}

// result is the result of a request of this type.
func (a answer) result(kind string) (*result, error) {
	if a.Type != "ok" || a.Response == nil || a.Response.Type != kind {
		return nil, malformed("it is no answer to %s", kind)
	}
	return &a.Response.Result, nil
}

func (r stmtResult) decode() (database.StepResult, error) {
	done := database.StepResult{RowsAffected: r.RowsAffected}
	for _, col := range r.Cols {
		name := ""
		if col.Name != nil {
			name = *col.Name
		}
		done.Rows.Columns = append(done.Rows.Columns, name)
	}
	for _, row := range r.Rows {
		if len(row) != len(r.Cols) {
			return done, malformed("a row has %d values in %d columns", len(row), len(r.Cols))
		}
		values := make([]any, len(row))
		for i, v := range row {
			var err error
			if values[i], err = v.decode(); err != nil {
				return done, err
			}
		}
		done.Rows.Values = append(done.Rows.Values, values)
	}
	return done, nil
}

// decode reads a value. A float that JSON cannot hold comes as null.
func (v value) decode() (any, error) {
	var err error
	switch v.Type {
	case "null":
		return nil, nil
	case "integer":
		var text string
		if err = json.Unmarshal(v.Value, &text); err == nil {
			var n int64
			if n, err = strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
		}
	case "float":
		var f *float64
		if err = json.Unmarshal(v.Value, &f); err == nil {
			if f == nil {
				return nil, errors.New("the value is an infinite number, which the server cannot send; read it with quote()")
			}
			return *f, nil
		}
	case "text":
		var text string
		if err = json.Unmarshal(v.Value, &text); err == nil {
			return text, nil
		}
	case "blob":
		if v.Base64 == nil {
			return nil, malformed("a blob has no bytes")
		}
		var bytes []byte
		if bytes, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(*v.Base64, "=")); err == nil {
			return bytes, nil
		}
	default:
		return nil, malformed("a value has the type %.20q", v.Type)
	}
	return nil, malformed("a value of type %s cannot be read: %v", v.Type, err)
}

package hrana

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// The messages of the protocol, as far as they are used here.
type (
	pipeline struct {
		Baton    *string   `json:"baton"`
		Requests []request `json:"requests"`
	}
	request struct {
		Type  string  `json:"type"` // execute, batch, describe, get_autocommit or close
		Stmt  *stmt   `json:"stmt,omitempty"`
		Batch *batch  `json:"batch,omitempty"`
		SQL   *string `json:"sql,omitempty"` // of describe
	}
	stmt struct {
		SQL      string  `json:"sql"`
		Args     []value `json:"args,omitempty"`
		WantRows bool    `json:"want_rows"`
	}
	batch struct {
		Steps []step `json:"steps"`
	}
	step struct {
		Condition *condition `json:"condition,omitempty"`
		Stmt      *stmt      `json:"stmt"`
	}
	condition struct {
		Type  string      `json:"type"`
		Step  *int        `json:"step,omitempty"`
		Cond  *condition  `json:"cond,omitempty"`
		Conds []condition `json:"conds,omitempty"`
	}
	value struct {
		Type   string          `json:"type"`
		Value  json.RawMessage `json:"value,omitempty"`
		Base64 *string         `json:"base64,omitempty"`
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
		Type       string          `json:"type"`
		Result     json.RawMessage `json:"result"`
		Autocommit bool            `json:"is_autocommit"`
	}
	stmtResult struct {
		Cols []struct {
			Name *string `json:"name"`
		} `json:"cols"`
		Rows         [][]value `json:"rows"`
		RowsAffected int64     `json:"affected_row_count"`
	}
	batchResult struct {
		Results []*stmtResult  `json:"step_results"`
		Errors  []*serverError `json:"step_errors"`
	}
	described struct {
		Explain  bool `json:"is_explain"`
		ReadOnly bool `json:"is_readonly"`
	}
)

// encode makes the message for a statement, whose text is not touched.
func encode(s database.Statement) (*stmt, error) {
	if err := database.CheckText(s.SQL); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if err := countArgs(s); err != nil {
		return nil, err
	}
	encoded := &stmt{SQL: s.SQL, WantRows: true}
	for i, arg := range s.Args {
		v, err := encodeValue(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		encoded.Args = append(encoded.Args, v)
	}
	return encoded, nil
}

// countArgs counts what the text asks for: the server does not mind named
// parameters, whose order the text does not show.
func countArgs(s database.Statement) error {
	count := 0
	if strings.ContainsAny(s.SQL, "?:@$") {
		tokens, err := database.Tokens(s.SQL)
		if err != nil {
			return nil //nolint:nilerr // the server says what is wrong with the text
		}
		for _, token := range tokens {
			switch {
			case token.Kind != database.Parameter:
			case token.Text == "?":
				count++
			case token.Text[0] == '?':
				n, err := strconv.Atoi(token.Text[1:])
				if err != nil {
					return fmt.Errorf("parameter %.20s has no number", token.Text)
				}
				count = max(count, n)
			default:
				return fmt.Errorf("parameter %.40s is named; use ?", token.Text)
			}
		}
	}
	if count != len(s.Args) {
		return fmt.Errorf("statement has %d parameters and got %d arguments", count, len(s.Args))
	}
	return nil
}

func encodeValue(arg any) (value, error) {
	switch v := arg.(type) {
	case nil:
		return value{Type: "null"}, nil
	case int64:
		return integer(v), nil
	case bool:
		if v {
			return integer(1), nil
		}
		return integer(0), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return value{}, errors.New("is not a number that JSON can hold")
		}
		text, err := json.Marshal(v)
		return value{Type: "float", Value: text}, err
	case string:
		if err := database.CheckText(v); err != nil {
			return value{}, err
		}
		text, err := json.Marshal(v)
		return value{Type: "text", Value: text}, err
	case []byte:
		text := base64.RawStdEncoding.EncodeToString(v)
		return value{Type: "blob", Base64: &text}, nil
	}
	return value{}, fmt.Errorf("is a %T; give nil, int64, float64, string, []byte or bool", arg)
}

func integer(n int64) value {
	return value{Type: "integer", Value: json.RawMessage(`"` + strconv.FormatInt(n, 10) + `"`)}
}

// never is a statement in place of one that cannot be sent: it fails where it
// would have been.
const never = "SELECT json('not sent')"

// encodeBatch makes the message for a batch. A statement that is refused here
// fails at its own place, as one does that the database refuses; faults says
// why, by step.
func encodeBatch(steps []database.Step) (*batch, map[int]error, error) {
	sent, faults := &batch{Steps: make([]step, len(steps))}, map[int]error{}
	for i, s := range steps {
		encoded, err := encode(s.Statement)
		if err != nil {
			faults[i] = err
			encoded = &stmt{SQL: never}
		}
		sent.Steps[i] = step{Stmt: encoded}
		if s.When != nil {
			when := encodeCondition(*s.When)
			sent.Steps[i].Condition = &when
		}
	}
	return sent, faults, nil
}

func encodeCondition(c database.Condition) condition {
	all := func(parts []database.Condition) []condition {
		conds := make([]condition, len(parts))
		for i, part := range parts {
			conds[i] = encodeCondition(part)
		}
		return conds
	}
	switch {
	case c.OK != nil:
		return condition{Type: "ok", Step: c.OK}
	case c.Error != nil:
		return condition{Type: "error", Step: c.Error}
	case c.Not != nil:
		inner := encodeCondition(*c.Not)
		return condition{Type: "not", Cond: &inner}
	case c.And != nil:
		return condition{Type: "and", Conds: all(c.And)}
	case c.Or != nil:
		return condition{Type: "or", Conds: all(c.Or)}
	default:
		return condition{Type: "is_autocommit"}
	}
}

// execute reads the result of one statement.
func (a answer) execute() (database.StepResult, error) {
	var result stmtResult
	if err := a.result("execute", &result); err != nil {
		return database.StepResult{}, err
	}
	return result.decode()
}

// batch reads the results of so many steps.
func (a answer) batch(steps int) ([]database.StepResult, error) {
	var result batchResult
	if err := a.result("batch", &result); err != nil {
		return nil, err
	}
	if len(result.Results) != steps || len(result.Errors) != steps {
		return nil, malformed("it has results of %d steps, not %d", len(result.Results), steps)
	}
	decoded := make([]database.StepResult, steps)
	for i := range decoded {
		switch {
		case result.Errors[i] != nil:
			decoded[i].Err = result.Errors[i].typed()
		case result.Results[i] == nil:
			decoded[i].Skipped = true
		default:
			var err error
			if decoded[i], err = result.Results[i].decode(); err != nil {
				return nil, err
			}
		}
	}
	return decoded, nil
}

// result reads the result of a request of this type into a value.
func (a answer) result(kind string, into any) error {
	if a.Type != "ok" || a.Response == nil || a.Response.Type != kind {
		return malformed("it is no answer to %s", kind)
	}
	if err := json.Unmarshal(a.Response.Result, into); err != nil {
		return malformed("%v", err)
	}
	return nil
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

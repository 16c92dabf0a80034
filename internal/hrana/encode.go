package hrana

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
)

// The requests of the protocol, as far as they are used here.
type (
	pipeline struct {
		Baton    *string   `json:"baton"` // nil begins a stream
		Requests []request `json:"requests"`
	}
	request struct {
		Type  string  `json:"type"` // execute, batch, describe or close
		Stmt  *stmt   `json:"stmt,omitempty"`
		Batch *batch  `json:"batch,omitempty"`
		SQL   *string `json:"sql,omitempty"` // of describe
	}
	stmt struct {
		SQL      string     `json:"sql"`
		Args     []argument `json:"args,omitempty"`
		WantRows bool       `json:"want_rows"`
	}
	// argument has a value of any kind but null and blob.
	argument struct {
		Type   string  `json:"type"`
		Value  any     `json:"value,omitempty"`
		Base64 *string `json:"base64,omitempty"`
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
)

// terse tells that the answer is short: what a batch has done, hardly any
// rows. Compressing that costs a server more than it saves.
func (p pipeline) terse() bool {
	return slices.ContainsFunc(p.Requests, func(r request) bool { return r.Batch != nil })
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
		not := encodeCondition(*c.Not)
		return condition{Type: "not", Cond: &not}
	case c.And != nil:
		return condition{Type: "and", Conds: all(c.And)}
	case c.Or != nil:
		return condition{Type: "or", Conds: all(c.Or)}
	default:
		return condition{Type: "is_autocommit"}
	}
}

// encode makes the message for a statement, whose text is not touched.
func encode(s database.Statement) (*stmt, error) {
	if err := database.CheckText(s.SQL); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	count, err := parameters.of(s.SQL)
	if err != nil {
		return nil, err
	}
	if count >= 0 && count != len(s.Args) {
		return nil, fmt.Errorf("statement has %d parameters and got %d arguments", count, len(s.Args))
	}
	encoded := &stmt{SQL: s.SQL, WantRows: true, Args: make([]argument, len(s.Args))}
	for i, arg := range s.Args {
		if encoded.Args[i], err = encodeValue(arg); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return encoded, nil
}

// counts knows how many parameters the statements have that are sent again and
// again.
type counts struct {
	mu    sync.Mutex
	known map[string]int
}

var parameters counts

const (
	maxCounts = 256      // statements; those of a fleet's deployment are fewer
	maxCount  = 16 << 10 // bytes of one that is remembered
)

// of counts what the text asks for: the server does not mind named parameters,
// whose order the text does not show. It is -1 for a text that makes no
// sense: the server says what is wrong with it.
func (c *counts) of(sql string) (int, error) {
	if !strings.ContainsAny(sql, "?:@$") {
		return 0, nil
	}
	c.mu.Lock()
	count, known := c.known[sql]
	c.mu.Unlock()
	if known {
		return count, nil
	}
	count, err := countParameters(sql)
	if err != nil || len(sql) > maxCount {
		return count, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxCounts {
		c.known = map[string]int{}
	}
	c.known[sql] = count
	return count, nil
}

func countParameters(sql string) (int, error) {
	tokens, err := database.Tokens(sql)
	if err != nil {
		return -1, nil //nolint:nilerr // the server says what is wrong with the text
	}
	count := 0
	for _, token := range tokens {
		switch {
		case token.Kind != database.Parameter:
		case token.Text == "?":
			count++
		case token.Text[0] == '?':
			n, err := strconv.Atoi(token.Text[1:])
			if err != nil {
				return 0, fmt.Errorf("parameter %.20s has no number", token.Text)
			}
			count = max(count, n)
		default:
			return 0, fmt.Errorf("parameter %.40s is named; use ?", token.Text)
		}
	}
	return count, nil
}

func encodeValue(arg any) (argument, error) {
	switch v := arg.(type) {
	case nil:
		return argument{Type: "null"}, nil
	case int64:
		return argument{Type: "integer", Value: strconv.FormatInt(v, 10)}, nil // JSON has no 64 bits
	case bool:
		if v {
			return encodeValue(int64(1))
		}
		return encodeValue(int64(0))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return argument{}, errors.New("is not a number that JSON can hold")
		}
		return argument{Type: "float", Value: v}, nil
	case string:
		return argument{Type: "text", Value: v}, database.CheckText(v)
	case []byte:
		text := base64.RawStdEncoding.EncodeToString(v)
		return argument{Type: "blob", Base64: &text}, nil
	}
	return argument{}, fmt.Errorf("is a %T; give nil, int64, float64, string, []byte or bool", arg)
}

// never is a statement in place of one that cannot be sent: it fails where it
// would have been.
const never = "SELECT json('not sent')"

// encodeBatch makes the message for a batch. A statement that is refused here
// fails at its own place, as one does that the database refuses; faults says
// why, by step.
func encodeBatch(steps []database.Step) (*batch, map[int]error) {
	sent, faults := &batch{Steps: make([]step, len(steps))}, map[int]error{}
	for i, s := range steps {
		encoded, err := encode(s.Statement)
		if err != nil {
			faults[i] = err
			encoded = &stmt{SQL: never, WantRows: true}
		}
		sent.Steps[i].Stmt = encoded
		if s.When != nil {
			when := encodeCondition(*s.When)
			sent.Steps[i].Condition = &when
		}
	}
	return sent, faults
}

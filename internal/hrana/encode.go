package hrana

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
)

// The requests of the protocol, as far as they are used here. They are written
// without reflection: a deployment to a fleet sends the same few statements to
// each tenant, and writing them took as long as waiting for the answer.
type (
	pipeline struct {
		baton    string // empty begins a stream
		requests []request
	}
	request struct {
		kind  string // execute, batch, describe or close
		stmt  *stmt
		steps []step
		sql   string // of describe
	}
	stmt struct {
		sql  string
		args []byte // a JSON list; empty without any
	}
	step struct {
		when *database.Condition
		stmt *stmt
	}
)

func (p pipeline) json() []byte {
	size := 256
	for _, r := range p.requests {
		for _, s := range r.steps {
			size += len(s.stmt.sql) + len(s.stmt.args) + 128
		}
	}
	out := append(make([]byte, 0, size), `{"baton":`...)
	if p.baton == "" {
		out = append(out, "null"...)
	} else {
		out = appendText(out, p.baton)
	}
	out = append(out, `,"requests":`...)
	out = appendList(out, p.requests, appendRequest)
	return append(out, '}')
}

// terse tells that the answer is short: what a batch has done, hardly any
// rows. Compressing that costs a server more than it saves.
func (p pipeline) terse() bool {
	return slices.ContainsFunc(p.requests, func(r request) bool { return r.kind == "batch" })
}

func appendList[T any](out []byte, all []T, one func([]byte, T) []byte) []byte {
	out = append(out, '[')
	for i, v := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = one(out, v)
	}
	return append(out, ']')
}

func appendRequest(out []byte, r request) []byte {
	out = appendText(append(out, `{"type":`...), r.kind)
	switch {
	case r.stmt != nil:
		out = appendStmt(append(out, `,"stmt":`...), r.stmt)
	case r.steps != nil:
		out = appendList(append(out, `,"batch":{"steps":`...), r.steps, appendStep)
		out = append(out, '}')
	case r.kind == "describe":
		out = appendText(append(out, `,"sql":`...), r.sql)
	}
	return append(out, '}')
}

func appendStep(out []byte, s step) []byte {
	out = append(out, '{')
	if s.when != nil {
		out = appendCondition(append(out, `"condition":`...), *s.when)
		out = append(out, ',')
	}
	out = appendStmt(append(out, `"stmt":`...), s.stmt)
	return append(out, '}')
}

func appendStmt(out []byte, s *stmt) []byte {
	out = appendText(append(out, `{"sql":`...), s.sql)
	if len(s.args) > 0 {
		out = append(append(out, `,"args":`...), s.args...)
	}
	return append(out, `,"want_rows":true}`...)
}

func appendCondition(out []byte, c database.Condition) []byte {
	switch {
	case c.OK != nil:
		return append(strconv.AppendInt(append(out, `{"type":"ok","step":`...), int64(*c.OK), 10), '}')
	case c.Error != nil:
		return append(strconv.AppendInt(append(out, `{"type":"error","step":`...), int64(*c.Error), 10), '}')
	case c.Not != nil:
		return append(appendCondition(append(out, `{"type":"not","cond":`...), *c.Not), '}')
	case c.And != nil:
		return append(appendList(append(out, `{"type":"and","conds":`...), c.And, appendCondition), '}')
	case c.Or != nil:
		return append(appendList(append(out, `{"type":"or","conds":`...), c.Or, appendCondition), '}')
	default:
		return append(out, `{"type":"is_autocommit"}`...)
	}
}

// appendText writes a JSON string. The text is UTF-8, see database.CheckText,
// and goes as it is but for what JSON wants escaped (RFC 8259, section 7).
func appendText(out []byte, text string) []byte {
	out = append(out, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		default:
			const digits = "0123456789abcdef"
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(out, text[from:]...), '"')
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
	encoded := &stmt{sql: s.SQL}
	for i, arg := range s.Args {
		encoded.args = append(encoded.args, "[,"[min(i, 1)])
		if encoded.args, err = appendValue(encoded.args, arg); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	if len(s.Args) > 0 {
		encoded.args = append(encoded.args, ']')
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

func appendValue(out []byte, arg any) ([]byte, error) {
	integer := func(n int64) []byte {
		return append(strconv.AppendInt(append(out, `{"type":"integer","value":"`...), n, 10), `"}`...)
	}
	switch v := arg.(type) {
	case nil:
		return append(out, `{"type":"null"}`...), nil
	case int64:
		return integer(v), nil
	case bool:
		if v {
			return integer(1), nil
		}
		return integer(0), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("is not a number that JSON can hold")
		}
		text, err := json.Marshal(v)
		return append(append(append(out, `{"type":"float","value":`...), text...), '}'), err
	case string:
		if err := database.CheckText(v); err != nil {
			return nil, err
		}
		return append(appendText(append(out, `{"type":"text","value":`...), v), '}'), nil
	case []byte:
		out = base64.RawStdEncoding.AppendEncode(append(out, `{"type":"blob","base64":"`...), v)
		return append(out, `"}`...), nil
	}
	return nil, fmt.Errorf("is a %T; give nil, int64, float64, string, []byte or bool", arg)
}

// never is a statement in place of one that cannot be sent: it fails where it
// would have been.
const never = "SELECT json('not sent')"

// encodeBatch makes the message for a batch. A statement that is refused here
// fails at its own place, as one does that the database refuses; faults says
// why, by step.
func encodeBatch(steps []database.Step) ([]step, map[int]error) {
	sent, faults := make([]step, len(steps)), map[int]error{}
	for i, s := range steps {
		encoded, err := encode(s.Statement)
		if err != nil {
			faults[i] = err
			encoded = &stmt{sql: never}
		}
		sent[i] = step{s.When, encoded}
	}
	return sent, faults
}

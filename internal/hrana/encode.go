package hrana

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
)

// The requests of the protocol, as far as they are used here, are written as
// text without anything in between: most of what a batch to one tenant says is
// said to all of a fleet.
type (
	pipeline struct {
		baton *string // nil begins a stream
		of    request
		close bool // it ends the stream
	}
	// request is one as JSON: execute, batch, describe or close.
	request struct {
		text []byte // begins a pipeline, which is appended to it
		// terse tells that the answer is short: what a batch has done, hardly any
		// rows. Compressing that costs a server more than it saves.
		terse bool
	}
)

const (
	opening = `{"requests":[`
	ending  = `{"type":"close"}` // of a stream
)

// text is the pipeline as JSON. It is asked for once.
func (p pipeline) text() []byte {
	text := p.of.text
	if p.close {
		text = append(append(text, ','), ending...)
	}
	if text = append(text, `],"baton":`...); p.baton == nil {
		return append(text, "null}"...)
	}
	return append(appendQuoted(text, *p.baton), '}')
}

// requests is how many results the answer has.
func (p pipeline) requests() int {
	if p.close {
		return 2
	}
	return 1
}

// execute asks for one statement.
func execute(s database.Statement) (request, error) {
	text, err := appendStatement([]byte(opening+`{"type":"execute","stmt":`), s)
	return request{text: append(text, '}')}, err
}

// describe asks what a statement would do.
func describe(sql string) request {
	return request{text: append(appendQuoted([]byte(opening+`{"type":"describe","sql":`), sql), '}')}
}

// closing asks for the end of a stream.
func closing() request { return request{text: []byte(opening + ending)} }

// never is a statement in place of one that cannot be sent: it fails where it
// would have been.
const never = "SELECT json('not sent')"

// batch asks for steps. A statement that is refused here fails at its own
// place, as one does that the database refuses; faults says why, by step.
func batch(steps []database.Step) (request, map[int]error) {
	faults := map[int]error{}
	text := append(make([]byte, 0, sizeOf(steps)), opening+`{"type":"batch","batch":{"steps":[`...)
	for i, s := range steps {
		if i > 0 {
			text = append(text, ',')
		}
		if text = append(text, '{'); s.When != nil {
			text = append(appendCondition(append(text, `"condition":`...), *s.When), ',')
		}
		text = append(text, `"stmt":`...)
		before := len(text)
		var err error
		if text, err = appendStatement(text, s.Statement); err != nil {
			faults[i] = err
			text, _ = appendStatement(text[:before], database.Statement{SQL: never})
		}
		text = append(text, '}')
	}
	return request{text: append(text, "]}}"...), terse: true}, faults
}

// sizeOf is about how many bytes steps take as text.
func sizeOf(steps []database.Step) int {
	size := 200
	for _, s := range steps {
		size += 200 + len(s.SQL)
		for _, arg := range s.Args {
			if text, ok := arg.(string); ok {
				size += len(text) + len(text)/4
			}
			size += 40
		}
	}
	return size
}

func appendCondition(text []byte, c database.Condition) []byte {
	of := func(kind string, step *int) []byte {
		text = append(append(text, `{"type":"`...), kind...)
		return append(strconv.AppendInt(append(text, `","step":`...), int64(*step), 10), '}')
	}
	all := func(kind string, parts []database.Condition) []byte {
		text = append(append(text, `{"type":"`...), kind...)
		text = append(text, `","conds":[`...)
		for i, part := range parts {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendCondition(text, part)
		}
		return append(text, "]}"...)
	}
	switch {
	case c.OK != nil:
		return of("ok", c.OK)
	case c.Error != nil:
		return of("error", c.Error)
	case c.Not != nil:
		return append(appendCondition(append(text, `{"type":"not","cond":`...), *c.Not), '}')
	case c.And != nil:
		return all("and", c.And)
	case c.Or != nil:
		return all("or", c.Or)
	default:
		return append(text, `{"type":"is_autocommit"}`...)
	}
}

// appendStatement adds a statement, whose SQL is not touched.
func appendStatement(text []byte, s database.Statement) ([]byte, error) {
	text, err := appendText(append(text, `{"sql":`...), s.SQL)
	if err != nil {
		return text, fmt.Errorf("statement: %w", err)
	}
	count, err := parameters.of(s.SQL)
	if err != nil {
		return text, err
	}
	if count >= 0 && count != len(s.Args) {
		return text, fmt.Errorf("statement has %d parameters and got %d arguments", count, len(s.Args))
	}
	text = append(text, `,"args":[`...)
	for i, arg := range s.Args {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = appendValue(text, arg); err != nil {
			return text, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return append(text, `],"want_rows":true}`...), nil
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

func appendValue(text []byte, arg any) ([]byte, error) {
	switch v := arg.(type) {
	case nil:
		return append(text, `{"type":"null"}`...), nil
	case int64:
		text = append(text, `{"type":"integer","value":"`...) // JSON has no 64 bits
		return append(strconv.AppendInt(text, v, 10), `"}`...), nil
	case bool:
		if v {
			return appendValue(text, int64(1))
		}
		return appendValue(text, int64(0))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return text, errors.New("is not a number that JSON can hold")
		}
		number, err := json.Marshal(v)
		return append(append(append(text, `{"type":"float","value":`...), number...), '}'), err
	case string:
		text, err := appendText(append(text, `{"type":"text","value":`...), v)
		return append(text, '}'), err
	case []byte:
		text = append(text, `{"type":"blob","base64":"`...)
		return append(base64.RawStdEncoding.AppendEncode(text, v), `"}`...), nil
	}
	return text, fmt.Errorf("is a %T; give nil, int64, float64, string, []byte or bool", arg)
}

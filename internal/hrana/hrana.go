// Package hrana speaks to a libSQL server: Hrana 3 over HTTP
// (github.com/tursodatabase/libsql, docs/HRANA_3_SPEC.md). It is the
// database.Conn of tenants whose database is not a file.
//
// It promises what the driver's own remote mode does not: a context ends a
// call, an error has a type, SQL reaches the server as it was written, the
// Host of a request is the caller's, and a whole batch is one round trip.
// Nothing that may have run is sent again.
package hrana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
)

// Options say where a database is and how it is reached.
type Options struct {
	URL   string // libsql://, https:// or http://, without user, query (but tls=0) or fragment
	Host  string // of the requests, whose first label names the namespace; default: that of URL
	Token string // sent as a bearer token; may be empty
	// Denied is what to do when the server does not accept the token; default: to
	// replace what connectionConfig.authToken refers to.
	Denied string
	// ReadOnly refuses statements that write, before they are sent.
	ReadOnly bool
	// Gone asks somebody who knows, after a server has said again and again that
	// there is no such database: true gives database.ErrMissing. May be nil.
	Gone func(context.Context) bool
	// HTTP carries the requests, see NewClient. Default: NewClient of nothing.
	HTTP *http.Client
	// MaxResponse is how large an answer may be, in bytes; default 64 MiB.
	MaxResponse int64
}

const defaultMaxResponse = 64 << 20 // the journal of a tenant with years of deployments, several times over

// Conn is a connection to a database on a server. It implements
// database.Conn. Calls from several goroutines wait for one another.
//
// Statements outside a transaction are single requests. BEGIN, SAVEPOINT and
// pragmas that set something open a stream on the server, which holds their
// effect until Close; a stream that is idle for ten seconds ends there, its
// transaction is rolled back, and every later call fails with
// database.ErrAway. A batch that begins a transaction and whose last step ends
// one is a single request again. PRAGMA data_version tells nothing outside a
// stream.
type Conn struct {
	options  Options
	endpoint string // of pipelines
	host     string // for messages

	mu     sync.Mutex
	baton  string // continues the stream; empty when none is open
	broken error  // why the stream is gone; nil while nothing is lost
	closed bool
}

var _ database.Conn = (*Conn)(nil)

// Open returns a connection. Nothing is sent before the first statement: a
// server that is away is its error, which matches database.ErrAway.
func Open(_ context.Context, o Options) (*Conn, error) {
	base, err := ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open database on a server: %w", err)
	}
	if o.HTTP == nil {
		o.HTTP = defaultClient()
	}
	if o.MaxResponse == 0 {
		o.MaxResponse = defaultMaxResponse
	}
	if o.Host == "" {
		o.Host = base.Host
	}
	return &Conn{options: o, endpoint: base.String() + "/v3/pipeline", host: o.Host}, nil
}

// Exec runs one statement. Rows that it returns are dropped.
func (c *Conn) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	result := c.one(ctx, database.Statement{SQL: sql, Args: args})
	return result.RowsAffected, result.Err
}

// Query runs one statement and returns its rows.
func (c *Conn) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	result := c.one(ctx, database.Statement{SQL: sql, Args: args})
	return result.Rows, result.Err
}

func (c *Conn) one(ctx context.Context, statement database.Statement) database.StepResult {
	encoded, err := execute(statement)
	if err == nil {
		err = c.permit(ctx, statement.SQL)
	}
	if err != nil {
		return database.StepResult{Err: err}
	}
	results, err := c.send(ctx, session(statement.SQL), encoded)
	if err != nil {
		return database.StepResult{Err: err}
	}
	if failed := results[0].Error; failed != nil {
		return database.StepResult{Err: failed.typed()}
	}
	done, err := results[0].execute()
	if err != nil {
		return database.StepResult{Err: c.named(err)}
	}
	return done
}

// Batch runs steps in one round trip. Where the answer is lost they may have
// run: a caller has to look.
func (c *Conn) Batch(ctx context.Context, steps []database.Step) ([]database.StepResult, error) {
	if err := database.CheckSteps(steps); err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, ctx.Err()
	}
	for _, s := range steps {
		if err := c.permit(ctx, s.SQL); err != nil {
			return nil, err
		}
	}
	sent, faults := batch(steps)
	results, err := c.send(ctx, sessionOf(steps), sent)
	if err != nil {
		return nil, err
	}
	if failed := results[0].Error; failed != nil {
		return nil, failed.typed()
	}
	answered, err := results[0].batch(steps)
	for i, fault := range faults {
		if err == nil && !answered[i].Skipped {
			answered[i].Err = fault
		}
	}
	return answered, c.named(err)
}

// Close ends the stream, if one is open, which rolls back its transaction. It
// may be called twice. A server that is away ends it by itself.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if c.baton == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_, _ = c.exchange(ctx, pipeline{baton: &c.baton, of: closing()})
	c.baton = ""
	return nil
}

// Remote tells that every call is a round trip, see database.Remote.
func (*Conn) Remote() bool { return true }

// Again returns another connection over the same way, whatever has become of
// this one.
func (c *Conn) Again() database.Conn {
	return &Conn{options: c.options, endpoint: c.endpoint, host: c.host}
}

// Unbound reports why the connection is not as it was made: a transaction or a
// setting lasts, or its stream is lost. Close ends them.
func (c *Conn) Unbound() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.baton != "" {
		return errors.New("a transaction or a setting is left")
	}
	return c.broken
}

// keeps says whether what a statement does lasts longer than itself.
type keeps int

const (
	keepsNothing keeps = iota
	keepsOpen          // a transaction or a setting
	keepsEnded         // a transaction that is over
)

// session says what a statement leaves on its connection, by its first words.
func session(sql string) keeps {
	switch firstWord(sql) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP":
		return keepsNothing // nearly all; a long text is not taken apart for it
	}
	tokens, err := database.Tokens(sql)
	if err != nil {
		return keepsNothing // the server will refuse it
	}
	first := ""
	for _, token := range tokens {
		switch {
		case token.Trivia():
		case first == "":
			first = strings.ToUpper(token.Text)
			switch first {
			case "BEGIN", "SAVEPOINT":
				return keepsOpen
			case "COMMIT", "END", "ROLLBACK":
				return keepsEnded
			case "PRAGMA":
			default:
				return keepsNothing
			}
		case token.Is("="), token.Is("("):
			return keepsOpen
		}
	}
	return keepsNothing
}

// firstWord is the word that a text begins with, in capitals; empty where it
// begins with anything but letters, such as a comment.
func firstWord(sql string) string {
	end := 0
	for end < len(sql) && end < len("REPLACE ") && ('a' <= sql[end]|0x20 && sql[end]|0x20 <= 'z') {
		end++
	}
	return strings.ToUpper(sql[:end])
}

func sessionOf(steps []database.Step) keeps {
	left := keepsNothing
	for _, step := range steps {
		if now := session(step.SQL); now == keepsOpen {
			left = keepsOpen
		}
	}
	if session(steps[len(steps)-1].SQL) == keepsEnded {
		return keepsEnded
	}
	return left
}

package database

import (
	"context"
	"slices"
)

// Ahead returns a connection that asks these queries of a server in one round
// trip, when the first of them is asked, and answers each from that: for a look
// whose queries are known beforehand and that writes nothing. Where one fails it
// is asked when its turn comes. A connection that reaches no server is returned
// as it is.
//
// The answers are those of one moment. Whatever is run beside Query ends their
// use. The connection is that of the argument, and is closed there.
func Ahead(conn Conn, queries ...string) Conn {
	if !Remote(conn) {
		return conn
	}
	return &ahead{Conn: conn, queries: queries}
}

type ahead struct {
	Conn
	queries []string
	answers map[string]Rows // nil before the first query
}

// Remote tells that the connection reaches a server.
func (a *ahead) Remote() bool { return true }

func (a *ahead) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	if len(args) > 0 || !slices.Contains(a.queries, sql) {
		return a.Conn.Query(ctx, sql, args...)
	}
	if a.answers == nil {
		if err := a.ask(ctx); err != nil {
			return Rows{}, err
		}
	}
	if rows, ok := a.answers[sql]; ok {
		return rows, nil
	}
	return a.Conn.Query(ctx, sql)
}

func (a *ahead) ask(ctx context.Context) error {
	steps := make([]Step, len(a.queries))
	for i, sql := range a.queries {
		steps[i].SQL = sql
	}
	results, err := a.Conn.Batch(ctx, steps)
	if err != nil {
		return err
	}
	a.answers = map[string]Rows{}
	for i, result := range results {
		if result.Err == nil {
			a.answers[a.queries[i]] = result.Rows
		}
	}
	return nil
}

func (a *ahead) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	a.queries = nil
	return a.Conn.Exec(ctx, sql, args...)
}

func (a *ahead) Batch(ctx context.Context, steps []Step) ([]StepResult, error) {
	a.queries = nil
	return a.Conn.Batch(ctx, steps)
}

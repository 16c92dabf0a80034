package hrana

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// Examine counts the rows of a query. The server itself says whether the
// statement only reads, before it runs; what reads but looks at more than
// tables and views, a pragma or EXPLAIN, is refused here.
func (c *Conn) Examine(ctx context.Context, sql string, limit int) (int, error) {
	text, err := query(sql)
	if err != nil {
		return 0, err
	}
	results, err := c.send(ctx, keepsNothing, request{Type: "describe", SQL: &text})
	if err != nil {
		return 0, err
	}
	if failed := results[0].Error; failed != nil {
		return 0, failed.typed()
	}
	var d described
	if err := results[0].result("describe", &d); err != nil {
		return 0, err
	}
	if !d.ReadOnly || d.Explain {
		return 0, fmt.Errorf("%w: the statement does more than read", database.ErrReadOnly)
	}
	// A line of its own closes the bracket: the text may end in a comment.
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT * FROM (%s\n) LIMIT %d", text, limit))
	return len(rows.Values), err
}

// query returns the one SELECT that a text holds.
func query(sql string) (string, error) {
	if err := database.CheckText(sql); err != nil {
		return "", err
	}
	statements, err := database.Split(sql)
	if err != nil {
		return "", err
	}
	if len(statements) != 1 {
		return "", fmt.Errorf("text holds %d statements, not one", len(statements))
	}
	tokens, err := database.Tokens(statements[0])
	if err != nil {
		return "", err
	}
	if first := tokens[0]; !first.Is("SELECT") && !first.Is("WITH") && !first.Is("VALUES") {
		return "", fmt.Errorf("%w: the statement is no query", database.ErrReadOnly)
	}
	depth := 0
	for _, token := range tokens {
		name, named := token.Name()
		switch {
		case named && strings.HasPrefix(strings.ToLower(name), "pragma_"):
			return "", fmt.Errorf("%w: a query here reads no pragma", database.ErrPermission)
		case token.Kind == database.Parameter:
			return "", errors.New("a query here has no parameters")
		case token.Is("("):
			depth++
		case token.Is(")"):
			depth--
		}
		if depth < 0 {
			return "", errors.New("the query closes a bracket that it did not open")
		}
	}
	return statements[0], nil
}

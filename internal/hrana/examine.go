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
	if err := c.reads(ctx, text); err != nil {
		return 0, err
	}
	// A line of its own closes the bracket: the text may end in a comment.
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT * FROM (%s\n) LIMIT %d", text, limit))
	return len(rows.Values), err
}

// reads asks the server whether a statement only reads.
func (c *Conn) reads(ctx context.Context, sql string) error {
	results, err := c.send(ctx, keepsNothing, describe(sql))
	if err != nil {
		return err
	}
	if failed := results[0].Error; failed != nil {
		return failed.typed()
	}
	d, err := results[0].result("describe")
	if err != nil {
		return err
	}
	if !d.ReadOnly || d.Explain {
		return fmt.Errorf("%w: the statement does more than read", database.ErrReadOnly)
	}
	return nil
}

// permit refuses what a read-only connection does not do. No SELECT writes
// (sqlite.org/c3ref/stmt_readonly.html), so it costs no question.
func (c *Conn) permit(ctx context.Context, sql string) error {
	if !c.options.ReadOnly {
		return nil
	}
	tokens, err := database.Tokens(sql)
	if err != nil {
		return err
	}
	first := ""
	for _, token := range tokens {
		switch {
		case token.Trivia():
		case first == "":
			first = strings.ToUpper(token.Text)
		case first == "PRAGMA" && token.Is("="):
			return fmt.Errorf("%w: it sets a pragma", database.ErrReadOnly)
		}
	}
	switch first {
	case "SELECT", "VALUES", "BEGIN", "COMMIT", "END", "ROLLBACK":
		return nil
	}
	return c.reads(ctx, sql)
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

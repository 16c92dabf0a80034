package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
)

// predicateOf returns the condition of a partial index from its text.
func predicateOf(sql string) string {
	tokens, err := database.Tokens(sql)
	if err != nil {
		return ""
	}
	depth := 0
	for _, t := range tokens {
		switch {
		case t.Is("("):
			depth++
		case t.Is(")"):
			depth--
		case depth == 0 && t.Is("WHERE"):
			return strings.TrimSpace(sql[t.End():])
		}
	}
	return ""
}

// checkPredicate accepts text that is one expression over the table's own
// columns: names of columns, literals, operators and brackets that close, and
// nothing that would begin another clause or statement. SQLite itself refuses
// subqueries and functions that are not deterministic when the proof creates
// the index.
func checkPredicate(t Table, text string) error {
	tokens, err := meaningful(text)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return fmt.Errorf("the condition is empty")
	}
	depth := 0
	for i, token := range tokens {
		switch {
		case token.Is("("):
			depth++
		case token.Is(")"):
			depth--
		case token.Kind == database.Parameter, token.Is(";"), token.Is("."), token.Is(",") && depth == 0:
			return fmt.Errorf("%q does not belong in a condition", token.Text)
		case token.Kind == database.Word || token.Kind == database.Quoted:
			if err := checkWord(t, token, i+1 < len(tokens) && tokens[i+1].Is("(")); err != nil {
				return err
			}
		}
		if depth < 0 {
			return fmt.Errorf("a bracket closes that was never opened")
		}
	}
	if depth != 0 {
		return fmt.Errorf("a bracket is never closed")
	}
	return nil
}

var predicateWords = []string{
	"AND", "OR", "NOT", "IS", "NULL", "ISNULL", "NOTNULL", "IN", "LIKE", "GLOB", "BETWEEN", "TRUE", "FALSE",
	"CASE", "WHEN", "THEN", "ELSE", "END", "COLLATE", "NOCASE", "BINARY", "RTRIM", "ESCAPE", "DISTINCT", "FROM",
}

var predicateFunctions = []string{"LOWER", "UPPER", "LENGTH", "TRIM", "COALESCE", "IFNULL", "NULLIF", "ABS", "TYPEOF"}

func checkWord(t Table, token database.Token, called bool) error {
	name, _ := token.Name()
	if token.Kind == database.Word {
		words := predicateWords
		if called && !token.Is("IN") && !token.Is("AND") && !token.Is("OR") && !token.Is("NOT") {
			words = predicateFunctions
		}
		if slices.ContainsFunc(words, token.Is) {
			return nil
		}
	}
	if _, ok := t.Column(name); ok && !called {
		return nil
	}
	return fmt.Errorf("%q is neither a column of %q nor a word that a condition may use", name, t.Name)
}

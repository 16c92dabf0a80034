package database

// Split cuts SQL text into its statements, in order, without the semicolons
// between them and without the space and comments around them; comments
// inside a statement stay. Statements that hold nothing are dropped, so text
// of comments alone gives no statement and no error.
//
// A trigger's own statements belong to it: CREATE TRIGGER ends with the first
// END that follows a semicolon, which is the rule of sqlite3_complete
// (sqlite.org/c3ref/complete.html) and leaves CASE ... END alone. A trigger
// without it, and whatever Tokens refuses, is a *SyntaxError. Split does not
// judge the statements otherwise.
func Split(text string) ([]string, error) {
	tokens, err := Tokens(text)
	if err != nil {
		return nil, err
	}
	var statements []string
	var open []Token // the statement being collected, without trivia
	for _, token := range tokens {
		switch {
		case token.Trivia():
		case token.Is(";") && complete(open):
			statements = appendStatement(statements, text, open)
			open = open[:0]
		default:
			open = append(open, token)
		}
	}
	if !complete(open) {
		return nil, &SyntaxError{
			Offset:  open[0].Start,
			Message: "trigger does not end; close it with END after its last semicolon",
		}
	}
	return appendStatement(statements, text, open), nil
}

func appendStatement(statements []string, text string, tokens []Token) []string {
	if len(tokens) == 0 {
		return statements
	}
	return append(statements, text[tokens[0].Start:tokens[len(tokens)-1].End()])
}

// complete reports whether a semicolon after these tokens ends a statement.
func complete(tokens []Token) bool {
	n := len(tokens)
	return !isTrigger(tokens) || n > 1 && tokens[n-2].Is(";") && tokens[n-1].Is("END")
}

// isTrigger reports whether the tokens begin a CREATE TRIGGER, which EXPLAIN
// may precede.
func isTrigger(tokens []Token) bool {
	for _, word := range []string{"EXPLAIN", "QUERY", "PLAN"} {
		tokens = skip(tokens, word)
	}
	if len(tokens) == 0 || !tokens[0].Is("CREATE") {
		return false
	}
	for _, word := range []string{"CREATE", "TEMP", "TEMPORARY"} {
		tokens = skip(tokens, word)
	}
	return len(tokens) > 0 && tokens[0].Is("TRIGGER")
}

// skip drops the first token when it is this word.
func skip(tokens []Token, word string) []Token {
	if len(tokens) > 0 && tokens[0].Is(word) {
		return tokens[1:]
	}
	return tokens
}

package database

import (
	"fmt"
	"strings"
)

// Kind says what a Token is. Keywords are Words: whether a word is a keyword
// depends on where it stands, and Token.Is is how a caller asks.
type Kind uint8

// The kinds of tokens, after sqlite.org/lang.html and SQLite's tokenize.c.
const (
	Space       Kind = iota // blanks and line ends
	Comment                 // -- to the end of its line, or /* */
	Word                    // a bare identifier or keyword
	Quoted                  // an identifier in "a", `a` or [a]
	String                  // 'a'; SQLite takes it for an identifier where only that fits
	Blob                    // x'0a'
	Number                  // 1, .5, 1e3, 0xff
	Parameter               // ?, ?1, :a, @a, $a
	Punctuation             // operators, brackets, commas and semicolons
)

// Token is one piece of SQL text, as written.
type Token struct {
	Kind  Kind
	Text  string
	Start int // offset in bytes of Text in the text it came from
}

// End is the offset in bytes just after the token.
func (t Token) End() int { return t.Start + len(t.Text) }

// Trivia reports whether the token means nothing to the database: space or a
// comment.
func (t Token) Trivia() bool { return t.Kind == Space || t.Kind == Comment }

// Is reports whether the token is this keyword, in any case, or this
// punctuation. A quoted identifier is never a keyword.
func (t Token) Is(text string) bool {
	return (t.Kind == Word || t.Kind == Punctuation) &&
		len(t.Text) == len(text) && strings.EqualFold(t.Text, text)
}

// Name returns the identifier that the token spells, without its quotes, and
// false for a token that cannot be one. A String counts: SQLite accepts it
// where it expects a name.
func (t Token) Name() (string, bool) {
	switch t.Kind {
	case Word:
		return t.Text, true
	case Quoted, String:
		quote, inner := t.Text[:1], t.Text[1:len(t.Text)-1]
		if quote == "[" {
			return inner, true // has no way to write a bracket
		}
		return strings.ReplaceAll(inner, quote+quote, quote), true
	default:
		return "", false
	}
}

// SyntaxError reports text that cannot be cut into tokens or statements.
type SyntaxError struct {
	Offset  int // in bytes, of the token or statement at fault
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("SQL at byte %d: %s", e.Offset, e.Message)
}

// Tokens cuts SQL text into its tokens, trivia included, by the rules of
// SQLite's own tokenizer. The texts of the tokens, put together, are the text
// that came in, so a caller edits SQL by replacing the ranges it means.
//
// It is stricter than SQLite in one point: a comment that never ends is an
// error. What is an error there is one here, a *SyntaxError: a string, name
// or blob that does not end, and a byte that begins no token.
func Tokens(text string) ([]Token, error) {
	var tokens []Token
	for start := 0; start < len(text); {
		kind, size, fault := scan(text[start:])
		if fault != "" {
			return nil, &SyntaxError{Offset: start, Message: fault}
		}
		tokens = append(tokens, Token{Kind: kind, Text: text[start : start+size], Start: start})
		start += size
	}
	return tokens, nil
}

const byteOrderMark = "\uFEFF" // space to SQLite

// scan measures the token at the beginning of s, which is not empty.
func scan(s string) (kind Kind, size int, fault string) {
	switch c := s[0]; {
	case isSpace(c):
		return Space, span(s, isSpace), ""
	case strings.HasPrefix(s, byteOrderMark):
		return Space, len(byteOrderMark), ""
	case strings.HasPrefix(s, "--"):
		return Comment, until(s, "\n"), ""
	case strings.HasPrefix(s, "/*"):
		end := strings.Index(s[2:], "*/")
		if end < 0 {
			return 0, 0, "comment does not end; close it with */"
		}
		return Comment, 2 + end + 2, ""
	case c == '\'':
		return quoted(String, s, "'")
	case c == '"' || c == '`':
		return quoted(Quoted, s, s[:1])
	case c == '[':
		return quoted(Quoted, s, "]")
	case (c == 'x' || c == 'X') && len(s) > 1 && s[1] == '\'':
		return blob(s)
	case isDigit(c), c == '.' && len(s) > 1 && isDigit(s[1]):
		return number(s)
	case c == '?':
		return Parameter, 1 + span(s[1:], isDigit), ""
	case c == ':' || c == '@' || c == '$':
		return parameter(s)
	case isNamePart(c):
		return Word, span(s, isNamePart), ""
	}
	return punctuation(s)
}

// quoted measures a token that ends with the given quote. A doubled quote
// stands for itself, except in brackets.
func quoted(kind Kind, s, quote string) (Kind, int, string) {
	for size := 1; ; {
		end := strings.Index(s[size:], quote)
		if end < 0 {
			return 0, 0, fmt.Sprintf("%s is never closed; add %s", head(s), quote)
		}
		size += end + 1
		if quote == "]" || !strings.HasPrefix(s[size:], quote) {
			return kind, size, ""
		}
		size++
	}
}

func blob(s string) (Kind, int, string) {
	digits := span(s[2:], isHex)
	size := 2 + digits
	if digits%2 != 0 || size == len(s) || s[size] != '\'' {
		return 0, 0, fmt.Sprintf("%s is not a blob; write pairs of hexadecimal digits, as x'0a'", head(s))
	}
	return Blob, size + 1, ""
}

func number(s string) (Kind, int, string) {
	size := 0
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") && isHex(s[2]) {
		size = 2 + span(s[2:], isHex)
	} else {
		size = span(s, isDigit)
		if size < len(s) && s[size] == '.' {
			size += 1 + span(s[size+1:], isDigit)
		}
		size += exponent(s[size:])
	}
	if size < len(s) && isNamePart(s[size]) {
		return 0, 0, fmt.Sprintf("%s is neither a number nor a name; quote it if it is a name", head(s))
	}
	return Number, size, ""
}

// exponent measures the e+10 of a number, 0 when there is none.
func exponent(s string) int {
	if s == "" || s[0]|0x20 != 'e' {
		return 0
	}
	size := 1
	if len(s) > 1 && (s[1] == '+' || s[1] == '-') {
		size = 2
	}
	digits := span(s[size:], isDigit)
	if digits == 0 {
		return 0
	}
	return size + digits
}

// parameter measures a named parameter. The forms $a::b and $a(b) come from
// Tcl; sqlite.org/lang_expr.html has them.
func parameter(s string) (Kind, int, string) {
	size, named := 1, false
	for size < len(s) {
		rest := s[size:]
		if part := span(rest, isNamePart); part > 0 {
			size, named = size+part, true
		} else if strings.HasPrefix(rest, "::") {
			size += 2
		} else if rest[0] == '(' && named {
			part := strings.IndexFunc(rest, func(r rune) bool { return r == ')' || r < 0x80 && isSpace(byte(r)) })
			if part < 0 || rest[part] != ')' {
				return 0, 0, fmt.Sprintf("%s is never closed; add )", head(s))
			}
			return Parameter, size + part + 1, ""
		} else {
			break
		}
	}
	if !named {
		return 0, 0, fmt.Sprintf("%s is not a parameter; give it a name", s[:1])
	}
	return Parameter, size, ""
}

// operators of more than one byte, the longer of two that begin alike first.
var operators = []string{"->>", "->", "||", "<<", "<=", "<>", ">>", ">=", "==", "!="}

func punctuation(s string) (Kind, int, string) {
	for _, operator := range operators {
		if strings.HasPrefix(s, operator) {
			return Punctuation, len(operator), ""
		}
	}
	if strings.IndexByte("()+-*/%=<>,.;&|~", s[0]) < 0 {
		return 0, 0, fmt.Sprintf("%q begins nothing that SQL knows", s[0])
	}
	return Punctuation, 1, ""
}

// span is the length of the part of s that consists of such bytes only.
func span(s string, of func(byte) bool) int {
	for i := range len(s) {
		if !of(s[i]) {
			return i
		}
	}
	return len(s)
}

// until is the length of the part of s before the mark, or of all of it.
func until(s, mark string) int {
	if i := strings.Index(s, mark); i >= 0 {
		return i
	}
	return len(s)
}

// head is the beginning of s, short enough for a message.
func head(s string) string {
	const most = 24
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// isNamePart reports whether c may stand in a bare name. Every byte of a
// character outside ASCII may.
func isNamePart(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '$' || c >= 0x80
}

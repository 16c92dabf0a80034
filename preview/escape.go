package preview

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of one text that comes from a repository.
const (
	maxText = 400  // of a sentence, in bytes
	maxName = 120  // of a name
	maxLine = 2000 // of a line of SQL
)

// joiner has no width and is no space: it keeps text from being taken for a
// mention, a reference or a link, which forges look for in what was rendered.
const joiner = "\u2060"

// tokens are what looks like a secret: of forges, clouds and chats, JSON Web
// Tokens and private keys.
var tokens = regexp.MustCompile(`(?:gh[pousr]_|github_pat_|glpat-|gldt-|xox[abprs]-|sk-|AKIA|ASIA)[A-Za-z0-9_-]{10,}` +
	`|eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*|-----BEGIN [A-Z ]+-----|AGE-SECRET-KEY-[A-Z0-9]+`)

// addresses have a user and a password in them.
var addresses = regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@`)

// plain makes text of a repository harmless before it is put into any form:
// without controls and marks that turn the direction of writing, without what
// looks like a secret.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == utf8.RuneError, unicode.IsControl(r):
			return -1
		case unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return addresses.ReplaceAllString(tokens.ReplaceAllString(text, "[secret]"), "$1")
}

// line is plain text in one line of at most a number of bytes.
func line(text string, most int) string {
	text = strings.Join(strings.Fields(plain(text)), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// prose writes text as itself, in one line: no mark of it is Markdown or HTML,
// and nobody is called by it.
func prose(text string) string {
	var b strings.Builder
	text = line(text, maxText)
	for i, r := range text {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '@', '#', '!':
			b.WriteString("\\" + string(r) + joiner)
		case '\\', '`', '*', '_', '{', '}', '[', ']', '~', '|', '$', '^':
			b.WriteString("\\" + string(r))
		case '/':
			if strings.HasSuffix(text[:i], ":") || i == 0 { // a link, or an order to the forge
				b.WriteString(joiner)
			}
			b.WriteRune(r)
		case '.':
			if strings.HasSuffix(strings.ToLower(text[:i]), "www") {
				b.WriteString(joiner)
			}
			b.WriteRune(r)
		case '+', '-':
			if i == 0 {
				b.WriteString("\\")
			}
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// name writes a name as code, also within a table.
func name(text string) string {
	text = strings.ReplaceAll(line(text, maxName), "|", "\u00a6")
	if text == "" {
		return "``` ```"
	}
	fence := strings.Repeat("`", longest(text, '`')+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// longest is the length of the longest run of a character.
func longest(text string, c rune) int {
	most, run := 0, 0
	for _, r := range text {
		if run++; r != c {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

// fenced writes text as a block of code of a language, of at most a number of
// bytes; it tells whether that is all of it.
func fenced(language, text string, most int) (block string, whole bool) {
	lines := strings.Split(plain(text), "\n")
	whole = true
	var b strings.Builder
	for _, l := range lines {
		if len(l) > maxLine {
			l, whole = strings.ToValidUTF8(l[:maxLine], "")+" ...", false
		}
		if b.Len()+len(l)+1 > most {
			whole = false
			break
		}
		b.WriteString(l + "\n")
	}
	fence := strings.Repeat("`", max(3, longest(b.String(), '`')+1))
	return fence + language + "\n" + b.String() + fence + "\n", whole
}

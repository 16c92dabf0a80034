package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// page is output for people: lines, and tables whose columns line up. Text
// that comes from a repository or a database cannot move the cursor or change
// colours.
type page struct {
	bytes.Buffer
	color bool
}

// line adds one line. Arguments are cleaned unless they are painted.
func (p *page) line(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case painted, int, int64:
		default:
			args[i] = clean(fmt.Sprint(arg))
		}
	}
	fmt.Fprintf(p, format+"\n", args...)
}

// table adds a header and rows; nothing when there are no rows. The last
// column is not padded.
func (p *page) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	all := append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for _, row := range all {
		for i, text := range row {
			row[i] = strings.ReplaceAll(clean(text), "\n", " ")
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, text := range row {
			padding := widths[i] - utf8.RuneCountInString(text)
			line.WriteString(string(p.word(text)) + strings.Repeat(" ", padding+2))
		}
		fmt.Fprintln(p, strings.TrimRight(line.String(), " "))
	}
}

// painted is text that may be written as it is.
type painted string

// word paints a word that says how something is.
func (p *page) word(text string) painted {
	if code, ok := colors[text]; ok && p.color {
		return painted("\x1b[" + code + "m" + text + "\x1b[0m")
	}
	return painted(text)
}

// colors are the SGR codes of the words of a status.
var colors = map[string]string{
	"Synced": "32", "Healthy": "32", "Succeeded": "32", "ready": "32", "ok": "32",
	"OutOfSync": "33", "Progressing": "33", "Missing": "33", "Unknown": "33", "Partial": "33", "Running": "33", "warn": "33", "warning": "33",
	"Blocked": "31", "Degraded": "31", "Failed": "31", "failed": "31", "fail": "31", "error": "31",
	"Suspended": "2",
}

// clean takes control characters out of text, except line ends and tabs.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// short is how a digest or a commit is shown to people.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// orDash shows that there is nothing to show.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// plural is "1 tenant" or "3 tenants".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

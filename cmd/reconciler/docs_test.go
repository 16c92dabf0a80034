package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// given finds the reasons that code gives, in each way that it is written.
var given = regexp.MustCompile(`return (?:Blocked|Failed), "(\w+)"|[Rr]eason: +"([A-Z]\w+)"|Reason\(\) string +\{ return "(\w+)"` +
	`|\bConflict\("(\w+)"|\.Reason\b[^"\n]* = [^"\n]*"([A-Z]\w+)"|\b[Rr]eason\w* += "([A-Z]\w+)"`)

// Every reason is explained, with its cause and what to do, since programs
// match them and people look them up.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	found := reasons(t)
	if len(found) < 40 {
		t.Errorf("only %d reasons were found: %v", len(found), found)
	}
	for reason := range found {
		_, entry, ok := strings.Cut(string(page), "\n### `"+reason+"`\n")
		entry, _, _ = strings.Cut(entry, "\n#")
		cause, fix, _ := strings.Cut(entry, "**Fix:**")
		if !ok || strings.TrimSpace(cause) == "" || strings.TrimSpace(fix) == "" {
			t.Errorf("docs/reasons.md has no entry of %s with its cause and **Fix:**", reason)
		}
	}
}

// reasons are the words in the code of every package.
func reasons(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	files, err := filepath.Glob("../../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"../../*/*/*.go", "*.go"} {
		found, err := filepath.Glob(more)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, groups := range given.FindAllStringSubmatch(string(text), -1) {
			found[strings.Join(groups[1:], "")] = true // all but one are empty
		}
	}
	return found
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// words are the reasons, as the package that has them declares them.
func words(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/reason/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, declared := range file.Decls {
		group, ok := declared.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			one := spec.(*ast.ValueSpec)
			value, ok := one.Values[0].(*ast.BasicLit)
			if !ok || value.Value != strconv.Quote(one.Names[0].Name) {
				t.Errorf("the word of reason.%s is another", one.Names[0].Name)
			}
			found = append(found, one.Names[0].Name)
		}
	}
	return found
}

// Every reason is explained, with its cause and what to do, since programs
// match them and people look them up. None is explained that is not given.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	known := words(t)
	for _, reason := range known {
		_, entry, ok := strings.Cut(string(page), "\n### `"+reason+"`\n")
		entry, _, _ = strings.Cut(entry, "\n#")
		cause, fix, _ := strings.Cut(entry, "**Fix:**")
		if !ok || strings.TrimSpace(cause) == "" || strings.TrimSpace(fix) == "" {
			t.Errorf("docs/reasons.md has no entry of %s with its cause and **Fix:**", reason)
		}
	}
	for _, entry := range regexp.MustCompile("(?m)^### `(.*)`$").FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(known, entry[1]) {
			t.Errorf("docs/reasons.md explains %s, which is no reason", entry[1])
		}
	}
}

// unnamed finds reasons that are written as text, where a slip of the pen would
// be one that nobody knows.
var unnamed = regexp.MustCompile(`[Rr]eason\w*(?: +string)?(?:: *| *:?=+ *| *!= *|\(\) string +\{ return )"[A-Z]\w+"` +
	`|\.Reason\b[^"\n]* = [^"\n]*"[A-Z]\w+"|\bConflict\("|\bproblemOf\("`)

func TestReasonsHaveOneHome(t *testing.T) {
	var text []byte
	for _, pattern := range []string{"../../*/*.go", "../../*/*/*.go", "../../*/*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.Contains(file, "statetest") {
				continue
			}
			one, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range unnamed.FindAll(one, -1) {
				t.Errorf("%s: %s: take it from internal/reason", file, found)
			}
			text = append(text, one...)
		}
	}
	for _, word := range words(t) {
		if !strings.Contains(string(text), "reason."+word) {
			t.Errorf("nothing gives the reason %s", word)
		}
	}
}

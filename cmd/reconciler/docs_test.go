package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every reason that a tenant can be given is explained, since programs match
// them.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	given := regexp.MustCompile(`return (?:Blocked|Failed), "(\w+)"|[Rr]eason: +"([A-Z]\w+)"|Reason\(\) string +\{ return "(\w+)"` +
		`|\bConflict\("(\w+)"|\.Reason\b[^"\n]* = [^"\n]*"([A-Z]\w+)"`)
	found := map[string]bool{}
	for _, dir := range []string{"apply", "cmd/reconciler", "deploy", "diff", "fleet", "plan", "provision", "reconcile", "tenantrouter"} {
		files, _ := filepath.Glob("../../" + dir + "/*.go")
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, groups := range given.FindAllStringSubmatch(string(text), -1) {
				found[strings.Join(groups[1:], "")] = true // all but one are empty
			}
		}
	}
	if len(found) < 30 {
		t.Errorf("only %d reasons were found: %v", len(found), found)
	}
	for reason := range found {
		if !strings.Contains(string(page), "`"+reason+"`") {
			t.Errorf("docs/cli.md does not explain %s", reason)
		}
	}
}

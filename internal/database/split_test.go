package database_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
)

const auditTrigger = `CREATE TRIGGER audit AFTER UPDATE ON t WHEN new.a <> old.a BEGIN
  UPDATE t SET b = CASE WHEN new.a > 0 THEN 'end; BEGIN' ELSE "end" END; -- ; END
  INSERT INTO log VALUES (CASE new.a WHEN 1 THEN 2 END);
END`

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":                         {text: ""},
		"comments and semicolons alone":   {text: " ; -- a;b\n /* ; */ ;"},
		"one statement, with its ending":  {text: "SELECT 1;\n", want: []string{"SELECT 1"}},
		"two statements":                  {text: "SELECT 1; SELECT 2", want: []string{"SELECT 1", "SELECT 2"}},
		"semicolons in strings and names": {text: "SELECT ';' \";\" `;` [;]; b", want: []string{"SELECT ';' \";\" `;` [;]", "b"}},
		"a comment inside stays": {
			text: "/* before */ SELECT /* a; */ 1 -- after\n; SELECT 2",
			want: []string{"SELECT /* a; */ 1", "SELECT 2"},
		},
		"a trigger between others": {
			text: "SELECT 1;" + auditTrigger + ";SELECT 2;",
			want: []string{"SELECT 1", auditTrigger, "SELECT 2"},
		},
		"a trigger at the end":   {text: auditTrigger, want: []string{auditTrigger}},
		"a temporary trigger":    {text: "create temp trigger x begin a; end; b", want: []string{"create temp trigger x begin a; end", "b"}},
		"an explained trigger":   {text: "EXPLAIN QUERY PLAN CREATE TRIGGER x BEGIN a; END; b", want: []string{"EXPLAIN QUERY PLAN CREATE TRIGGER x BEGIN a; END", "b"}},
		"a transaction":          {text: "BEGIN; a; END; b", want: []string{"BEGIN", "a", "END", "b"}},
		"a table called trigger": {text: `CREATE TABLE "TRIGGER" (a); b`, want: []string{`CREATE TABLE "TRIGGER" (a)`, "b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := database.Split(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitRefusesATriggerWithoutEnd(t *testing.T) {
	_, err := database.Split("SELECT 1; CREATE TRIGGER x BEGIN SELECT CASE 1 WHEN 1 THEN 2 END;")
	var syntax *database.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset != 10 {
		t.Fatalf("got %v, want a SyntaxError at byte 10", err)
	}
}

// FuzzSplit holds what every caller relies on: tokens add up to the text,
// statements hold every token but trivia and semicolons between them, and a
// statement splits into itself.
func FuzzSplit(f *testing.F) {
	f.Add("SELECT 1; " + auditTrigger + "; -- end")
	f.Add("a 'b")
	f.Add("x'0a' [c;d] `e` \"f\" $a::b(c) 1e5 ?1 /* */")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := database.Tokens(text)
		if err != nil {
			return
		}
		var all strings.Builder
		for _, token := range tokens {
			if token.Start != all.Len() || token.Text == "" {
				t.Fatalf("token %q begins at %d, want %d", token.Text, token.Start, all.Len())
			}
			all.WriteString(token.Text)
		}
		if all.String() != text {
			t.Fatalf("tokens add up to %q, want %q", all.String(), text)
		}
		statements, err := database.Split(text)
		if err != nil {
			return
		}
		var held []string
		for _, statement := range statements {
			held = append(held, words(t, statement)...)
			again, err := database.Split(statement)
			if diff := cmp.Diff([]string{statement}, again); err != nil || diff != "" {
				t.Fatalf("split again: %v\n%s", err, diff)
			}
		}
		if diff := cmp.Diff(words(t, text), held); diff != "" {
			t.Fatalf("tokens of the text and of its statements (-want +got):\n%s", diff)
		}
	})
}

// words lists the tokens that are neither trivia nor semicolons.
func words(t *testing.T, text string) []string {
	t.Helper()
	tokens, err := database.Tokens(text)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, token := range tokens {
		if !token.Trivia() && !token.Is(";") {
			texts = append(texts, token.Text)
		}
	}
	return texts
}

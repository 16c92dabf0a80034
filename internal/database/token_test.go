package database_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
)

func TestTokens(t *testing.T) {
	tests := map[string]struct {
		text string
		want []database.Token // trivia left out
	}{
		"four ways to quote a name": {
			text: "\"a\"\"b\" `c``d` [e]f 'g''h'",
			want: []database.Token{
				{Kind: database.Quoted, Text: `"a""b"`, Start: 0},
				{Kind: database.Quoted, Text: "`c``d`", Start: 7},
				{Kind: database.Quoted, Text: "[e]", Start: 14},
				{Kind: database.Word, Text: "f", Start: 17},
				{Kind: database.String, Text: "'g''h'", Start: 19},
			},
		},
		"numbers": {
			text: "1 .5 1. 1.5e-3 0xFF 1e3-2",
			want: []database.Token{
				{Kind: database.Number, Text: "1", Start: 0},
				{Kind: database.Number, Text: ".5", Start: 2},
				{Kind: database.Number, Text: "1.", Start: 5},
				{Kind: database.Number, Text: "1.5e-3", Start: 8},
				{Kind: database.Number, Text: "0xFF", Start: 15},
				{Kind: database.Number, Text: "1e3", Start: 20},
				{Kind: database.Punctuation, Text: "-", Start: 23},
				{Kind: database.Number, Text: "2", Start: 24},
			},
		},
		"blobs, and a name that begins like one": {
			text: "x'0a' X'' xy x",
			want: []database.Token{
				{Kind: database.Blob, Text: "x'0a'", Start: 0},
				{Kind: database.Blob, Text: "X''", Start: 6},
				{Kind: database.Word, Text: "xy", Start: 10},
				{Kind: database.Word, Text: "x", Start: 13},
			},
		},
		"parameters": {
			text: "? ?12 :a @b $c::d(e)",
			want: []database.Token{
				{Kind: database.Parameter, Text: "?", Start: 0},
				{Kind: database.Parameter, Text: "?12", Start: 2},
				{Kind: database.Parameter, Text: ":a", Start: 6},
				{Kind: database.Parameter, Text: "@b", Start: 9},
				{Kind: database.Parameter, Text: "$c::d(e)", Start: 12},
			},
		},
		"operators take the longer form": {
			text: "a->>b->c||d<>e",
			want: []database.Token{
				{Kind: database.Word, Text: "a", Start: 0},
				{Kind: database.Punctuation, Text: "->>", Start: 1},
				{Kind: database.Word, Text: "b", Start: 4},
				{Kind: database.Punctuation, Text: "->", Start: 5},
				{Kind: database.Word, Text: "c", Start: 7},
				{Kind: database.Punctuation, Text: "||", Start: 8},
				{Kind: database.Word, Text: "d", Start: 10},
				{Kind: database.Punctuation, Text: "<>", Start: 11},
				{Kind: database.Word, Text: "e", Start: 13},
			},
		},
		"comments are trivia, a minus is not": {
			text: "a -- b\n/* c */ - ü",
			want: []database.Token{
				{Kind: database.Word, Text: "a", Start: 0},
				{Kind: database.Punctuation, Text: "-", Start: 15},
				{Kind: database.Word, Text: "ü", Start: 17},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tokens, err := database.Tokens(test.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []database.Token
			for _, token := range tokens {
				if !token.Trivia() {
					got = append(got, token)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("tokens (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokensRefuse(t *testing.T) {
	tests := map[string]struct {
		text   string
		offset int
		says   string
	}{
		"an open string":       {text: "a 'b''", offset: 2, says: "never closed; add '"},
		"an open name":         {text: `a "b`, offset: 2, says: `never closed; add "`},
		"an open bracket":      {text: "a [b", offset: 2, says: "never closed; add ]"},
		"an open comment":      {text: "a /* b", offset: 2, says: "close it with */"},
		"a blob of half bytes": {text: "x'0'", offset: 0, says: "is not a blob"},
		"a number with a tail": {text: "12ab", offset: 0, says: "neither a number nor a name"},
		"a lonely colon":       {text: "a :", offset: 2, says: "give it a name"},
		"an unknown byte":      {text: "a \x00", offset: 2, says: `'\x00' begins nothing`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := database.Tokens(test.text)
			var syntax *database.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v, want a SyntaxError", err)
			}
			if syntax.Offset != test.offset || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q at %d, want %q at %d", err, syntax.Offset, test.says, test.offset)
			}
		})
	}
}

func TestTokenName(t *testing.T) {
	for text, want := range map[string]string{
		`a`: "a", `"a""b"`: `a"b`, "`a``b`": "a`b", "[a\"b]": `a"b`, "'it''s'": "it's", `""`: "",
	} {
		tokens, err := database.Tokens(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := tokens[0].Name(); !ok || got != want {
			t.Errorf("name of %s: got %q %v, want %q", text, got, ok, want)
		}
	}
}

func TestTokenIsKnowsKeywordsFromNames(t *testing.T) {
	tokens, err := database.Tokens(`create "create" ( 'create'`)
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, token := range tokens {
		if !token.Trivia() {
			got = append(got, token.Is("CREATE") || token.Is("("))
		}
	}
	if diff := cmp.Diff([]bool{true, false, true, false}, got); diff != "" {
		t.Error(diff)
	}
}

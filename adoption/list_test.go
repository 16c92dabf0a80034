package adoption_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/adoption"
)

func TestReadList(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []adoption.Row
		err        string // what each line of the error has, in order; empty for none
	}{
		{name: "two values and four", text: "acme,file:acme.db\nglobex,libsql://x,Globex Ltd,pro\n", want: []adoption.Row{
			{Line: 1, ID: "acme", URL: "file:acme.db", Name: "acme"},
			{Line: 2, ID: "globex", URL: "libsql://x", Name: "Globex Ltd", Plan: "pro"},
		}},
		{name: "a header, spaces and empty lines", text: "ID,url\n\n  acme , file:a.db \n", want: []adoption.Row{{Line: 3, ID: "acme", URL: "file:a.db", Name: "acme"}}},
		{name: "a comma in quotes", text: "acme,file:a.db,\"Acme, Inc\"\n", want: []adoption.Row{{Line: 1, ID: "acme", URL: "file:a.db", Name: "Acme, Inc"}}},
		{name: "an empty name is the id", text: "acme,file:a.db,,free\n", want: []adoption.Row{{Line: 1, ID: "acme", URL: "file:a.db", Name: "acme", Plan: "free"}}},
		{name: "a token", text: "acme,libsql://x,,,$file:acme\n", want: []adoption.Row{{Line: 1, ID: "acme", URL: "libsql://x", Name: "acme", AuthToken: "$file:acme"}}},
		{name: "a token in plain text", text: "acme,libsql://x,,,SECRET\n", err: "line 1: its authToken is no reference to a secret"},
		{name: "nothing", text: "", err: "the list is empty"},
		{name: "a header alone", text: "id,url\n", err: "the list is empty"},
		{name: "an id twice", text: "acme,file:a.db\nacme,file:b.db\n", err: `line 2: "acme" is in line 1 already`},
		{name: "a path for an id", text: "../etc,file:a.db\n", err: "line 1: \"../etc\" is not a tenant's id"},
		{name: "capitals", text: "Acme,file:a.db\n", err: "is not a tenant's id"},
		{name: "an unknown plan", text: "acme,file:a.db,Acme,gold\n", err: `line 1: "gold" is no plan: write free, pro, enterprise`},
		{name: "too few and too many values", text: "acme\nglobex,a,b,,$env:D,e\n", err: "line 1: it has 1 values\nline 2: it has 6 values"},
		{name: "a quote that is not closed", text: "acme,\"file:a.db\n", err: "quote"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := adoption.ReadList(strings.NewReader(c.text))
			if c.err == "" && err != nil || c.err != "" && err == nil {
				t.Fatalf("got the error %v, want %q", err, c.err)
			}
			for want := range strings.SplitSeq(c.err, "\n") {
				if err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to have %q", err, want)
				}
			}
			if c.err == "" && !cmp.Equal(got, c.want) {
				t.Error(cmp.Diff(c.want, got))
			}
		})
	}
}

// Whatever a list holds, what is taken from it are ids that may be the names of
// directories, each once.
func FuzzReadList(f *testing.F) {
	for _, seed := range []string{"id,url\nacme,file:a.db\n", "acme,file:a.db,Acme,pro", "\"a\n", "a,b\na,c", "\ufeffid,url\na,b", "-,x\n..,y\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := adoption.ReadList(strings.NewReader(text))
		if len(rows) == 0 && err == nil {
			t.Fatal("an empty list is no error")
		}
		seen := map[string]bool{}
		for _, row := range rows {
			if adoption.CheckID(row.ID) != nil || seen[row.ID] || row.Line < 1 || row.Name == "" {
				t.Errorf("got %+v", row)
			}
			seen[row.ID] = true
		}
	})
}

package schema

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Databases hold digests of every release before: the text that a digest is over
// stays what it is, whatever makes it.
func TestDigestText(t *testing.T) {
	odd := "a \"b\"\\\n\x00 ä\u2028\xff"
	tables := []Table{
		{Name: "Contact", PrimaryKey: []string{"id"}, Columns: []Column{{Name: "ID", Type: "text", NotNull: true}, {Name: "n", Type: "INTEGER", Default: "'1'"}}},
		{Name: odd, PrimaryKey: []string{odd, "b"}, Columns: []Column{{Name: odd, Type: odd, Default: odd}}, Indexes: []Index{
			{Name: "i", Unique: true, Columns: []string{"a", odd}, Where: odd}, {Name: "none"},
		}},
		{Name: "without"},
	}
	var lines []string
	for _, table := range tables {
		name := strings.ToLower(table.Name)
		lines = append(lines, fmt.Sprintf("table %q key %q", name, table.PrimaryKey))
		for _, c := range table.Columns {
			lines = append(lines, fmt.Sprintf("column %q %q %q %t %q", name, strings.ToLower(c.Name), strings.ToUpper(c.Type), c.NotNull, c.Default))
		}
		for _, i := range table.Indexes {
			lines = append(lines, fmt.Sprintf("index %q %q %t %q %q", name, strings.ToLower(i.Name), i.Unique, i.Columns, i.Where))
		}
	}
	slices.Sort(lines)
	if got, want := Digest(tables), fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n")))); got != want {
		t.Errorf("got %s, want %s of\n%s", got, want, strings.Join(lines, "\n"))
	}
}

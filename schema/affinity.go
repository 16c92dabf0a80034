package schema

import "strings"

// The type affinities of SQLite (sqlite.org/datatype3.html, section 3.1):
// what a column does to the values that are stored in it.
const (
	Integer = "INTEGER"
	Text    = "TEXT"
	Blob    = "BLOB"
	Real    = "REAL"
	Numeric = "NUMERIC"
)

// Affinity returns the affinity of a declared type.
func Affinity(declared string) string {
	declared = strings.ToUpper(declared)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(declared, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return Integer
	case has("CHAR", "CLOB", "TEXT"):
		return Text
	case declared == "", has("BLOB"):
		return Blob
	case has("REAL", "FLOA", "DOUB"):
		return Real
	}
	return Numeric
}

package schema

import (
	"crypto/sha1"
	"encoding/hex"
	"regexp"
	"strings"
)

// maxIndexName is the longest name an index gets; a longer one is cut and
// made unique again by a hash, as the ObjectStack runtime does.
const maxIndexName = 60

// Reserved are the name prefixes that no bundle may use, in lower case: the
// engine's, ours, and those of replication tools.
var Reserved = []string{"sqlite_", "libsql_", "_reconciler_", "_retired_", "_litestream_"}

var identifier = regexp.MustCompile(`\A[a-z_][a-z0-9_]*\z`)

// ValidName tells whether a table or column name is an identifier of the
// protocol: lower-case letters, digits and underscores, not starting with a
// digit.
func ValidName(name string) bool { return identifier.MatchString(name) }

// IsReserved tells whether name belongs to the engine, to us or to a
// replication tool.
func IsReserved(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range Reserved {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// IndexName is the name of an index on columns of table when its definition
// gives none: the one that the runtime would choose, so that it does not add
// its own.
func IndexName(table string, columns []string, unique bool) string {
	prefix := "idx_"
	if unique {
		prefix = "uniq_"
	}
	name := prefix + table + "_" + strings.Join(columns, "_")
	if len(name) <= maxIndexName {
		return name
	}
	sum := sha1.Sum([]byte(name))
	return name[:51] + "_" + hex.EncodeToString(sum[:4])
}

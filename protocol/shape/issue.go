package shape

import (
	"fmt"
	"strings"
)

// Codes of issues, as the protocol names them. InvalidJSON is ours.
const (
	InvalidType      = "invalid_type"      // of the wrong type, null or missing
	InvalidValue     = "invalid_value"     // none of the values allowed, also when missing
	TooSmall         = "too_small"         // below a bound or too short
	TooBig           = "too_big"           // above a bound or too long
	InvalidFormat    = "invalid_format"    // not of the format
	InvalidUnion     = "invalid_union"     // none of the alternatives
	InvalidKey       = "invalid_key"       // key of a map not of the format
	Custom           = "custom"            // a Refiner's
	UnrecognizedKeys = "unrecognized_keys" // unknown key
	InvalidJSON      = "invalid_json"      // not JSON at all
)

// Issue is one thing wrong with a value.
type Issue struct {
	Path    []any  // from the root: string for a key, int for an index
	Code    string // one of the codes
	Message string // for people
}

func (i Issue) String() string {
	var b strings.Builder
	for n, step := range i.Path {
		if key, ok := step.(string); ok {
			if n > 0 {
				b.WriteByte('.')
			}
			b.WriteString(key)
			continue
		}
		fmt.Fprintf(&b, "[%d]", step)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(i.Message)
	return b.String()
}

// Issues is all that is wrong with a value, as an error.
type Issues []Issue

func (s Issues) Error() string {
	lines := make([]string, len(s))
	for n, i := range s {
		lines[n] = i.String()
	}
	return strings.Join(lines, "; ")
}

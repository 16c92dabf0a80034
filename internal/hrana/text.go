package hrana

import (
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/memo"
)

// texts are long ones as JSON, by themselves. Nearly all that a fleet's
// deployment sends is the same for each tenant: the schema, the record of what
// is ours, the definitions.
var texts memo.Map[string]

const (
	longText  = 256 // bytes; to look up a shorter one takes as long as to write it
	largeText = 64 << 10
	maxTexts  = 64
)

// appendText adds a text as JSON, where it would come back the same.
func appendText(text []byte, s string) ([]byte, error) {
	kept := len(s) >= longText && len(s) <= largeText
	if kept {
		if known, ok := texts.Recall(s); ok {
			return append(text, known...), nil
		}
	}
	if err := database.CheckText(s); err != nil {
		return text, err
	}
	before := len(text)
	text = appendQuoted(text, s)
	if kept {
		texts.Remember(s, string(text[before:]), maxTexts)
	}
	return text, nil
}

// appendQuoted adds valid UTF-8 as a string of JSON (RFC 8259, section 7).
func appendQuoted(text []byte, s string) []byte {
	const hex = "0123456789abcdef"
	text = append(text, '"')
	written := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		text = append(text, s[written:i]...)
		switch written = i + 1; c {
		case '"', '\\':
			text = append(text, '\\', c)
		case '\n':
			text = append(text, `\n`...)
		default:
			text = append(text, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(text, s[written:]...), '"')
}

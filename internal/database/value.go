package database

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckText refuses text that would not come back the same everywhere:
// functions of SQL stop at a zero byte (sqlite.org/nulinstr.html), and JSON
// holds no invalid UTF-8.
func CheckText(text string) error {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fmt.Errorf("text holds a zero byte at offset %d; store it as a blob", i)
	}
	if !utf8.ValidString(text) {
		return errors.New("text is not valid UTF-8; store it as a blob")
	}
	return nil
}

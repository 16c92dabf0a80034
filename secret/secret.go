// Package secret is where references to secrets become what they stand for:
// environment variables, files, and text that is encrypted for the operator's
// age key. It also encrypts what the reconciler itself has to keep, so that no
// token rests in the clear.
//
// What is resolved is used and forgotten; nothing here prints it, and an error
// names the reference alone.
package secret

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/reason"
)

// Errors that a caller can match.
var (
	// ErrUnreadable says that a secret cannot be had.
	ErrUnreadable = errors.New("secret cannot be read")
	// ErrNoKey says that there is no age key to encrypt for or to decrypt with.
	ErrNoKey = errors.New("there is no age key")
)

// Error says that a secret cannot be had, or that none can be kept. It matches
// ErrUnreadable, ErrNoKey or both.
type Error struct {
	Err  error
	next string
}

func failed(next, format string, values ...any) error {
	return &Error{Err: fmt.Errorf(format, values...), next: next}
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Reason is the word for programs.
func (e *Error) Reason() string { return reason.SecretUnreadable }

// Next is the next step, for people.
func (e *Error) Next() string { return e.next }

// Again tells that another try may do: secrets are read at each.
func (e *Error) Again() bool { return true }

// Keeper resolves references and encrypts. It keeps nothing in memory: files
// are read at each use, so that one that was changed counts at once. The zero
// Keeper knows environment variables alone. It may be shared.
type Keeper struct {
	// Dir is the directory of the files that $file: names.
	Dir string
	// IdentityFile has age identities, one a line. All of them decrypt, and the
	// first is the one that is encrypted for. Empty for none.
	IdentityFile string
}

// Resolve reads a secret. White space around it is cut off; an empty reference
// is an empty secret. Errors are *Error, match ErrUnreadable and name the
// reference, never what it stands for.
func (k Keeper) Resolve(reference config.Secret) (string, error) {
	text := string(reference)
	switch {
	case text == "":
		return "", nil
	case !reference.Valid():
		return "", failed("write one there", "%w: it is not a reference such as $env:RECONCILER_SECRET_X or $file:NAME", ErrUnreadable)
	case strings.HasPrefix(text, "$env:"):
		return fromEnvironment(strings.TrimPrefix(text, "$env:"))
	case strings.HasPrefix(text, "$file:"):
		return k.fromFile(reference)
	}
	return k.open(strings.TrimPrefix(text, "$age:"))
}

// Token reads a secret that is sent to a server in a header of a request, as
// Resolve does. One that is empty, or has more than one line, is an *Error as well:
// it would be sent as none, or could not be.
func (k Keeper) Token(reference config.Secret) (string, error) {
	text, err := k.Resolve(reference)
	switch {
	case err != nil || reference == "":
		return text, err
	case text == "":
		return "", failed(nextToken, "%w: %s stands for an empty text", ErrUnreadable, nameOf(reference))
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", failed(nextToken, "%w: what %s stands for is no token: it has several lines, or characters that no token has", ErrUnreadable, nameOf(reference))
	case len(text) > maxToken:
		return "", failed(nextToken, "%w: what %s stands for is no token: it has more than %d bytes", ErrUnreadable, nameOf(reference), maxToken)
	}
	return text, nil
}

const nextToken = "put the token there, and nothing else; it is tried again"

// nameOf is a reference in a message, which an encrypted value is too long for.
func nameOf(reference config.Secret) string {
	if strings.HasPrefix(string(reference), "$age:") {
		return "an $age: value"
	}
	return string(reference)
}

const maxToken = 16 << 10 // bytes; servers take no more in a header, and tokens have some hundreds

func fromEnvironment(name string) (string, error) {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return "", failed("set it where the reconciler runs, and start it again", "%w: the environment variable %s is empty", ErrUnreadable, name)
	}
	return value, nil
}

func (k Keeper) fromFile(reference config.Secret) (string, error) {
	if k.Dir == "" {
		return "", failed("give --secrets-dir, and start the reconciler again", "%w: %s needs a directory of secrets", ErrUnreadable, reference)
	}
	path, _ := reference.File(k.Dir)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", failed("put the secret into this file, for the reconciler's user to read; it is tried again", "%w: %w", ErrUnreadable, err)
	}
	return strings.TrimSpace(string(text)), nil
}

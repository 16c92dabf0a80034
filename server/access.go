package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// errUnauthenticated is a request without the token, or with another.
var errUnauthenticated = errors.New("the request has no valid bearer token")

// errNoToken is a server whose own token cannot be read: nobody is let in.
var errNoToken = errors.New("the server's token cannot be read")

// authenticate compares the request's bearer token with the server's, in a
// time that tells nothing of how much of it is right.
func (s *server) authenticate(r *http.Request) error {
	want, err := s.config.Token()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNoToken, err)
	case want == "":
		return fmt.Errorf("%w: it is empty", errNoToken)
	}
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return errUnauthenticated
	}
	scheme, got, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !equal(got, want) {
		return errUnauthenticated
	}
	return nil
}

func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

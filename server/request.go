package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// badRequest is a request that cannot be read. Its text is for who sent it.
type badRequest struct{ err error }

func (e *badRequest) Error() string { return "the request cannot be read: " + e.err.Error() }
func (e *badRequest) Unwrap() error { return e.err }

// asking is the handler of a route that takes one JSON value of at most max
// bytes and answers with another.
func asking[Q, A any](max int64, do func(context.Context, Q) (A, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var question Q
		if err := read(w, r, max, &question); err != nil {
			return err
		}
		answer, err := do(r.Context(), question)
		if err != nil {
			return err
		}
		return write(w, http.StatusOK, answer)
	}
}

// read decodes a body strictly: one value, no unknown key, nothing after it.
func read(w http.ResponseWriter, r *http.Request, max int64, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errMediaType
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, max))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		_, err = decoder.Token()
		if err == nil {
			err = errors.New("there is more than one value in it")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF) && decoder.InputOffset() > 0:
		return nil
	case errors.As(err, &large):
		return fmt.Errorf("%w: it takes %d bytes", errTooLarge, max)
	case errors.Is(err, io.EOF):
		return &badRequest{errors.New("it is empty")}
	default:
		return &badRequest{err}
	}
}

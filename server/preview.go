package server

import (
	"errors"
	"net/http"
	"strconv"
)

// errNoPreview is a pull request that the daemon has no preview of.
var errNoPreview = errors.New("there is no preview of this pull request: it has ended, or is being previewed")

// Previews has the newest preview of each open pull request.
type Previews interface {
	// Preview is the whole report, as JSON; nil for none.
	Preview(number int) []byte
}

// preview answers with the whole report, of which a comment has what fits.
func (s *server) preview(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number <= 0 {
		return errNoPreview
	}
	report := s.config.Previews.Preview(number)
	if report == nil {
		return errNoPreview
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(report) // who does not take it has gone away
	return nil
}

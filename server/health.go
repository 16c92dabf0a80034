package server

import (
	"errors"
	"net/http"
)

var errNotReady = errors.New("the first pass over the fleet has not ended, or the daemon is about to end")

// Health says how the daemon is, to what starts and ends it.
type Health struct {
	// Ready tells whether the daemon does its work.
	Ready func() bool
}

// healthAnswer is that of a daemon that is well.
type healthAnswer struct {
	Status string `json:"status"` // ok
}

// healthy answers for as long as the process does: nothing that a restart does
// not cure makes it fail, and a long migration is no reason to be killed.
func (s *server) healthy(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, healthAnswer{Status: "ok"})
}

func (s *server) ready(w http.ResponseWriter, _ *http.Request) error {
	if !s.config.Health.Ready() {
		return errNotReady
	}
	return write(w, http.StatusOK, healthAnswer{Status: "ok"})
}

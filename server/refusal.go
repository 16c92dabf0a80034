package server

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/tenantrouter"
)

var (
	errNoRoute   = errors.New("nothing is served at this path")
	errMethod    = errors.New("the path is not asked by this method")
	errMediaType = errors.New("the body has to be application/json")
	errTooLarge  = errors.New("the body is too large")
)

// sentinels says how each error that a caller can do something about is
// answered. The first row that matches counts; after them come the rows of
// tenantrouter.Answer. What matches none is a 500 whose text stays in the log.
var sentinels = []struct {
	err    error
	status int
	code   string
}{
	{errUnauthenticated, http.StatusUnauthorized, "invalid_token"},
	{errNoToken, http.StatusServiceUnavailable, "unavailable"},
	{errUnsigned, http.StatusUnauthorized, "unauthenticated"},
	{errNoSecrets, http.StatusServiceUnavailable, "unavailable"},
	{errReplayed, http.StatusConflict, "replayed"},
	{errNotReady, http.StatusServiceUnavailable, "unavailable"},
	{errNoRoute, http.StatusNotFound, "not_found"},
	{errNoPreview, http.StatusNotFound, "not_found"},
	{errMethod, http.StatusMethodNotAllowed, "method_not_allowed"},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported_media_type"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{provision.ErrKeyReused, http.StatusUnprocessableEntity, "key_reused"},
}

// refusal is the answer to a request that was not carried out.
type refusal struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func refusalOf(err error) (status int, r refusal) {
	var bad *badRequest
	if errors.As(err, &bad) {
		r.Error.Code, r.Error.Message = "bad_request", bad.Error()
		return http.StatusBadRequest, r
	}
	for _, row := range sentinels {
		if errors.Is(err, row.err) {
			r.Error.Code, r.Error.Message = row.code, row.err.Error()
			return row.status, r
		}
	}
	status, r.Error.Code, r.Error.Message, _ = tenantrouter.Answer(err)
	return status, r
}

// Attributes of the log.
const (
	attrRequest = "request"
	attrErr     = "err"
)

func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, answer := refusalOf(err)
	switch {
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case status >= http.StatusInternalServerError && !errors.Is(err, errNotReady):
		s.config.Log.Error("request failed", attrRequest, r.Pattern, attrErr, err)
	}
	if err := write(w, status, answer); err != nil {
		s.config.Log.Error("request failed", attrRequest, r.Pattern, attrErr, err)
	}
}

// write sends an answer as JSON. Nothing has been sent when it gives an error.
func write(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/state"
)

// What the daemon takes on its socket: POST with a request as JSON. Only
// commands of the same version are meant to speak it.
const (
	approvePath = "/v1/approve"
	holdPath    = "/v1/hold"
	releasePath = "/v1/release"

	rollbackPath = "/v1/rollback"
	undoPath     = "/v1/undo"
	rolloutPath  = "/v1/rollout"
	confirmPath  = "/v1/confirm"
	lifePath     = "/v1/tenant"
	rekeyPath    = "/v1/rekey"
)

const (
	maxRequest    = 64 << 10         // bytes; a reason is the longest part of one
	requestTime   = 10 * time.Second // to send a request, and for what is under way at the end
	answerTime    = 30 * time.Minute // a rollback may convert a large table
	maxSocketPath = 107              // bytes: sun_path of unix(7), without its last zero
)

// socketPath is where the daemon of a data directory listens.
func socketPath(dir string) (string, error) {
	path := filepath.Join(dir, "reconciler.sock")
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("the path of the control socket, %s, has %d bytes, and the system takes %d: "+
			"give a shorter --data, which may be relative", path, len(path), maxSocketPath)
	}
	return path, nil
}

// socket serves a control to the user that the daemon runs as.
type socket struct {
	server *http.Server
	served chan error
}

// serve listens in a data directory whose lock this process holds: a socket
// that is there was left behind.
func serve(dir string, k *control, log *slog.Logger) (*socket, error) {
	path, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	listener, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("serve commands: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+approvePath, serving(k, log, (*control).approve))
	mux.Handle("POST "+holdPath, serving(k, log, (*control).hold))
	mux.Handle("POST "+releasePath, serving(k, log, (*control).release))
	mux.Handle("POST "+rollbackPath, serving(k, log, (*control).rollback))
	mux.Handle("POST "+undoPath, serving(k, log, (*control).undo))
	mux.Handle("POST "+rolloutPath, serving(k, log, (*control).rollout))
	mux.Handle("POST "+confirmPath, serving(k, log, (*control).confirm))
	mux.Handle("POST "+rekeyPath, serving(k, log, (*control).rekey))
	mux.Handle("POST "+lifePath, serving(k, log, (*control).tenant))
	s := &socket{served: make(chan error, 1), server: &http.Server{
		Handler: mux, ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: requestTime,
		MaxHeaderBytes: maxRequest, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// listen makes a socket that only this user may connect to. The mask is that
// of the whole process, which does nothing else at this time.
func listen(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there and is no socket: move it away", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	mask := syscall.Umask(0o177)
	defer syscall.Umask(mask)
	return net.Listen("unix", path) // closing it removes the file
}

// close takes no more requests, lets those under way end, and removes the file.
func (s *socket) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// serving is the handler of one kind of request.
func serving[Q, A any](k *control, log *slog.Logger, do func(*control, context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		decoder.DisallowUnknownFields()
		var answer any
		err := decoder.Decode(&q)
		if err != nil {
			err = usageError{fmt.Errorf("the request cannot be read: %w", err)}
		} else {
			answer, err = do(k, r.Context(), q)
		}
		status := http.StatusOK
		if err != nil {
			status, answer = refusalOf(err)
			log.Warn("request refused", attrRequest, r.URL.Path, attrErr, err)
		} else {
			log.Info("request carried out", attrRequest, r.URL.Path)
		}
		body, err := json.Marshal(answer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(body)
	}
}

// refusal is the answer to a request that was not carried out.
type refusal struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Reason  string `json:"reason,omitempty"` // likewise the next two: of an error that has them
		Next    string `json:"next,omitempty"`
	} `json:"error"`
}

// refused is a refusal as an error. It is a reason.Error where the daemon had one.
type refused struct{ refusal }

func (r refused) Error() string  { return r.refusal.Error.Message }
func (r refused) Reason() string { return r.refusal.Error.Reason }
func (r refused) Next() string   { return r.refusal.Error.Next }

func refusalOf(err error) (int, refusal) {
	var r refusal
	var usage usageError
	status := http.StatusInternalServerError
	r.Error.Code, r.Error.Message = "failed", err.Error()
	var explained reason.Error
	if errors.As(err, &explained) {
		r.Error.Reason, r.Error.Next = explained.Reason(), explained.Next()
	}
	switch {
	case errors.As(err, &usage):
		status, r.Error.Code = http.StatusBadRequest, "usage"
	case errors.Is(err, state.ErrNotFound):
		status, r.Error.Code = http.StatusNotFound, "not_found"
	case errors.Is(err, state.ErrAmbiguous):
		status, r.Error.Code = http.StatusConflict, "ambiguous"
	}
	return status, r
}

// ask has the daemon of a data directory carry a request out. Where no daemon
// listens the error matches fs.ErrNotExist or syscall.ECONNREFUSED.
func ask[A any](ctx context.Context, dir, path string, q any) (answer A, err error) {
	at, err := socketPath(dir)
	if err != nil {
		return answer, err
	}
	body, err := json.Marshal(q)
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://daemon"+path, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", at)
	}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer, fmt.Errorf("ask the daemon: %w", err)
	}
	defer response.Body.Close()
	err = answered(response, &answer)
	return answer, err
}

// answered reads an answer, or the refusal that came instead of it.
func answered(response *http.Response, answer any) error {
	decoder := json.NewDecoder(response.Body)
	if response.StatusCode == http.StatusOK {
		if err := decoder.Decode(answer); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return nil
	}
	var r refusal
	if err := decoder.Decode(&r); err != nil || r.Error.Message == "" {
		return fmt.Errorf("the daemon answers %s: it may be of another version", strings.ToLower(response.Status))
	}
	return refused{r}
}

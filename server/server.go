// Package server is the reconciler's HTTP API for programs. A request is JSON
// and so is every answer; a refusal is {"error":{"code","message"}}, whose code
// is for programs and whose message never holds a secret or a driver's text.
//
// What is served is one table, routes. Whoever adds to it brings a file of its
// own with the handler, a small interface in Config for what the handler
// calls, and rows in the table of sentinels.
package server

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// Config is what the server needs. A part that is nil is not served.
type Config struct {
	// Token returns the bearer token that a request has to show. It is asked
	// for each request, so that a file that has changed counts at once. An
	// error, or an empty token, refuses the request.
	Token func() (string, error)
	// Router answers /api/v1/router/resolve.
	Router Router
	// SignUps answers POST /api/v1/tenants.
	SignUps SignUps
	// Previews answers GET /api/v1/previews/{number}.
	Previews Previews
	// Webhook answers /webhook.
	Webhook *Webhook
	// Health answers /healthz and /readyz.
	Health *Health
	// Metrics answers /metrics, to anybody with OpenMetrics.
	Metrics     http.Handler
	OpenMetrics bool
	// Log gets a line for each request that failed by no fault of its own.
	Log *slog.Logger
}

// Validate reports everything that is missing.
func (c Config) Validate() error {
	var missing []error
	if c.Token == nil {
		missing = append(missing, errors.New("a server needs a token that requests have to show"))
	}
	if c.Log == nil {
		missing = append(missing, errors.New("a server needs a log"))
	}
	return errors.Join(missing...)
}

// route is a row of the table of what is served.
type route struct {
	pattern string // method and path, as for http.ServeMux
	open    bool   // anyone may ask, or the handler checks a signature itself
	handler handler
}

// handler answers a request, or returns the error to refuse it with when it
// has written nothing.
type handler func(http.ResponseWriter, *http.Request) error

// routes is what is served, in the order of the documentation.
func (s *server) routes() []route {
	var all []route
	if s.config.Router != nil {
		all = append(all, route{pattern: "POST /api/v1/router/resolve", handler: asking(maxResolve, s.resolve)})
	}
	if s.config.SignUps != nil {
		all = append(all, route{pattern: "POST /api/v1/tenants", handler: s.signUp})
	}
	if s.config.Previews != nil {
		all = append(all, route{pattern: "GET /api/v1/previews/{number}", handler: s.preview})
	}
	return append(all, s.operations()...)
}

type server struct{ config Config }

// New returns the handler of the whole API. Its error is that of
// Config.Validate.
func New(c Config) (http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &server{config: c}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range s.routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		methods[path] = append(methods[path], method)
		mux.Handle(r.pattern, s.serving(r))
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		mux.Handle(path, s.serving(route{open: true, handler: onlyMethods(strings.Join(allowed, ", "))}))
	}
	mux.Handle("/", s.serving(route{handler: notFound}))
	return mux, nil
}

// serving checks who asks, and turns a handler's error into its answer.
func (s *server) serving(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		err := error(nil)
		if !r.open {
			err = s.authenticate(request)
		}
		if err == nil {
			err = r.handler(w, request)
		}
		if err != nil {
			s.refuse(w, request, err)
		}
	})
}

func notFound(http.ResponseWriter, *http.Request) error { return errNoRoute }

// onlyMethods refuses what a path is not asked by.
func onlyMethods(allowed string) handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allowed)
		return errMethod
	}
}

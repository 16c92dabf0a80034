package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tenantops/reconciler/server"
)

const (
	apiHeaders    = 64 << 10         // bytes
	apiHeaderTime = 5 * time.Second  // to send the headers of a request
	apiTime       = 30 * time.Second // to send a request, to be answered, and for what is under way at the end
	apiIdleTime   = 2 * time.Minute  // a connection without a request
)

// api is the HTTP API while it is served.
type api struct {
	server  *http.Server
	address string // with the port that the system chose, for :0
	served  chan error
}

// serveAPI serves the HTTP API on the address of the settings. Without one it
// returns nil, which may be closed.
func (c *cli) serveAPI(log *slog.Logger) (*api, error) {
	address := c.settings.Server.Listen
	if address == "" {
		return nil, nil
	}
	handler, err := c.apiHandler(log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the HTTP API: %w", err)
	}
	a := &api{address: listener.Addr().String(), served: make(chan error, 1), server: &http.Server{
		Handler: handler, MaxHeaderBytes: apiHeaders, ReadHeaderTimeout: apiHeaderTime,
		ReadTimeout: apiTime, WriteTimeout: apiTime, IdleTimeout: apiIdleTime,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() { a.served <- a.server.Serve(listener) }()
	log.Info("api served", attrAddress, a.address)
	return a, nil
}

// apiHandler wires what is served. The token is read at each request, so that
// a file that has changed counts, and once now, to find a mistake at the start.
func (c *cli) apiHandler(log *slog.Logger) (http.Handler, error) {
	token, dir := c.settings.Server.Token, c.settings.SecretsDir
	if token == "" {
		return nil, errors.New("--listen needs a token that requests have to show: set server.token in reconciler.yaml, " +
			"or RECONCILER_SERVER_TOKEN, to $file:NAME or $env:RECONCILER_SECRET_NAME")
	}
	if _, err := token.Resolve(dir); err != nil {
		return nil, fmt.Errorf("server.token: %w", err)
	}
	return server.New(server.Config{
		Token: func() (string, error) { return token.Resolve(dir) },
		Log:   log,
	})
}

// close takes no more requests and lets those under way end.
func (a *api) close() error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), apiTime)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if served := <-a.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

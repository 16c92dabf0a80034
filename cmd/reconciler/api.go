package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/server"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
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
	parts   []func() error // that end after the last request
}

// apiParts are what the daemon has for the HTTP API.
type apiParts struct {
	store   *state.Store
	files   *tenantrouter.Router
	signUps server.SignUps // nil: nobody can sign up
	opened  func(*tenantrouter.Gateway)
	log     *slog.Logger
}

// serveAPI serves the HTTP API on the address of the settings. Without one it
// returns nil, which may be closed.
func (c *cli) serveAPI(p apiParts) (_ *api, err error) {
	address := c.settings.Server.Listen
	if address == "" {
		return nil, nil
	}
	a := &api{served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closeParts())
		}
	}()
	handler, err := c.apiHandler(a, p)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the HTTP API: %w", err)
	}
	a.address = listener.Addr().String()
	a.server = &http.Server{
		Handler: handler, MaxHeaderBytes: apiHeaders, ReadHeaderTimeout: apiHeaderTime,
		ReadTimeout: apiTime, WriteTimeout: apiTime, IdleTimeout: apiIdleTime,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	go func() { a.served <- a.server.Serve(listener) }()
	p.log.Info("api served", attrAddress, a.address)
	return a, nil
}

// apiHandler wires what is served. The token is read at each request, so that
// a file that has changed counts, and once now, to find a mistake at the start.
func (c *cli) apiHandler(a *api, p apiParts) (http.Handler, error) {
	token := c.settings.Server.Token
	if token == "" {
		return nil, misconfigured{errors.New("--listen needs a token that requests have to show: set server.token in reconciler.yaml, " +
			"or RECONCILER_SERVER_TOKEN, to $file:NAME or $env:RECONCILER_SECRET_NAME")}
	}
	if _, err := c.secrets().Resolve(token); err != nil {
		return nil, fmt.Errorf("server.token: %w", err)
	}
	gateway, err := c.gateway(a, p)
	if err != nil {
		return nil, err
	}
	served := server.Config{
		Token:   func() (string, error) { return c.secrets().Resolve(token) },
		Router:  gateway,
		SignUps: p.signUps,
		Log:     p.log,
	}
	if err := c.serveOperations(&served); err != nil {
		return nil, err
	}
	return server.New(served)
}

// gateway finds tenants in the daemon's own state. It opens no database.
func (c *cli) gateway(a *api, p apiParts) (*tenantrouter.Gateway, error) {
	options := tenantrouter.Options{Records: tenantrouter.RecordsOf(p.store), Files: p.files, Log: p.log}
	if c.settings.Router.Strategies != "" {
		resolver, err := identity.New(identityConfig(c.settings.Router, p.log))
		if err != nil {
			return nil, fmt.Errorf("router: %w", err)
		}
		options.Identity = resolver
		a.parts = append(a.parts, resolver.Close)
	}
	gateway, err := tenantrouter.Open(options)
	if err == nil {
		a.parts = append(a.parts, gateway.Close)
	}
	if err == nil && p.opened != nil {
		p.opened(gateway)
	}
	return gateway, err
}

// identityConfig are the settings of the router.
func identityConfig(r config.Router, log *slog.Logger) identity.Config {
	return identity.Config{
		Strategies: wordsOf[protocol.TenantResolverStrategy](r.Strategies), Optional: wordsOf[protocol.TenantResolverStrategy](r.Optional),
		Header: r.Header, Domains: wordsOf[string](r.Domains), PathPrefix: r.PathPrefix,
		Token: identity.Token{
			JWKSURL: r.Token.JWKSURL, KeyFile: r.Token.KeyFile, Algorithms: wordsOf[string](r.Token.Algorithms),
			Audience: r.Token.Audience, Issuer: r.Token.Issuer, Claim: r.Token.Claim, Skew: r.Token.Skew.Duration(), Log: log,
		},
	}
}

// wordsOf are the words of a setting that are separated by commas.
func wordsOf[T ~string](text string) []T {
	var words []T
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, T(word))
		}
	}
	return words
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
	return errors.Join(err, a.closeParts())
}

func (a *api) closeParts() error {
	var wrong []error
	for _, part := range a.parts {
		wrong = append(wrong, part())
	}
	return errors.Join(wrong...)
}

package hrana

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ClientOptions say how servers are reached. The zero value means defaults.
type ClientOptions struct {
	CA *x509.CertPool // that certificates must come from; nil for the system's
	// Proxy returns the proxy of a request; default that of the environment
	// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
	Proxy       func(*http.Request) (*url.URL, error)
	Concurrency int           // requests at a time; default 32
	Rate        float64       // requests a second; default no limit
	Timeout     time.Duration // of one request with its answer, from its turn on; default 60s
}

const (
	defaultConcurrency = 32
	defaultTimeout     = time.Minute
	dialTime           = 10 * time.Second
	idleTime           = 90 * time.Second
	writeBuffer        = 64 << 10 // a deployment is one write, which wakes the server once
)

var defaultClient = sync.OnceValue(func() *http.Client { return NewClient(ClientOptions{}) })

// NewClient returns a client for Options.HTTP, to be shared by all databases
// of one server or service: its limits are those of all of them together. It
// follows no redirect.
func NewClient(o ClientOptions) *http.Client {
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	transport := &http.Transport{
		Proxy:       o.Proxy,
		DialContext: (&net.Dialer{Timeout: dialTime}).DialContext,
		// HTTP/1.1: a stream that stands still holds up no other.
		TLSClientConfig:     &tls.Config{RootCAs: o.CA, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: dialTime,
		IdleConnTimeout:     idleTime,
		WriteBufferSize:     writeBuffer,
		MaxIdleConns:        o.Concurrency, MaxIdleConnsPerHost: o.Concurrency,
	}
	return &http.Client{
		Transport: &limited{transport, rate.NewLimiter(limit, max(1, int(o.Rate))), make(chan struct{}, o.Concurrency), o.Timeout},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// limited keeps requests to a rate, to a number at a time, and each to a time of
// its own: a server is not slow because others were asked before.
type limited struct {
	http.RoundTripper
	rate    *rate.Limiter
	slots   chan struct{}
	timeout time.Duration
}

// RoundTrip waits for its turn, which ends when the answer has been read.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.wait(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("wait for a turn: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), l.timeout, fmt.Errorf("no whole answer within %v", l.timeout))
	leave := sync.OnceFunc(func() { cancel(); <-l.slots })
	answer, err := l.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		leave()
		return nil, err
	}
	answer.Body = body{answer.Body, leave}
	return answer, nil
}

// CloseIdleConnections lets http.Client's method of this name work.
func (l *limited) CloseIdleConnections() {
	if t, ok := l.RoundTripper.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (l *limited) wait(ctx context.Context) error {
	if err := l.rate.Wait(ctx); err != nil {
		return err
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// body is an answer's body that says when it is done.
type body struct {
	io.ReadCloser
	leave func()
}

func (b body) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

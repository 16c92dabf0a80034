// Package control asks the control planes of database servers: the interfaces
// through which databases are made, blocked and removed, apart from those that
// run statements. It has what they share: one request at its rate, an answer of
// bounded size, and errors that say what to do. sqld and turso have the rest.
package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/retryafter"
)

const (
	callTime   = 30 * time.Second // for one try; a fork of 1 GB took 4 s
	maxAnswer  = 1 << 20          // bytes, of one about a single database
	maxMessage = 300              // bytes of a server's message in an error
	tries      = 4                // of a call that is asked to wait
	maxWait    = time.Minute      // for a server; what it asks for beyond is heeded without waiting
	maxPause   = time.Hour        // that a Retry-After is heeded
)

// Database is a database of a server.
type Database struct {
	Name string // that the server knows it by
	URL  string // where statements go; without secrets
	ID   string // that one which is made anew under the name does not have; empty where the server gives none
}

// Usage is what a database has used, as its server counts it.
type Usage struct {
	RowsRead    int64  `json:"rowsRead"`
	RowsWritten int64  `json:"rowsWritten"`
	Bytes       int64  `json:"bytes"` // that it takes now
	Since       string `json:"since"` // of the rows: UsedEver or UsedThisMonth
}

// The times since when a server counts.
const (
	UsedEver      = "creation"
	UsedThisMonth = "month" // of the calendar
)

// Plane is the control plane of one server. It may be shared.
type Plane struct {
	Provider string // in errors: sqld, turso
	Base     string // URL without user, query and fragment
	// Authorization returns the header of that name, with its secret, at each
	// call. An empty one is not sent.
	Authorization func() (string, error)
	Client        *http.Client // default: one that follows no redirect
	Limiter       *Limiter     // default: NewLimiter()
}

// New returns a Plane with its defaults. A base that is no plain URL is an
// error.
func New(p Plane) (*Plane, error) {
	if !config.PlainURL(p.Base) {
		return nil, fmt.Errorf("%s: the control plane needs a URL such as https://host:8081, without user and query", p.Provider)
	}
	p.Base = strings.TrimSuffix(p.Base, "/")
	if p.Client == nil {
		p.Client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	client := *p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.Client = &client
	if p.Limiter == nil {
		p.Limiter = NewLimiter()
	}
	return &p, nil
}

// Call is one request.
type Call struct {
	Doing  string // for errors: create database "acme"
	Method string
	Path   []string // segments, escaped by Do
	Query  url.Values
	In     any // JSON of the body; nil for none
	Out    any // what the answer is read into; nil to ignore it
	Most   int // size of the answer, in bytes; default 1 MiB
}

// Do makes a call. One that the server asks to wait with is made again; any other
// failure is returned, since its work may be done: the errors are *Error.
func (p *Plane) Do(ctx context.Context, c Call) error {
	for try := 1; ; try++ {
		err := p.Limiter.Wait(ctx)
		if paused := (*PausedError)(nil); errors.As(err, &paused) {
			return p.failed(c, http.StatusTooManyRequests, "", paused)
		}
		if err != nil {
			return p.failed(c, 0, "", fmt.Errorf("wait for its turn: %w", err))
		}
		wait, err := p.once(ctx, c)
		var refused *Error
		if err == nil {
			p.Limiter.Went()
			return nil
		}
		if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests && refused.Status != http.StatusServiceUnavailable {
			return err
		}
		p.Limiter.Slow(wait)
		if try == tries || wait > maxWait {
			return err
		}
	}
}

// once makes one request. It returns how long the server asks to wait.
func (p *Plane) once(ctx context.Context, c Call) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	request, secret, err := p.request(ctx, c)
	if err != nil {
		return 0, p.failed(c, 0, "", err)
	}
	response, err := p.Client.Do(request)
	if err != nil {
		var at *url.Error // has the URL, which the call names better
		if errors.As(err, &at) {
			err = at.Err
		}
		return 0, p.failed(c, statusAway, "", fmt.Errorf("no answer: %w", err))
	}
	defer response.Body.Close()
	most := cmp.Or(c.Most, maxAnswer)
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
	switch {
	case err != nil:
		return 0, p.failed(c, statusAway, "", fmt.Errorf("read the answer: %w", err))
	case response.StatusCode < 200 || response.StatusCode > 299:
		return retryafter.Of(response.Header, time.Now(), maxPause), p.failed(c, response.StatusCode, messageOf(body, secret), nil)
	case len(body) > most:
		return 0, p.failed(c, 0, "", fmt.Errorf("the answer has more than %d bytes", most))
	case c.Out == nil:
		return 0, nil
	}
	if err := json.Unmarshal(body, c.Out); err != nil { // its text may quote the answer, which may be a token
		return 0, p.failed(c, 0, "", errors.New("the answer is not the JSON that was expected"))
	}
	return 0, nil
}

func (p *Plane) request(ctx context.Context, c Call) (*http.Request, string, error) {
	var body io.Reader
	if c.In != nil {
		text, err := json.Marshal(c.In)
		if err != nil {
			return nil, "", err
		}
		body = bytes.NewReader(text)
	}
	at := p.Base
	for _, segment := range c.Path {
		at += "/" + url.PathEscape(segment)
	}
	if len(c.Query) > 0 {
		at += "?" + c.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, c.Method, at, body)
	if err != nil {
		return nil, "", err
	}
	if c.In != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if p.Authorization == nil {
		return request, "", nil
	}
	header, err := p.Authorization()
	if err == nil && header != "" {
		request.Header.Set("Authorization", header)
	}
	_, secret, _ := strings.Cut(header, " ")
	return request, secret, err
}

// messageOf is what a server says is wrong, as far as it can be shown.
func messageOf(body []byte, secret string) string {
	var said struct {
		Error json.RawMessage `json:"error"`
	}
	text := string(body)
	if json.Unmarshal(body, &said) == nil && len(said.Error) > 0 {
		text = string(said.Error)
		_ = json.Unmarshal(said.Error, &text) // else it is an object, shown as it is
	}
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "***")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text[:min(len(text), maxMessage)])
	return strings.TrimSpace(strings.ToValidUTF8(text, ""))
}

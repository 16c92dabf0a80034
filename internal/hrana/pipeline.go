package hrana

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

const closeTime = 2 * time.Second // a stream that is not closed ends by itself after ten

// send runs one request and returns its answer, and keeps or ends the stream
// as its statements need it.
func (c *Conn) send(ctx context.Context, left keeps, r request) ([]answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, database.ErrClosed
	case c.broken != nil:
		return nil, c.broken
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	p, open := pipeline{of: r}, c.baton != ""
	if open {
		p.baton = &c.baton
	}
	p.close = !open && left != keepsOpen
	got, err := c.exchange(ctx, p)
	if requests := p.requests(); err == nil && len(got.Results) != requests {
		err = malformed("it has %d results, not %d", len(got.Results), requests)
	}
	if err == nil && got.Results[0].Type == "error" && got.Results[0].Error == nil {
		err = malformed("it is an error that says nothing")
	}
	if err != nil {
		err = c.named(err)
		if open || left == keepsOpen {
			c.lost(err) // what is open on the server is not known, and what was may be gone
		}
		return nil, err
	}
	c.baton = ""
	if got.Baton != nil {
		c.baton = *got.Baton
	}
	if open && c.baton == "" {
		c.lost(c.away(ErrExpired))
	}
	return got.Results, nil
}

// lost makes every later call fail: settings and transactions of the stream
// are gone, and nothing may run without them.
func (c *Conn) lost(err error) {
	c.baton = ""
	c.broken = fmt.Errorf("%w (and the connection is of no use any more)", err)
}

// again are the waits before a request is sent once more that found no
// database: the server looked for it before it did anything.
var again = []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond}

// exchange sends a pipeline, and sends it again where it was answered 404.
func (c *Conn) exchange(ctx context.Context, p pipeline) (answers, error) {
	body := p.text()
	for _, wait := range again {
		got, err := c.post(ctx, body, p.of.terse)
		var away *AwayError
		if !errors.As(err, &away) || away.Status != http.StatusNotFound {
			return got, err
		}
		if err := sleep(ctx, wait); err != nil {
			return answers{}, err
		}
	}
	got, err := c.post(ctx, body, p.of.terse)
	var away *AwayError
	if errors.As(err, &away) && away.Status == http.StatusNotFound && c.options.Gone != nil && c.options.Gone(ctx) {
		err = fmt.Errorf("%w: %s", database.ErrMissing, c.host)
	}
	return got, err
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) post(ctx context.Context, body []byte, terse bool) (answers, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return answers{}, c.away(errors.New("its URL makes no request"))
	}
	r.Host = c.options.Host
	r.Header.Set("Content-Type", "application/json")
	if terse {
		r.Header.Set("Accept-Encoding", "identity")
	}
	if c.options.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	var large turn
	defer large.end() // when what the answer takes can be given up
	answered, err := c.options.HTTP.Do(r)
	if err != nil {
		return answers{}, c.unanswered(ctx, err)
	}
	defer answered.Body.Close()
	text, err := read(ctx, answered, c.options.MaxResponse+1, &large)
	switch {
	case err != nil:
		return answers{}, c.unanswered(ctx, err)
	case int64(len(text)) > c.options.MaxResponse:
		return answers{}, &LargeError{Said: fmt.Sprintf("over %d bytes", c.options.MaxResponse)}
	case answered.StatusCode != http.StatusOK:
		return answers{}, c.refusal(answered, text)
	}
	return c.understand(text)
}

// largeAnswer is where an answer begins to be large, in bytes. Few that the
// reconciler asks for are: sqld itself gives at most 10 MB, unless it is told to.
const largeAnswer = 4 << 20

// large are the large answers of this process that are read at a time, whatever
// server they are from: they bound the memory that servers can make it use.
var large = make(chan struct{}, 2)

// turn is that of a large answer. Its zero value has not come.
type turn bool

// begin waits for the turn.
func (t *turn) begin(ctx context.Context) error {
	select {
	case large <- struct{}{}:
		*t = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) end() {
	if *t {
		*t = false
		<-large
	}
}

// read reads the body of an answer, at most so many bytes of it. A large one is
// read in its turn, into a buffer that does not grow any more: one that grows is
// there twice while it does.
func read(ctx context.Context, r *http.Response, most int64, its *turn) ([]byte, error) {
	const usual = 64 << 10 // of one that says how long it is, which may not be true
	var text bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= usual {
		text.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := text.ReadFrom(io.LimitReader(r.Body, min(most, largeAnswer)))
	if err != nil || n == most || n < largeAnswer {
		return text.Bytes(), err
	}
	if err := its.begin(ctx); err != nil {
		return nil, err
	}
	text.Grow(int(most-n) + bytes.MinRead)
	_, err = text.ReadFrom(io.LimitReader(r.Body, most-n))
	return text.Bytes(), err
}

// unanswered makes the error of a request without a whole answer. The URL is
// left out of it.
func (c *Conn) unanswered(ctx context.Context, err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return c.away(err)
}

// understand reads an answer. Its base_url is not followed: requests go where the
// operator allows, and a server that wants them elsewhere is away.
func (c *Conn) understand(text []byte) (answers, error) {
	var got answers
	if err := json.Unmarshal(text, &got); err != nil {
		return answers{}, malformed("%w", err)
	}
	for _, fault := range got.faults() {
		fault.Message = c.hidden(fault.Message)
	}
	if got.BaseURL != nil && *got.BaseURL != "" && got.Baton != nil {
		if other, err := url.Parse(*got.BaseURL); err != nil || other.Host != c.options.Host {
			return answers{}, c.away(errors.New("the server sends the rest of the stream to another host, which is not followed"))
		}
	}
	return got, nil
}

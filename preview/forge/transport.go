package forge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tenantops/reconciler/internal/retryafter"
)

// AwayError says that a forge does not answer, or asks to be left alone. Until
// is when to try again; zero when it did not say.
type AwayError struct {
	Until time.Time
	Err   error
}

func (e *AwayError) Error() string {
	if e.Until.IsZero() {
		return "the forge does not answer: " + e.Err.Error()
	}
	return "the forge asks to be left alone until " + e.Until.UTC().Format(time.RFC3339) + ": " + e.Err.Error()
}

func (e *AwayError) Unwrap() error { return e.Err }

// RefusedError says that a forge does not do what it was asked for, and would
// not do it the next time.
type RefusedError struct {
	Status  int    // of HTTP
	Message string // of the forge, short and on one line
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("the forge answered %d", e.Status)
	switch e.Status {
	case http.StatusUnauthorized:
		text += ", the token is not valid"
	case http.StatusForbidden:
		text += ", the token may not do this"
	case http.StatusNotFound:
		text += ", it is not there or the token may not see it"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Missing tells that what a request was about is not there.
func Missing(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && (refused.Status == http.StatusNotFound || refused.Status == http.StatusGone)
}

const (
	maxAnswer = 16 << 20 // bytes: a page of 100 comments of 65,536 characters is at most so large
	maxLeave  = 2 * time.Hour
)

// transport is what every request of a forge goes through.
type transport struct {
	next      http.RoundTripper
	host      string // that secrets are sent to
	authorize func(context.Context, *http.Request) error
	now       func() time.Time
	wait      time.Duration // for an answer and all of it
	told      func(Outcome, int)

	mu    sync.Mutex
	until time.Time // the forge is left alone; zero for not
}

// client is an HTTP client for a forge. authorize adds what lets a request in.
func (c Config) client(authorize func(context.Context, *http.Request) error) (*http.Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("open forge: its URL is not one")
	}
	t := &transport{next: c.Transport, host: apiHost(c.Kind, u), authorize: authorize, now: c.Now, wait: c.Wait, told: c.Told}
	return &http.Client{Transport: t, CheckRedirect: t.redirect}, nil
}

// apiHost is the host that has the API: of github.com it is another one.
func apiHost(kind string, u *url.URL) string {
	if kind == "github" && u.Host == "github.com" {
		return "api.github.com"
	}
	return u.Host
}

// redirect follows within the host alone: a request carries a secret.
func (t *transport) redirect(r *http.Request, via []*http.Request) error {
	switch {
	case r.URL.Host != t.host || r.URL.Scheme != via[0].URL.Scheme:
		return &RefusedError{Status: http.StatusFound, Message: "it redirects to another host, " + oneLine(r.URL.Host)}
	case len(via) > 3:
		return &RefusedError{Status: http.StatusFound, Message: "it redirects without an end"}
	}
	return nil
}

// RoundTrip implements http.RoundTripper. Answers that are no success become
// errors here, the same ones for every library.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if until := t.left(); !until.IsZero() {
		return nil, &AwayError{Until: until, Err: errors.New("it said so before")}
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.wait)
	sent := r.Clone(ctx)
	response, err := t.exchange(ctx, r, sent)
	if err != nil {
		cancel()
		if isAway(err) {
			t.told(Away, -1)
		}
		return nil, err
	}
	response.Body = &bounded{ReadCloser: response.Body, left: maxAnswer, asked: r.Context(), close: cancel}
	return t.checked(response, shown(sent.Header))
}

func (t *transport) exchange(ctx context.Context, r, sent *http.Request) (*http.Response, error) {
	if r.URL.Host == t.host {
		if err := t.authorize(ctx, sent); err != nil {
			return nil, err
		}
	}
	response, err := t.next.RoundTrip(sent)
	return response, away(r.Context(), err)
}

// away is the error of a connection, unless who asked has given up.
func away(asked context.Context, err error) error {
	if err == nil || asked.Err() != nil {
		return err
	}
	return &AwayError{Err: err}
}

// shown is the secret that a request shows, empty for none.
func shown(h http.Header) string {
	_, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return cmp.Or(token, h.Get("PRIVATE-TOKEN"))
}

func (t *transport) checked(r *http.Response, secret string) (*http.Response, error) {
	said := ""
	if r.StatusCode >= 400 {
		defer r.Body.Close()
		said = message(r.Body, secret)
	}
	until := pause(r, said, t.now())
	limited := r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusForbidden && !until.IsZero()
	if !until.IsZero() {
		t.leave(until)
	}
	t.told(outcome(r.StatusCode, limited), remaining(r.Header))
	if r.StatusCode < 400 {
		return r, nil
	}
	err := &RefusedError{Status: r.StatusCode, Message: said}
	if limited || r.StatusCode >= 500 || r.StatusCode == http.StatusRequestTimeout {
		return nil, &AwayError{Until: until, Err: err}
	}
	return nil, err
}

func isAway(err error) bool {
	_, is := errors.AsType[*AwayError](err)
	return is
}

func outcome(status int, limited bool) Outcome {
	switch {
	case limited:
		return Limited
	case status >= 500 || status == http.StatusRequestTimeout:
		return Away
	case status >= 400:
		return Refused
	}
	return Answered
}

// remaining is how many requests a forge says it lets through until its limit is
// reset; negative when it does not.
func remaining(h http.Header) int {
	n, err := strconv.Atoi(cmp.Or(h.Get("X-RateLimit-Remaining"), h.Get("RateLimit-Remaining")))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func (t *transport) left() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.until.After(t.now()) {
		return time.Time{}
	}
	return t.until
}

func (t *transport) leave(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until.After(t.until) {
		t.until = until
	}
}

// pause reads until when a forge wants to be left alone. Retry-After has
// seconds or a date (RFC 9110); GitHub and Gitea say X-RateLimit-Reset and
// GitLab RateLimit-Reset, in seconds since 1970, and mean it when nothing
// remains. Of GitHub's secondary limits nothing but the text may tell. A forge
// cannot ask for more than maxLeave.
func pause(r *http.Response, said string, now time.Time) time.Time {
	h := r.Header
	until := time.Time{}
	if after := retryafter.Of(h, now, maxLeave); after > 0 && r.StatusCode >= 400 {
		until = now.Add(after)
	}
	if cmp.Or(h.Get("X-RateLimit-Remaining"), h.Get("RateLimit-Remaining")) == "0" {
		if reset, err := strconv.ParseInt(cmp.Or(h.Get("X-RateLimit-Reset"), h.Get("RateLimit-Reset")), 10, 64); err == nil && until.IsZero() {
			until = time.Unix(reset, 0)
		}
	}
	secondary := r.StatusCode == http.StatusForbidden && strings.Contains(strings.ToLower(said), "secondary rate limit")
	if until.IsZero() && (secondary || r.StatusCode == http.StatusTooManyRequests) {
		until = now.Add(time.Minute) // GitHub's advice where it says nothing
	}
	if !until.After(now) {
		return time.Time{}
	}
	return minTime(until, now.Add(maxLeave))
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// message is what a refusal says, short. Forges write {"message": ...}. One
// that repeats the secret that it was shown must not have it logged.
func message(body io.Reader, secret string) string {
	text, err := io.ReadAll(io.LimitReader(body, 4096))
	if err != nil {
		return ""
	}
	var said struct{ Message, Error any }
	if json.Unmarshal(text, &said) != nil {
		return "" // a page of a proxy
	}
	if said.Message == nil {
		said.Message = said.Error
	}
	if said.Message == nil {
		return ""
	}
	plain := fmt.Sprint(said.Message)
	if secret != "" {
		plain = strings.ReplaceAll(plain, secret, "***")
	}
	return oneLine(plain)
}

func oneLine(text string) string {
	const most = 200 // bytes
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// bounded is the body of an answer that ends with an error when it is too
// long.
type bounded struct {
	io.ReadCloser
	left  int
	asked context.Context
	close func()
}

func (b *bounded) Close() error {
	defer b.close()
	return b.ReadCloser.Close()
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the forge's answer has more than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		err = away(b.asked, err)
	}
	return n, err
}

// show adds a secret to a header.
func show(header, prefix string, secret func() (string, error)) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		value, err := secret()
		if err != nil {
			return fmt.Errorf("the forge's token cannot be read: %w", err)
		}
		if strings.ContainsAny(value, "\r\n") {
			return errors.New("the forge's token has more than one line")
		}
		r.Header.Set(header, prefix+value)
		return nil
	}
}

// doing names what a request was for, once.
func doing(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok {
			break
		}
		err = u.Err // the address is in what it was for
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/provision/control"
)

const token = "planted-platform-token"

func plane(t *testing.T, handle http.HandlerFunc) *control.Plane {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	p, err := control.New(control.Plane{
		Provider: "turso", Base: server.URL, Authorization: func() (string, error) { return "Bearer " + token, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var call = control.Call{Doing: `create database "acme"`, Method: http.MethodPost, Path: []string{"v1", "databases"}, In: map[string]string{"name": "acme"}}

// Every status has a reason and a next step, and no text of the server brings
// the token into an error.
func TestRefusals(t *testing.T) {
	for status, want := range map[int]struct {
		reason string
		match  error
	}{
		400: {"ProviderRefused", nil}, 401: {"ProviderUnauthorized", nil}, 402: {"ProviderPayment", nil}, 403: {"ProviderForbidden", nil},
		404: {"ProviderNotFound", control.ErrNotFound}, 409: {"ProviderConflict", control.ErrExists},
		500: {"ProviderAway", database.ErrAway}, 502: {"ProviderAway", database.ErrAway}, 307: {"ProviderRefused", nil},
	} {
		p := plane(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://evil.example/"+token)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error": "no `+r.Header.Get("Authorization")+`\u0007 here"}`)
		})
		err := p.Do(t.Context(), call)
		var refused *control.Error
		if !errors.As(err, &refused) || refused.Reason() != want.reason || refused.Next() == "" || !refused.Again() {
			t.Errorf("%d: got %v, want reason %s", status, err, want.reason)
			continue
		}
		if want.match != nil && !errors.Is(err, want.match) {
			t.Errorf("%d: got %v, want it to match %v", status, err, want.match)
		}
		if text := err.Error(); strings.Contains(text, token) || strings.Contains(text, "\a") || !strings.Contains(text, `create database "acme"`) {
			t.Errorf("%d: got %q, want the call and not the token", status, text)
		}
	}
}

// silent is why a token cannot be had.
type silent struct{}

func (silent) Error() string  { return "no token" }
func (silent) Reason() string { return "Silent" }
func (silent) Next() string   { return "speak" }

// Where the token cannot be read the server is not asked, and is not to blame.
func TestTokenThatCannotBeRead(t *testing.T) {
	p := plane(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	p.Authorization = func() (string, error) { return "", fmt.Errorf("read it: %w", silent{}) }
	var refused *control.Error
	if err := p.Do(t.Context(), call); !errors.As(err, &refused) || refused.Reason() != "Silent" || refused.Next() != "speak" {
		t.Errorf("got %v with reason %s, want that of the token", err, refused.Reason())
	}
}

func TestAway(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	p, err := control.New(control.Plane{Provider: "sqld", Base: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var refused *control.Error
	if err := p.Do(t.Context(), call); !errors.Is(err, database.ErrAway) || !errors.As(err, &refused) || refused.Reason() != "ProviderAway" {
		t.Errorf("got %v, want ErrAway", err)
	}
}

// A certificate does not become another one by waiting.
func TestCertificateOfNobody(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	p, err := control.New(control.Plane{Provider: "sqld", Base: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var refused *control.Error
	if err := p.Do(t.Context(), call); !errors.As(err, &refused) || refused.Reason() != "ProviderAway" || !strings.Contains(refused.Next(), "caFile") {
		t.Errorf("got %v, want a next step about the certificate", err)
	}
}

func TestAnswerThatMakesNoSense(t *testing.T) {
	p := plane(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"jwt": planted-jwt`) })
	c := call
	c.Out = &struct{ JWT string }{}
	if err := p.Do(t.Context(), c); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v, want an error that does not quote the answer", err)
	}
}

func TestBases(t *testing.T) {
	for _, base := range []string{"", "api.turso.tech", "ftp://x", "https://", "https://user:pw@x", "https://x?token=1", "https://x#y"} {
		if _, err := control.New(control.Plane{Provider: "x", Base: base}); err == nil {
			t.Errorf("%q: got no error", base)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: the error has the password: %v", base, err)
		}
	}
}

// A server that asks to wait is waited for, and then asked more slowly.
func TestLimiterHeedsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		p := &control.Plane{Provider: "turso", Base: "http://server.example", Limiter: control.NewLimiter(), Client: &http.Client{
			Transport: answers(func(r *http.Request) *http.Response {
				if asked.Add(1) == 1 {
					return response(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
				}
				return response(http.StatusOK, nil)
			}),
		}}
		before, began := p.Limiter.Rate(), time.Now()
		if err := p.Do(t.Context(), call); err != nil || asked.Load() != 2 {
			t.Fatalf("got %v after %d requests, want success after two", err, asked.Load())
		}
		if waited := time.Since(began); waited < 7*time.Second || waited > 8*time.Second {
			t.Errorf("waited %v, want the 7 s that the server asked for", waited)
		}
		if got := p.Limiter.Rate(); got >= before {
			t.Errorf("got rate %v after a 429, want less than %v", got, before)
		}
		for range 100 {
			p.Limiter.Went()
		}
		if got := p.Limiter.Rate(); got <= before {
			t.Errorf("got rate %v after 100 calls that went well, want more than %v", got, before)
		}
	})
}

// One that never gives in is an error after some tries, and so is a wait that is
// too long.
func TestLimiterGivesUp(t *testing.T) {
	for header, most := range map[string]int32{"": 4, "3600": 1, "junk": 4} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int32
			p := &control.Plane{Provider: "turso", Base: "http://server.example", Limiter: control.NewLimiter(), Client: &http.Client{
				Transport: answers(func(*http.Request) *http.Response {
					asked.Add(1)
					return response(http.StatusTooManyRequests, http.Header{"Retry-After": {header}})
				}),
			}}
			var refused *control.Error
			if err := p.Do(t.Context(), call); !errors.As(err, &refused) || refused.Reason() != "ProviderLimited" {
				t.Errorf("got %v, want ProviderLimited", err)
			}
			if got := asked.Load(); got != most {
				t.Errorf("Retry-After %q: asked %d times, want %d", header, got, most)
			}
		})
	}
}

// A wait that is too long keeps nobody waiting, and is kept all the same.
func TestLongRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		p := &control.Plane{Provider: "turso", Base: "http://server.example", Limiter: control.NewLimiter(), Client: &http.Client{
			Transport: answers(func(*http.Request) *http.Response {
				if asked.Add(1) == 1 {
					return response(http.StatusTooManyRequests, http.Header{"Retry-After": {"1800"}})
				}
				return response(http.StatusOK, nil)
			}),
		}}
		began := time.Now()
		for range 3 {
			var refused *control.Error
			if err := p.Do(t.Context(), call); !errors.As(err, &refused) || refused.Reason() != "ProviderLimited" {
				t.Errorf("got %v, want ProviderLimited", err)
			}
		}
		if asked.Load() != 1 || time.Since(began) > 0 {
			t.Errorf("asked %d times in %v, want once and no wait", asked.Load(), time.Since(began))
		}
		time.Sleep(29*time.Minute + 30*time.Second) // of the test's own clock
		if err := p.Do(t.Context(), call); err != nil || asked.Load() != 2 || time.Since(began) != 30*time.Minute {
			t.Errorf("got %v after %v, want success after half an hour", err, time.Since(began))
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	limiter := control.NewLimiter()
	limiter.Slow(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := limiter.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

type answers func(*http.Request) *http.Response

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

func response(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(`{}`))}
}

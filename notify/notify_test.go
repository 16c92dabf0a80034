package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/notify"
	"github.com/tenantops/reconciler/protocol"
)

// receiver is a target that answers with the next of its statuses, and the last
// one from then on.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	got      []*http.Request
	bodies   []string
	arrived  chan struct{}
}

func receive(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses, arrived: make(chan struct{}, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.got, r.bodies = append(r.got, request), append(r.bodies, string(body))
		status := r.statuses[min(len(r.got), len(r.statuses))-1]
		r.mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		r.arrived <- struct{}{}
	}))
	t.Cleanup(r.Close)
	return r
}

func said(text string) func() (string, error) {
	return func() (string, error) { return text, nil }
}

// counts are outcomes by word.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) count(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[outcome]++
}

func (c *counts) of(outcome string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[outcome]
}

func start(t *testing.T, log io.Writer, targets ...notify.Target) (*notify.Notifier, *counts) {
	t.Helper()
	c := &counts{}
	n := notify.New(notify.Config{
		Targets: targets, Log: slog.New(slog.NewTextHandler(log, nil)), Count: c.count, Backoff: time.Millisecond,
	})
	t.Cleanup(func() { n.Close(context.Background()) })
	return n, c
}

var event = notify.Event{Kind: notify.DriftFound, Message: "tenant acme: Drift", Tenants: []protocol.TenantID{"acme"}}

// A webhook is signed, and the same event at each try.
func TestWebhookIsSignedAndTriedAgain(t *testing.T) {
	r := receive(t, 500, 429, 200)
	n, c := start(t, io.Discard, notify.Target{Name: "a", URL: said(r.URL), Secret: said("secret")})
	n.Tell(event)
	n.Close(t.Context())
	if len(r.got) != 3 || c.of("sent") != 1 {
		t.Fatalf("got %d requests and %v, want 3 and one that arrived", len(r.got), c.n)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(r.bodies[2]))
	header := r.got[2].Header
	if got, want := header.Get("X-Reconciler-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("got signature %s, want %s", got, want)
	}
	var got notify.Event
	if err := json.Unmarshal([]byte(r.bodies[2]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != notify.DriftFound || got.Count != 1 || got.At.IsZero() || got.ID == "" || header.Get("X-Reconciler-Delivery") != got.ID {
		t.Errorf("got %+v", got)
	}
	if r.bodies[0] != r.bodies[2] {
		t.Errorf("another body at another try: %s, then %s", r.bodies[0], r.bodies[2])
	}
}

// What a repository says calls nobody in a chat and is no link there.
func TestSlack(t *testing.T) {
	r := receive(t, 200)
	n, _ := start(t, io.Discard, notify.Target{Name: "chat", Slack: true, URL: said(r.URL)})
	n.Tell(notify.Event{Kind: notify.PassFailed, Message: "<!channel> @here <https://x|y> & more\n", Next: "look"})
	n.Close(t.Context())
	var got struct{ Text string }
	if err := json.Unmarshal([]byte(r.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	if want := "reconciler: &lt;!channel&gt; @\u200bhere &lt;https://x|y&gt; &amp; more \nnext: look"; got.Text != want {
		t.Errorf("got %q, want %q", got.Text, want)
	}
	if r.got[0].Header.Get("X-Reconciler-Signature") != "" {
		t.Error("a message for a chat is signed")
	}
}

// What no other try would cure is tried once; redirects are not followed; and
// nothing in the log has the URL.
func TestFailures(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, test := range map[string]struct {
		status, requests int
		url              string
	}{
		"refused for good":    {status: 403, requests: 1},
		"redirected":          {status: 302, requests: 1},
		"never well":          {status: 503, requests: 6},
		"cannot be reached":   {url: gone.URL + "/hidden-token"},
		"is not a URL at all": {url: "http://x\n/hidden-token"},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t, max(test.status, 200))
			if test.url == "" {
				test.url = r.URL + "/hidden-token"
			}
			var log strings.Builder
			n, c := start(t, &log, notify.Target{Name: "a", URL: said(test.url), Secret: said("s3cr3t")})
			n.Tell(event)
			n.Close(t.Context())
			if len(r.got) != test.requests || c.of("failed") != 1 || c.of("sent") != 0 {
				t.Errorf("got %d requests and %v, want %d and one failure", len(r.got), c.n, test.requests)
			}
			if !strings.Contains(log.String(), "notification failed") || strings.Contains(log.String(), "hidden-token") || strings.Contains(log.String(), "s3cr3t") {
				t.Errorf("the log has %s", log.String())
			}
		})
	}
}

// A target that hangs holds up nobody, and takes no more than its queue.
func TestHangingTarget(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int32
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	well := receive(t, 200)
	n, c := start(t, io.Discard,
		notify.Target{Name: "hangs", URL: said(hanging.URL), Secret: said("s")},
		notify.Target{Name: "well", Slack: true, URL: said(well.URL), Kinds: []notify.Kind{notify.SourceAway}})
	for range 500 {
		n.Tell(event)
	}
	n.Tell(notify.Event{Kind: notify.SourceAway, Message: "away"})
	<-well.arrived
	if dropped := c.of("dropped"); dropped < 390 || dropped > 401 {
		t.Errorf("%d were dropped, want those that do not fit", dropped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.Close(ctx) // does not wait for what hangs
	n.Tell(event)
	if len(well.got) != 1 {
		t.Errorf("the other target got %d events, want the one it asked for", len(well.got))
	}
}

func TestCheck(t *testing.T) {
	r := receive(t, 404, 200)
	target := notify.Target{Name: "a", URL: said(r.URL), Secret: said("s"), Kinds: []notify.Kind{notify.SourceAway}}
	n, _ := start(t, io.Discard, target)
	if err := n.Check(t.Context(), target); err == nil || err.Error() != `notify "a": the target answered 404` {
		t.Errorf("got %v", err)
	}
	if err := n.Check(t.Context(), target); err != nil {
		t.Error(err)
	}
	target.Secret = said("")
	if err := n.Check(t.Context(), target); err == nil {
		t.Error("a webhook went out without a signature")
	}
}

// The words of the settings are those of events.
func TestKindsOfSettings(t *testing.T) {
	var words []string
	for _, kind := range notify.Kinds() {
		words = append(words, string(kind))
	}
	if got := config.NotifyEvents(); !slices.Equal(got, words) {
		t.Errorf("settings know %v, want %v", got, words)
	}
}

package server_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/server"
)

const push = `{"ref":"refs/heads/main","after":"0123"}`

func signed(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// hooked serves a webhook with two secrets and counts what it wakes.
func hooked(t *testing.T, secrets func() ([]string, error)) (url string, woken *atomic.Int32) {
	t.Helper()
	woken = new(atomic.Int32)
	return start(t, func(c *server.Config) {
		c.Webhook = &server.Webhook{
			Secrets: secrets,
			Follows: func(ref string) bool { return ref == "refs/heads/main" },
			Wake:    func() { woken.Add(1) },
		}
	}) + "/webhook", woken
}

func rotating() ([]string, error) { return []string{"new", "old", ""}, nil }

// without the token of the API, with these headers.
func headers(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
}

func TestWebhook(t *testing.T) {
	url, woken := hooked(t, rotating)
	large := strings.Repeat(" ", 6<<20)
	for _, test := range []struct {
		name, body string
		headers    []string
		status     int
		wakes      bool
	}{
		{"GitHub", push, []string{"X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=" + signed("new", push)}, 202, true},
		{"GitHub, the secret before", push, []string{"X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=" + signed("old", push)}, 202, true},
		{"GitHub, ping", `{"zen":"x"}`, []string{"X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256=" + signed("new", `{"zen":"x"}`)}, 202, false},
		{"GitHub, SHA-1 alone", push, []string{"X-GitHub-Event", "push", "X-Hub-Signature", "sha1=00"}, 401, false},
		{
			"Gitea", push,
			[]string{"X-Gitea-Event", "push", "X-Gitea-Signature", signed("new", push), "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=00"},
			202, true,
		},
		{"GitLab", push, []string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", "old"}, 202, true},
		{"GitLab, a tag elsewhere", `{"ref":"refs/tags/x"}`, []string{"X-Gitlab-Event", "Tag Push Hook", "X-Gitlab-Token", "new"}, 202, false},
		{"GitLab, another token", push, []string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", "nex"}, 401, false},
		{"GitLab, an empty token", push, []string{"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", ""}, 401, false},
		{"generic", push, []string{"X-Reconciler-Signature", "sha256=" + signed("new", push)}, 202, true},
		{"another ref", `{"ref":"refs/heads/topic"}`, []string{"X-Reconciler-Signature", signed("new", `{"ref":"refs/heads/topic"}`)}, 202, false},
		{"signed with nothing", push, []string{"X-Reconciler-Signature", "sha256=" + signed("", push)}, 401, false},
		{"another body", push + " ", []string{"X-Reconciler-Signature", "sha256=" + signed("new", push)}, 401, false},
		{"no signature", push, nil, 401, false},
		{"no hex", push, []string{"X-Reconciler-Signature", "sha256=new"}, 401, false},
		{"no JSON", `ref`, []string{"X-Reconciler-Signature", signed("new", `ref`)}, 400, false},
		{"a form", push, []string{"X-Reconciler-Signature", signed("new", push), "Content-Type", "application/x-www-form-urlencoded"}, 415, false},
		{"too much", large, []string{"X-Reconciler-Signature", signed("new", large)}, 413, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := woken.Load()
			status, answer, _ := ask(t, url, test.body, headers(test.headers...))
			if wakes := woken.Load() != before; status != test.status || wakes != test.wakes {
				t.Errorf("got %d %v, wakes %v; want %d, %v", status, answer, wakes, test.status, test.wakes)
			}
		})
	}
}

// GitLab signs with a signing token: what is signed has an id and a time, and
// the time must be now.
func TestWebhookSignedByGitLab(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	const old, current = "whsec_b2xk", "whsec_bmV3"
	var woken atomic.Int32
	url := start(t, func(c *server.Config) {
		c.Webhook = &server.Webhook{
			Secrets: func() ([]string, error) { return []string{current, old}, nil }, Follows: func(string) bool { return true },
			Wake: func() { woken.Add(1) }, Now: func() time.Time { return now },
		}
	}) + "/webhook"
	sign := func(key, id string, at time.Time) (stamp, signature string) {
		stamp = fmt.Sprint(at.Unix())
		mac := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, push)
		return stamp, "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	for _, test := range []struct {
		name, key, id, sent string
		at                  time.Time
		before              string // the signature
		status              int
		wakes               bool
	}{
		{"signed", "new", "a", "a", now, "", 202, true},
		{"again", "new", "a", "a", now, "", 202, false},
		{"recorded, under another id", "new", "a", "b", now, "", 409, false},
		{"the secret before, and a signature of another version", "old", "c", "c", now.Add(-time.Minute), "v2,x ", 202, true},
		{"another secret", "x", "d", "d", now, "", 401, false},
		{"too old", "new", "e", "e", now.Add(-6 * time.Minute), "", 401, false},
		{"of tomorrow", "new", "f", "f", now.Add(24 * time.Hour), "", 401, false},
		{"without an id", "new", "", "", now, "", 401, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stamp, signature := sign(test.key, test.id, test.at)
			before := woken.Load()
			status, _, _ := ask(t, url, push, headers("X-Gitlab-Event", "Push Hook", "Idempotency-Key", test.sent, "X-Gitlab-Token", current,
				"webhook-id", test.id, "webhook-timestamp", stamp, "webhook-signature", test.before+signature))
			if wakes := woken.Load() != before; status != test.status || wakes != test.wakes {
				t.Errorf("got %d, wakes %v; want %d, %v", status, wakes, test.status, test.wakes)
			}
		})
	}
}

// A delivery that comes again, because the answer was lost, wakes nothing; one
// that was refused the first time does. What came before is refused under
// another id: somebody has recorded it.
func TestWebhookDeliveredTwice(t *testing.T) {
	url, woken := hooked(t, rotating)
	bodyOf := func(n int) string { return fmt.Sprintf(`{"ref":"refs/heads/main","after":"%d"}`, n) }
	deliver := func(id, secret string, n int) int {
		status, _, _ := ask(t, url, bodyOf(n), headers("X-GitHub-Event", "push", "X-GitHub-Delivery", id,
			"X-Hub-Signature-256", "sha256="+signed(secret, bodyOf(n))))
		return status
	}
	if status := deliver("one", "wrong", 1); status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", status)
	}
	for range 3 {
		if status := deliver("one", "new", 1); status != http.StatusAccepted {
			t.Errorf("got %d, want 202", status)
		}
	}
	if status := deliver("two", "new", 1); status != http.StatusConflict {
		t.Errorf("replayed: got %d, want 409", status)
	}
	deliver("three", "new", 2)
	if n := woken.Load(); n != 2 {
		t.Errorf("woken %d times, want 2", n)
	}
	for i := range 1100 { // more than are remembered
		deliver(fmt.Sprint(i), "new", 10+i)
	}
	deliver("one", "new", 1)
	if n := woken.Load(); n != 1103 {
		t.Errorf("woken %d times, want 1103", n)
	}
}

// What happens to a pull request wakes those who look at them, and nothing
// else does; of the body nothing is believed.
func TestWebhookOfPulls(t *testing.T) {
	var pulls atomic.Int32
	url := start(t, func(c *server.Config) {
		c.Webhook = &server.Webhook{
			Secrets: rotating, Follows: func(string) bool { return true }, Wake: func() { t.Error("the repository is looked at") },
			Pulls: func() { pulls.Add(1) },
		}
	}) + "/webhook"
	n := 0
	for event, wakes := range map[[2]string]bool{
		{"X-GitHub-Event", "pull_request"}: true, {"X-GitHub-Event", "issue_comment"}: true, {"X-GitHub-Event", "pull_request_review"}: true,
		{"X-GitHub-Event", "issues"}: false, {"X-GitHub-Event", "star"}: false,
		{"X-Gitea-Event", "pull_request"}: true, {"X-Gitea-Event", "pull_request_sync"}: true, {"X-Gitea-Event", "pull_request_approved"}: true,
		{"X-Gitea-Event", "issue_comment"}: true, {"X-Gitea-Event", "issues"}: false,
		{"X-Gitlab-Event", "Merge Request Hook"}: true, {"X-Gitlab-Event", "Note Hook"}: true, {"X-Gitlab-Event", "Pipeline Hook"}: false,
	} {
		n++
		body := fmt.Sprintf(`{"number": -%d, "ref": "refs/heads/main"}`, n)
		before := pulls.Load()
		status, _, _ := ask(t, url, body, headers(event[0], event[1], "X-Hub-Signature-256", "sha256="+signed("new", body),
			"X-Gitea-Signature", signed("new", body), "X-Gitlab-Token", "new"))
		if woken := pulls.Load() != before; status != http.StatusAccepted || woken != wakes {
			t.Errorf("%v: got %d, woken %v", event, status, woken)
		}
		status, _, _ = ask(t, url, body, headers(event[0], event[1], "X-Hub-Signature-256", "sha256="+signed("x", body),
			"X-Gitea-Signature", signed("x", body), "X-Gitlab-Token", "x"))
		if status != http.StatusUnauthorized {
			t.Errorf("%v, signed by another: got %d", event, status)
		}
	}
	url, _ = hooked(t, rotating)
	if status, answer, _ := ask(t, url, "{}", headers("X-Gitlab-Event", "Note Hook", "X-Gitlab-Token", "new")); status != 202 || answer["woken"] != false {
		t.Errorf("nobody looks: got %d %v", status, answer)
	}
}

// A server whose secrets cannot be read, or are empty, believes nobody.
func TestWebhookWithoutSecrets(t *testing.T) {
	for want, secrets := range map[int]func() ([]string, error){
		http.StatusServiceUnavailable: func() ([]string, error) { return nil, errors.New("permission denied") },
		http.StatusUnauthorized:       func() ([]string, error) { return []string{""}, nil },
	} {
		url, woken := hooked(t, secrets)
		status, _, _ := ask(t, url, push, headers("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", ""))
		if status != want || woken.Load() > 0 {
			t.Errorf("got %d, want %d", status, want)
		}
	}
}

func TestHealth(t *testing.T) {
	var ready atomic.Bool
	root := start(t, func(c *server.Config) { c.Health = &server.Health{Ready: ready.Load} })
	get := func(path string) int {
		status, _, _ := ask(t, root+path, "", func(r *http.Request) { r.Method = http.MethodGet; r.Header.Del("Authorization") })
		return status
	}
	if got := get("/healthz"); got != http.StatusOK {
		t.Errorf("healthz: got %d", got)
	}
	if got := get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("before it is ready: got %d", got)
	}
	ready.Store(true)
	if got := get("/readyz"); got != http.StatusOK {
		t.Errorf("ready: got %d", got)
	}
}

// Metrics are for those with the token, unless they are open.
func TestMetricsAccess(t *testing.T) {
	var asked bytes.Buffer
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.WriteByte('x')
		w.Write([]byte("{}"))
	})
	for open, want := range map[bool]int{false: http.StatusUnauthorized, true: http.StatusOK} {
		root := start(t, func(c *server.Config) { c.Metrics, c.OpenMetrics = metrics, open })
		status, _, _ := ask(t, root+"/metrics", "", func(r *http.Request) { r.Method = http.MethodGet; r.Header.Del("Authorization") })
		if status != want {
			t.Errorf("open %v: got %d, want %d", open, status, want)
		}
		status, _, _ = ask(t, root+"/metrics", "", func(r *http.Request) { r.Method = http.MethodGet })
		if status != http.StatusOK {
			t.Errorf("with the token: got %d", status)
		}
	}
	if asked.Len() != 3 {
		t.Errorf("asked %d times, want 3", asked.Len())
	}
}

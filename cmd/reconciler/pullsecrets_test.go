package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/preview/forge/forgetest"
)

const databaseToken = "database-token-of-the-tests"

// What a fork sends, databases that repeat the token that they are shown, and a
// forge that does, bring no secret into a comment, a status, the log or an
// answer. The database that a pull request names is never asked.
func TestPullRequestsKeepSecrets(t *testing.T) {
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			var asked, shown atomic.Int32
			spy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			defer spy.Close()
			leaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.Header.Get("Authorization"), databaseToken) {
					shown.Add(1)
				}
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, `{"error": "no such token: `+r.Header.Get("Authorization")+`"}`) //nolint:errcheck // the client has gone away
			}))
			defer leaky.Close()
			t.Setenv("RECONCILER_SECRET_LEAKY", databaseToken)
			tenant := func(id, connection string) string {
				return "id: " + id + "\nname: " + id + "\napps: [{name: shop}]\n" + connection
			}
			r := opened(t, kind)
			r.more = "connections: {hosts: [{match: leaky.test, address: \"" + leaky.URL + "\"}, {match: \"*.spy.test\", address: \"" + spy.URL + "\"}]}\n"
			push(t, r.dir, map[string]string{"tenants/leaky/tenant.yaml": tenant("leaky", `connectionConfig: {url: "http://leaky.test", authToken: "$env:RECONCILER_SECRET_LEAKY"}`+"\n")})
			r.start("1h")
			said := &overheard{}
			r.forge.Fault(said.keep)

			first := r.topic(map[string]string{
				"apps/shop/objects/customer.yaml": "name: customer\nlabel: \"$env:RECONCILER_SECRET_LEAKY\"\nfields:\n  name: {type: text}\n  phone: {type: phone, label: \"$file:forge\"}\n",
				"tenants/spy/tenant.yaml":         tenant("spy", `connectionConfig: {url: "http://spy.spy.test", authToken: "$env:RECONCILER_SECRET_LEAKY"}`+"\n"),
				"tenants/filespy/tenant.yaml":     tenant("filespy", `connectionConfig: {url: "http://filespy.spy.test", authToken: "$file:forge"}`+"\n"),
				"tenants/plain/tenant.yaml":       tenant("plain", `connectionConfig: {url: "http://plain.spy.test", authToken: "plain-token-of-the-tests"}`+"\n"),
				"tenants/leaky/tenant.yaml":       tenant("leaky", `connectionConfig: {url: "http://leaky.spy.test", authToken: "$env:RECONCILER_SECRET_LEAKY"}`+"\n"),
				"tenants/acme/tenant.yaml":        tenant("acme", `labels: {note: "$env:RECONCILER_SECRET_LEAKY"}`+"\n"),
			})
			r.forge.Open(1, eve, first)
			r.status(first, "failure")
			if text := r.comment("phone"); !strings.Contains(text, "TokenRejected") || !strings.Contains(text, "tenants/plain/tenant.yaml:") {
				t.Errorf("the comment has lost a case:\n%s", text)
			}
			for _, path := range []string{"/api/v1/previews/1", "/metrics", "/healthz"} {
				_, body := r.get(path, "api-token")
				said.add(body)
			}
			r.forge.Fault(func(w http.ResponseWriter, q *http.Request) bool {
				said.keep(w, q)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, `{"message": "not with `+q.Header.Get("Authorization")+q.Header.Get("Private-Token")+`"}`) //nolint:errcheck // the client has gone away
				return true
			})
			r.forge.Push(1, r.topic(map[string]string{"tenants/spy": "", "tenants/plain": "", "tenants/filespy": ""}))
			r.until("a request that is refused", func() bool {
				_, metrics := r.get("/metrics", "api-token")
				return !strings.Contains(metrics, `reconciler_forge_requests_total{outcome="refused"} 0`)
			})
			if code := r.daemon.end(func() {}); code != 0 {
				t.Errorf("got exit code %d", code)
			}
			said.add(r.daemon.seen.String())
			if n := asked.Load(); n > 0 {
				t.Errorf("a database that a pull request names was asked %d times", n)
			}
			if shown.Load() == 0 {
				t.Error("no database was shown its token: the test has lost a case")
			}
			for _, secret := range []string{forgetest.Token, hookSecret, databaseToken, "plain-token-of-the-tests", "api-token"} {
				for _, text := range said.all {
					if at := strings.Index(text, secret); at >= 0 {
						t.Errorf("%q is in ...%s", secret, text[max(0, at-300):min(len(text), at+60)])
					}
				}
			}
		})
	}
}

// overheard are the bodies of requests to the forge, and other texts.
type overheard struct {
	mu  sync.Mutex
	all []string
}

func (r *overheard) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, text)
}

// keep keeps a request's body, and lets it through.
func (r *overheard) keep(_ http.ResponseWriter, q *http.Request) bool {
	text, err := io.ReadAll(q.Body)
	if err != nil {
		text = []byte(err.Error())
	}
	q.Body = io.NopCloser(bytes.NewReader(text))
	r.add(q.URL.String() + "\n" + string(text))
	return false
}

package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/server"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

const token = "correct horse battery staple"

// oneTenant knows acme, which a request names in the header X-Tenant-ID, and
// fails for broken.
type oneTenant struct{ *identity.Resolver }

func (o oneTenant) Identify(r *http.Request) (identity.Identity, error) { return o.Resolver.Resolve(r) }

func (oneTenant) Resolve(_ context.Context, tenant protocol.TenantID) (tenantrouter.Resolved, error) {
	switch tenant {
	case "acme":
		return tenantrouter.Resolved{
			ResolvedTenantContext: protocol.ResolvedTenantContext{
				TenantID: "acme", Plan: protocol.PlanPro, Region: protocol.RegionEUWest,
				DBURL: "file:///data/acme.db", Status: protocol.TenantActive,
			},
			Schema: tenantrouter.Schema{Revision: "0123"},
		}, nil
	case "broken":
		return tenantrouter.Resolved{}, errors.New("disk I/O error in /data/secret-place.db")
	}
	return tenantrouter.Resolved{}, protocol.ErrUnknownTenant
}

func start(t *testing.T, change func(*server.Config)) string {
	t.Helper()
	resolver, err := identity.New(identity.Config{
		Strategies: []protocol.TenantResolverStrategy{protocol.ResolveHeader, protocol.ResolveSubdomain, protocol.ResolvePath},
		Optional:   []protocol.TenantResolverStrategy{protocol.ResolveHeader, protocol.ResolveSubdomain, protocol.ResolvePath},
		Domains:    []string{"example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := server.Config{
		Token: func() (string, error) { return token, nil }, Router: oneTenant{resolver},
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	handler, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// ask sends a request as JSON with the token; change may spoil it.
func ask(t *testing.T, url, body string, change func(*http.Request)) (status int, answer map[string]any, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("got %d %q, want JSON", response.StatusCode, text)
	}
	return response.StatusCode, answer, response.Header
}

// refused is the code of a refusal, whose form is checked.
func refused(t *testing.T, answer map[string]any) string {
	t.Helper()
	refusal, _ := answer["error"].(map[string]any)
	code, _ := refusal["code"].(string)
	if message, _ := refusal["message"].(string); code == "" || message == "" || len(answer) != 1 {
		t.Fatalf("got %v, want an error with code and message", answer)
	}
	return code
}

func TestResolve(t *testing.T) {
	url := start(t, nil) + "/api/v1/router/resolve"
	for _, body := range []string{
		`{"tenantId":"acme"}`,
		`{"request":{"headers":{"x-tenant-id":["acme"]}}}`,
		`{"request":{"host":"acme.example.com:443"}}`,
		`{"request":{"host":"acme.example.com","path":"/t/acme/orders?x=1","headers":{"X-Tenant-ID":["acme"]}}}`,
	} {
		status, answer, _ := ask(t, url, body, nil)
		schema, _ := answer["schema"].(map[string]any)
		if status != http.StatusOK || answer["tenantId"] != "acme" || answer["dbUrl"] != "file:///data/acme.db" ||
			answer["status"] != "active" || schema["revision"] != "0123" {
			t.Errorf("%s: got %d %v, want acme", body, status, answer)
		}
	}
}

// Whatever is wrong is said in one form, and of what is the server's own fault
// nothing is said.
func TestRefusals(t *testing.T) {
	root := start(t, nil)
	const path = "/api/v1/router/resolve"
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	for _, test := range []struct {
		name, path, body string
		change           func(*http.Request)
		status           int
		code             string
	}{
		{"no token", path, `{}`, header("Authorization"), 401, "invalid_token"},
		{"another token", path, `{}`, header("Authorization", "Bearer nonsense"), 401, "invalid_token"},
		{"the token twice", path, `{}`, header("Authorization", "Bearer "+token, "Bearer "+token), 401, "invalid_token"},
		{"another scheme", path, `{}`, header("Authorization", "Basic "+token), 401, "invalid_token"},
		{"no JSON", path, `tenantId=acme`, nil, 400, "bad_request"},
		{"nothing", path, ``, nil, 400, "bad_request"},
		{"an unknown key", path, `{"tenantId":"acme","tenant":"x"}`, nil, 400, "bad_request"},
		{"two values", path, `{"tenantId":"acme"} {}`, nil, 400, "bad_request"},
		{"no tenant", path, `{}`, nil, 400, "bad_request"},
		{"both", path, `{"tenantId":"acme","request":{}}`, nil, 400, "bad_request"},
		{"no path", path, `{"request":{"path":"t/acme"}}`, nil, 400, "bad_request"},
		{"a URL", path, `{"request":{"path":"http://acme.example.com/"}}`, nil, 400, "bad_request"},
		{"a request of nobody", path, `{"request":{}}`, nil, 401, "unauthenticated"},
		{"a request of two", path, `{"request":{"host":"acme.example.com","path":"/t/globex"}}`, nil, 403, "cross_tenant"},
		{"a header twice", path, `{"request":{"headers":{"X-Tenant-ID":["acme"],"x-tenant-id":["globex"]}}}`, nil, 400, "malformed_identity"},
		{"a malformed id", path, `{"request":{"path":"/t/acme/../globex"}}`, nil, 400, "malformed_identity"},
		{"a form", path, `{}`, header("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
		{"too much", path, `{"tenantId":"` + strings.Repeat("a", 70_000) + `"}`, nil, 413, "too_large"},
		{"an unknown tenant", path, `{"tenantId":"nobody"}`, nil, 404, "unknown_tenant"},
		{"a fault of the server", path, `{"tenantId":"broken"}`, nil, 500, "internal"},
		{"another method", path, ``, func(r *http.Request) { r.Method = http.MethodGet }, 405, "method_not_allowed"},
		{"another path", "/api/v2/nothing", `{}`, nil, 404, "not_found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, answer, _ := ask(t, root+test.path, test.body, test.change)
			if got := refused(t, answer); status != test.status || got != test.code {
				t.Errorf("got %d %s, want %d %s", status, got, test.status, test.code)
			}
			if strings.Contains(refusedText(answer), "secret-place") {
				t.Errorf("got %v, which tells what only the log may", answer)
			}
		})
	}
}

func refusedText(answer map[string]any) string {
	text, _ := json.Marshal(answer)
	return string(text)
}

// A server whose token is empty or cannot be read lets nobody in.
func TestNoTokenLetsNobodyIn(t *testing.T) {
	for _, read := range []func() (string, error){
		func() (string, error) { return "", nil },
		func() (string, error) { return token, errors.New("permission denied") },
	} {
		url := start(t, func(c *server.Config) { c.Token = read })
		for _, sent := range []string{"Bearer ", "Bearer " + token} {
			status, answer, _ := ask(t, url+"/api/v1/router/resolve", `{"tenantId":"acme"}`, func(r *http.Request) {
				r.Header.Set("Authorization", sent)
			})
			if code := refused(t, answer); status != http.StatusServiceUnavailable || code != "unavailable" {
				t.Errorf("got %d %s for %q, want 503 unavailable", status, code, sent)
			}
		}
	}
}

// A part that is not there is not served.
func TestPartsThatAreMissing(t *testing.T) {
	url := start(t, func(c *server.Config) { c.Router = nil })
	status, answer, _ := ask(t, url+"/api/v1/router/resolve", `{"tenantId":"acme"}`, nil)
	if code := refused(t, answer); status != http.StatusNotFound || code != "not_found" {
		t.Errorf("got %d %s, want 404 not_found", status, code)
	}
	if _, err := server.New(server.Config{}); err == nil {
		t.Error("a server without a token was made")
	}
}

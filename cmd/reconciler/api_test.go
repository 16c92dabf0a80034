package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// servedAPI is the HTTP API of a daemon that knows acme.
type servedAPI struct {
	*testing.T
	api     *api
	secrets string
}

func serveAcme(t *testing.T, change func(*config.Settings)) *servedAPI {
	t.Helper()
	s := &servedAPI{T: t, secrets: t.TempDir()}
	s.write("first")
	c := &cli{stderr: io.Discard, settings: config.Settings{
		Data: t.TempDir(), SecretsDir: s.secrets, Server: config.Server{Listen: "127.0.0.1:0", Token: "$file:api"},
	}}
	if change != nil {
		change(&c.settings)
	}
	store, err := state.Open(t.Context(), c.statePath(), state.Options{})
	s.must(err)
	s.must(store.SaveTenants(t.Context(), state.Tenant{
		ID: "acme", Spec: bundle.TenantSpec{ID: "acme", Name: "Acme", Plan: protocol.PlanPro, Region: protocol.RegionEUWest},
		Origin: state.FromGit, Lifecycle: state.Lifecycle{Status: protocol.TenantActive, StatusSince: time.Now()},
	}))
	files, err := tenantrouter.New(tenantrouter.Config{DataDir: c.settings.Data})
	s.must(err)
	s.api, err = c.serveAPI(apiParts{store: store, files: files, log: slog.New(slog.DiscardHandler)})
	s.must(err)
	t.Cleanup(func() {
		s.must(s.api.close())
		s.must(store.Close())
	})
	return s
}

func (s *servedAPI) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *servedAPI) write(token string) {
	s.Helper()
	s.must(os.WriteFile(filepath.Join(s.secrets, "api"), []byte(token+"\n"), 0o600))
}

// resolve asks for a tenant.
func (s *servedAPI) resolve(token, body string) (int, string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://"+s.api.address+"/api/v1/router/resolve", strings.NewReader(body))
	s.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	s.must(err)
	return response.StatusCode, string(text)
}

// A token that is changed on disk counts at the next request.
func TestAPITokenIsReadAgain(t *testing.T) {
	s := serveAcme(t, nil)
	const acme = `{"tenantId":"acme"}`
	if got, body := s.resolve("first", acme); got != http.StatusOK || !strings.Contains(body, `"plan":"pro"`) {
		t.Errorf("the token got %d %s", got, body)
	}
	s.write("second")
	if got, body := s.resolve("first", acme); got != http.StatusUnauthorized {
		t.Errorf("the token of before got %d %s, want 401", got, body)
	}
	if got, body := s.resolve("second", acme); got != http.StatusOK {
		t.Errorf("the new token got %d %s", got, body)
	}
}

// The settings say where a request names its tenant.
func TestAPIRouter(t *testing.T) {
	const described = `{"request":{"host":"acme.example.com","headers":{"X-Org":["acme"]}}}`
	s := serveAcme(t, nil)
	if got, body := s.resolve("first", described); got != http.StatusUnauthorized || !strings.Contains(body, "unauthenticated") {
		t.Errorf("without strategies: got %d %s", got, body)
	}
	s = serveAcme(t, func(s *config.Settings) {
		s.Router = config.Router{Strategies: "subdomain, header", Header: "X-Org", Domains: "example.org,example.com"}
	})
	if got, body := s.resolve("first", described); got != http.StatusOK || !strings.Contains(body, `"tenantId":"acme"`) {
		t.Errorf("got %d %s", got, body)
	}
	if got, body := s.resolve("first", strings.Replace(described, `["acme"]`, `["globex"]`, 1)); got != http.StatusForbidden {
		t.Errorf("two tenants: got %d %s", got, body)
	}
}

package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/config"
)

// A token that is changed on disk counts at the next request.
func TestAPITokenIsReadAgain(t *testing.T) {
	secrets := t.TempDir()
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(secrets, "api"), []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	c := &cli{stderr: io.Discard, settings: config.Settings{
		SecretsDir: secrets, Server: config.Server{Listen: "127.0.0.1:0", Token: "$file:api"},
	}}
	a, err := c.serveAPI(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	status := func(token string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.address+"/api/v1/router/resolve", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		return response.StatusCode
	}
	if got := status("first"); got == http.StatusUnauthorized {
		t.Errorf("the token got %d", got)
	}
	write("second")
	if got := status("first"); got != http.StatusUnauthorized {
		t.Errorf("the token of before got %d, want 401", got)
	}
	if got := status("second"); got == http.StatusUnauthorized {
		t.Errorf("the new token got %d", got)
	}
}

package forge_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tenantops/reconciler/preview/forge"
	"github.com/tenantops/reconciler/preview/forge/forgetest"
)

// An app signs for itself, and shows the token of its installation until that
// is about to end.
func TestApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	now := time.Now()
	f := forgetest.New(t, "github")
	issued := 0
	f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v3/app" && r.URL.Path != "/api/v3/app/installations/22/access_tokens" {
			return false
		}
		signed, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims := jwt.RegisteredClaims{}
		_, err := jwt.ParseWithClaims(signed, &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithIssuer("11"), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"RS256"}))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"slug": "fleet"}
		if strings.HasSuffix(r.URL.Path, "access_tokens") {
			issued++
			answer = map[string]any{"token": forgetest.Token, "expires_at": now.Add(time.Hour)}
			w.WriteHeader(http.StatusCreated)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
		return true
	})
	client := open(t, f, func(c *forge.Config) {
		c.Token, c.Now = nil, func() time.Time { return now }
		c.App = &forge.App{ID: 11, Installation: 22, Key: func() (string, error) { return string(text), nil }}
	})
	self, err := client.Self(t.Context())
	if err != nil || self.Login != "fleet[bot]" || !self.Bot {
		t.Errorf("self: got %+v, %v", self, err)
	}
	for _, at := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {50 * time.Minute, 1}, {6 * time.Minute, 2}} {
		now = now.Add(at.after)
		if _, err := client.Pulls(t.Context()); err != nil || issued != at.want {
			t.Errorf("got %d tokens, want %d: %v", issued, at.want, err)
		}
	}

	broken := open(t, f, func(c *forge.Config) {
		c.App = &forge.App{ID: 11, Installation: 22, Key: func() (string, error) { return "s3cr3t", nil }}
	})
	if _, err := broken.Pulls(t.Context()); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a key that is none: got %v", err)
	}
}

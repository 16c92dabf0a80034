package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-github/v89/github"
)

// app acts as an installed GitHub App: it signs for itself with the private
// key, gets a token for the installation with that, which lasts an hour, and
// shows it (docs.github.com, "Authenticating as a GitHub App installation").
type app struct {
	App
	client *github.Client // as the app itself
	now    func() time.Time

	mu      sync.Mutex // held while a token is asked for
	token   string
	expires time.Time
}

const (
	signedFor  = 9 * time.Minute // GitHub takes 10
	signedAgo  = time.Minute     // clocks differ
	renewAhead = 5 * time.Minute // no request takes longer
)

func openApp(c Config) (*app, error) {
	a := &app{App: *c.App, now: c.Now}
	var err error
	a.client, err = c.gitHub(show("Authorization", "Bearer ", a.sign))
	return a, err
}

// sign is the app's word for itself.
func (a *app) sign() (string, error) {
	text, err := a.Key()
	if err != nil {
		return "", err
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	if err != nil {
		return "", fmt.Errorf("the app's key is no RSA private key in PEM: %w", err)
	}
	now := a.now()
	return jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer:    strconv.FormatInt(a.ID, 10),
		IssuedAt:  jwt.NewNumericDate(now.Add(-signedAgo)),
		ExpiresAt: jwt.NewNumericDate(now.Add(signedFor)),
	}).SignedString(key)
}

// authorize shows the installation's token.
func (a *app) authorize(ctx context.Context, r *http.Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.now().Add(renewAhead).Before(a.expires) {
		token, _, err := a.client.Apps.CreateInstallationToken(ctx, a.Installation, nil)
		if err != nil {
			return doing(err, "get a token of the app's installation")
		}
		a.token, a.expires = token.GetToken(), token.GetExpiresAt().Time
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	return nil
}

// user is who the app's comments are by.
func (a *app) user(ctx context.Context) (User, error) {
	self, _, err := a.client.Apps.Get(ctx, "")
	if err != nil {
		return User{}, doing(err, "ask who the app is")
	}
	return User{Login: self.GetSlug() + "[bot]", Bot: true}, nil
}

package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// ErrKeys says that the keys of tokens cannot be had, which is not the fault
// of who sent a token.
var ErrKeys = errors.New("the keys that tokens are checked with cannot be had")

var errNoKey = errors.New("no key fits the token")

const (
	refresh        = time.Hour
	refreshUnknown = time.Minute     // so that tokens with made-up keys do not become requests to the issuer
	refreshWait    = 5 * time.Second // that a request waits for a key that is fetched because of it
	maxKeys        = 1 << 20         // bytes of a JWKS
	minRSA         = 2048            // bits, RFC 7518 section 3.3
)

// fits reports whether a key is of the kind that an algorithm needs. The
// parser has refused algorithms that are not allowed before.
func fits(algorithm string, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return algorithm == "RS256" && k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return algorithm == "ES256" && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// keyURL are the keys of a JWKS that is fetched. The library keeps them when
// a later fetch fails, and drops those that a later set has no more.
type keyURL struct {
	token Token

	mu     sync.Mutex
	set    keyfunc.Keyfunc // nil until the first token
	cancel context.CancelFunc
	closed bool
}

func (k *keyURL) find(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		set, err := k.open()
		if err != nil {
			return nil, err
		}
		if _, named := t.Header["kid"].(string); !named {
			return nil, errNoKey // a set changes, and trying all of them would hide which key was meant
		}
		key, err := set.KeyfuncCtx(ctx)(t)
		if err != nil {
			if all, readErr := set.Storage().KeyReadAll(ctx); readErr == nil && len(all) == 0 {
				return nil, fmt.Errorf("%w: %w", ErrKeys, err)
			}
			return nil, fmt.Errorf("%w: %w", errNoKey, err)
		}
		if !fits(t.Method.Alg(), key) {
			return nil, errNoKey
		}
		return key, nil
	}
}

// open fetches the set for the first token. Tokens that come meanwhile wait.
func (k *keyURL) open() (keyfunc.Keyfunc, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, fmt.Errorf("%w: closed", ErrKeys)
	}
	if k.set != nil {
		return k.set, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	set, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{k.token.JWKSURL}, keyfunc.Override{
		Client: bounded(k.token.Client), HTTPTimeout: fetchTime, RefreshInterval: refresh,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(refreshUnknown), 1), RateLimitWaitMax: refreshWait,
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) { k.token.Log.Error("keys of tokens not fetched", attrErr, err) }
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	k.set, k.cancel = set, cancel
	return set, nil
}

func (k *keyURL) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.cancel != nil {
		k.cancel()
	}
}

const attrErr = "err" // of logs

// bounded is a client that reads no more than a set of keys may have, and
// follows no redirect to where keys may not come from.
func bounded(client *http.Client) *http.Client {
	c := *client
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	c.Transport = limit{base}
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) >= 3 || !safeURL(r.URL.String()) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &c
}

type limit struct{ base http.RoundTripper }

func (l limit) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxKeys)
	}
	return response, err
}

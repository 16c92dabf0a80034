package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Token says which JSON web tokens are believed: those in an Authorization
// header, signed by a key of the issuer, for this audience, and in their time.
type Token struct {
	// One of the two says which keys. A file holds PEM blocks of public keys or
	// certificates, or a JWKS, and is read again when it changes. A URL, https
	// or of the loopback, gives a JWKS; it is fetched every hour, and at most
	// once a minute for a key that is not known yet.
	JWKSURL, KeyFile string
	// Algorithms are those allowed, of RS256, ES256 and EdDSA. Default: all.
	Algorithms []string
	// Audience and Issuer are what aud has to hold and iss has to be.
	Audience, Issuer string
	// Claim is the one that has the tenant's id. Default: tenantId.
	Claim string
	// Skew is how far the clocks of issuer and server may be apart. Default:
	// one minute; at most five.
	Skew time.Duration

	Client *http.Client // that fetches keys; default one with a timeout of 10 seconds
	Log    *slog.Logger // gets a line when keys cannot be had; default none
}

const (
	defaultSkew = time.Minute
	maxSkew     = 5 * time.Minute // longer would make expiry meaningless
	maxToken    = 8 << 10         // bytes, as servers limit a header
	fetchTime   = 10 * time.Second
)

// algorithms are asymmetric ones alone: with a symmetric one, the public key
// could be taken for the secret, and with none anything could.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

func (t Token) withDefaults() Token {
	if len(t.Algorithms) == 0 {
		t.Algorithms = algorithms
	}
	t.Claim = cmp.Or(t.Claim, "tenantId")
	t.Skew = cmp.Or(t.Skew, defaultSkew)
	if t.Client == nil {
		t.Client = &http.Client{Timeout: fetchTime}
	}
	if t.Log == nil {
		t.Log = slog.New(slog.DiscardHandler)
	}
	return t
}

// Validate reports everything that is wrong.
func (t Token) Validate() error {
	t = t.withDefaults()
	var wrong []error
	if (t.JWKSURL == "") == (t.KeyFile == "") {
		wrong = append(wrong, errors.New("the strategy token needs either a JWKS URL or a key file"))
	}
	if t.JWKSURL != "" && !safeURL(t.JWKSURL) {
		wrong = append(wrong, errors.New("the JWKS URL has to be https, or http of the loopback"))
	}
	if t.Audience == "" || t.Issuer == "" {
		wrong = append(wrong, errors.New("the strategy token needs an audience and an issuer"))
	}
	for _, a := range t.Algorithms {
		if !slices.Contains(algorithms, a) {
			wrong = append(wrong, fmt.Errorf("algorithm %q is none of %s", a, strings.Join(algorithms, ", ")))
		}
	}
	if t.Skew < 0 || t.Skew > maxSkew {
		wrong = append(wrong, fmt.Errorf("a clock skew of %v is not between 0 and %v", t.Skew, maxSkew))
	}
	return errors.Join(wrong...)
}

func safeURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	loopback := slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// verifier checks tokens.
type verifier struct {
	claim  string
	parser *jwt.Parser
	keys   keys
}

// keys find the public key of a token.
type keys interface {
	find(ctx context.Context) jwt.Keyfunc
	close()
}

func newVerifier(t Token, now func() time.Time) (*verifier, error) {
	v := &verifier{claim: t.Claim, parser: jwt.NewParser(
		jwt.WithValidMethods(t.Algorithms), jwt.WithAudience(t.Audience), jwt.WithIssuer(t.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(t.Skew), jwt.WithTimeFunc(now),
		jwt.WithStrictDecoding(),
	)}
	var err error
	if t.KeyFile != "" {
		v.keys, err = newKeyFile(t.KeyFile)
	} else {
		v.keys = &keyURL{token: t}
	}
	return v, err
}

func (v *verifier) close() { v.keys.close() }

// find returns the tenant and the claims of a request's token, and nothing
// for a request without an Authorization header.
func (v *verifier) find(r *http.Request) (string, map[string]any, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", nil, nil
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || len(text) > maxToken {
		return "", nil, ErrToken
	}
	claims := jwt.MapClaims{}
	if _, err := v.parser.ParseWithClaims(text, claims, v.key(r.Context())); err != nil {
		if errors.Is(err, ErrKeys) {
			return "", nil, ErrKeys
		}
		return "", nil, fmt.Errorf("%w: %s", ErrToken, reason(err))
	}
	tenant, ok := claims[v.claim].(string)
	if !ok || tenant == "" {
		return "", nil, fmt.Errorf("%w: it has no tenant", ErrToken)
	}
	return tenant, claims, nil
}

// key finds the key of a token, unless its header asks for more than a
// signature: what crit names has to be understood (RFC 7515, section 4.1.11),
// and the library looks past it.
func (v *verifier) key(ctx context.Context) jwt.Keyfunc {
	find := v.keys.find(ctx)
	return func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errNoKey
		}
		return find(t)
	}
}

// reason is why a token is refused, in words that hold nothing of it.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenMalformed, "it cannot be read"},
		{jwt.ErrTokenSignatureInvalid, "its signature or algorithm is wrong"},
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "it is not valid yet"},
		{jwt.ErrTokenInvalidAudience, "it is for somebody else"},
		{jwt.ErrTokenInvalidIssuer, "it is from somebody else"},
		{jwt.ErrTokenRequiredClaimMissing, "a claim is missing"},
		{jwt.ErrTokenUnverifiable, "no key is known for it"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "its claims are wrong"
}

package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// keys of an issuer, one for each algorithm, and of somebody else.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	all := map[string]crypto.Signer{}
	for _, owner := range []string{"", "other "} {
		rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
		ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		_, edKey, _ := ed25519.GenerateKey(rand.Reader)
		all[owner+"RS256"], all[owner+"ES256"], all[owner+"EdDSA"] = rsaKey, ecKey, edKey
	}
	all["ES384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return all
})

func publicPEM(t testing.TB, names ...string) []byte {
	t.Helper()
	var text []byte
	for _, name := range names {
		der, err := x509.MarshalPKIXPublicKey(keys()[name].Public())
		must(t, err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is a public key as a member of a set, under the id that is its name.
func jwk(name string) map[string]string {
	k := map[string]string{"kid": name}
	switch key := keys()[name].Public().(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", encoded(key.N.Bytes()), encoded(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (key.Curve.Params().BitSize + 7) / 8
		point, _ := key.Bytes()
		k["kty"], k["crv"], k["x"], k["y"] = "EC", key.Curve.Params().Name, encoded(point[1:1+size]), encoded(point[1+size:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", encoded(key)
	}
	return k
}

func jwks(t testing.TB, names ...string) []byte {
	t.Helper()
	set := map[string][]map[string]string{"keys": {}}
	for _, name := range names {
		set["keys"] = append(set["keys"], jwk(name))
	}
	text, err := json.Marshal(set)
	must(t, err)
	return text
}

// claims are those of a token that is in order; change may spoil them.
func claims(change func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://id.example", "aud": "orders", "sub": "mira", "tenantId": "acme",
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if change != nil {
		change(c)
	}
	return c
}

// signed is a token signed with a key, whose name is its id.
func signed(t testing.TB, method jwt.SigningMethod, key any, kid string, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	must(t, err)
	return text
}

func good(t testing.TB, algorithm string) string {
	return signed(t, jwt.GetSigningMethod(algorithm), keys()[algorithm], algorithm, claims(nil))
}

// issuer serves a set of keys that can be changed.
type issuer struct {
	*httptest.Server
	set     atomic.Value // []byte
	fetches atomic.Int64
	away    atomic.Bool
}

func newIssuer(t testing.TB, names ...string) *issuer {
	t.Helper()
	i := &issuer{}
	i.set.Store(jwks(t, names...))
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.fetches.Add(1)
		if i.away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		w.Write(i.set.Load().([]byte))
	}))
	t.Cleanup(i.Close)
	return i
}

func resolver(t testing.TB, change func(*identity.Config)) *identity.Resolver {
	t.Helper()
	c := identity.Config{
		Token: identity.Token{Audience: "orders", Issuer: "https://id.example"},
		Now:   func() time.Time { return now },
	}
	change(&c)
	r, err := identity.New(c)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

func withToken(text string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return r
}

func keyFile(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// Each algorithm is believed from each source of keys.
func TestTokens(t *testing.T) {
	names := []string{"RS256", "ES256", "EdDSA"}
	for source, change := range map[string]func(*identity.Config){
		"url":        func(c *identity.Config) { c.Token.JWKSURL = newIssuer(t, names...).URL },
		"pem file":   func(c *identity.Config) { c.Token.KeyFile = keyFile(t, publicPEM(t, names...)) },
		"jwks file":  func(c *identity.Config) { c.Token.KeyFile = keyFile(t, jwks(t, names...)) },
		"other name": func(c *identity.Config) { c.Token.KeyFile, c.Token.Claim = keyFile(t, jwks(t, names...)), "tenantId" },
	} {
		r := resolver(t, change)
		for _, algorithm := range names {
			found, err := r.Resolve(withToken(good(t, algorithm)))
			if err != nil || found.Tenant != "acme" || found.By != protocol.ResolveToken || found.Claims["sub"] != "mira" {
				t.Errorf("%s, %s: got %+v, %v", source, algorithm, found, err)
			}
		}
	}
}

// Tokens that are not in order are refused for the reason that they are, and
// no error repeats them.
func TestTokensThatAreRefused(t *testing.T) {
	names := []string{"RS256", "ES256", "EdDSA"}
	at := func(key string, from time.Duration) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[key] = now.Add(from).Unix() }
	}
	with := func(key string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[key] = value }
	}
	without := func(key string) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { delete(c, key) }
	}
	ed := func(change func(jwt.MapClaims)) string {
		return signed(t, jwt.SigningMethodEdDSA, keys()["EdDSA"], "EdDSA", claims(change))
	}
	header := func(change func(map[string]any)) string {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims(nil))
		token.Header["kid"] = "EdDSA"
		change(token.Header)
		text, err := token.SignedString(keys()["EdDSA"])
		must(t, err)
		return text
	}
	none := signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "EdDSA", claims(nil))
	parts := strings.Split(ed(nil), ".")
	publicRSA := publicPEM(t, "RS256")
	tests := map[string]struct{ token, says string }{
		"expired":              {ed(at("exp", -2*time.Minute)), "expired"},
		"without expiry":       {ed(without("exp")), "missing"},
		"expiry as text":       {ed(with("exp", "2099")), "claims"},
		"not yet":              {ed(at("nbf", 2*time.Minute)), "not valid yet"},
		"of the future":        {ed(at("iat", 2*time.Minute)), "not valid yet"},
		"another audience":     {ed(with("aud", "billing")), "somebody else"},
		"several others":       {ed(with("aud", []string{"billing", "Orders"})), "somebody else"},
		"no audience":          {ed(without("aud")), "missing"},
		"another issuer":       {ed(with("iss", "https://id.example.evil")), "somebody else"},
		"no issuer":            {ed(without("iss")), "missing"},
		"no tenant":            {ed(without("tenantId")), "no tenant"},
		"an empty tenant":      {ed(with("tenantId", "")), "no tenant"},
		"tenants":              {ed(with("tenantId", []string{"acme"})), "no tenant"},
		"a number":             {ed(with("tenantId", 7)), "no tenant"},
		"alg none":             {none, "signature"},
		"alg none, other case": {encoded([]byte(`{"alg":"NonE","typ":"JWT"}`)) + "." + parts[1] + ".", "key"},
		"no signature":         {parts[0] + "." + parts[1] + ".", "signature"},
		"another's claims":     {parts[0] + "." + encoded([]byte(`{"tenantId":"globex"}`)) + "." + parts[2], "signature"},
		"two parts":            {parts[0] + "." + parts[1], "read"},
		"no JSON":              {"a.b.c", "read"},
		"nothing":              {"", "read"},
		"a critical extension": {header(func(h map[string]any) { h["crit"], h["b64"] = []string{"b64"}, true }), "key"},
		"another key":          {signed(t, jwt.SigningMethodEdDSA, keys()["other EdDSA"], "EdDSA", claims(nil)), "signature"},
		"another RSA key":      {signed(t, jwt.SigningMethodRS256, keys()["other RS256"], "RS256", claims(nil)), "signature"},
		"an unknown key":       {signed(t, jwt.SigningMethodEdDSA, keys()["other EdDSA"], "other", claims(nil)), ""},
		"HS of the public key": {signed(t, jwt.SigningMethodHS256, publicRSA, "RS256", claims(nil)), "signature"},
		"another algorithm":    {signed(t, jwt.SigningMethodRS512, keys()["RS256"], "RS256", claims(nil)), "signature"},
		"PSS":                  {signed(t, jwt.SigningMethodPS256, keys()["RS256"], "RS256", claims(nil)), "signature"},
		"another curve":        {signed(t, jwt.SigningMethodES384, keys()["ES384"], "ES384", claims(nil)), "signature"},
		"a key of another":     {signed(t, jwt.SigningMethodES256, keys()["ES256"], "RS256", claims(nil)), ""},
		"too long":             {ed(with("more", strings.Repeat("a", 10_000))), ""},
		"padded":               {parts[0] + "." + parts[1] + "." + parts[2] + "==", ""},
	}
	for source, change := range map[string]func(*identity.Config){
		"url":       func(c *identity.Config) { c.Token.JWKSURL = newIssuer(t, append(names, "ES384")...).URL },
		"pem file":  func(c *identity.Config) { c.Token.KeyFile = keyFile(t, publicPEM(t, names...)) },
		"jwks file": func(c *identity.Config) { c.Token.KeyFile = keyFile(t, jwks(t, append(names, "ES384")...)) },
	} {
		r := resolver(t, change)
		for name, test := range tests {
			if source == "pem file" && (name == "an unknown key" || name == "a key of another") {
				continue // its keys have no names
			}
			found, err := r.Resolve(withToken(test.token))
			if !errors.Is(err, identity.ErrToken) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, %s: got %+v, %v; want it to say %q", source, name, found, err, test.says)
			}
			if err != nil && test.token != "" && strings.Contains(err.Error(), test.token) {
				t.Errorf("%s: the error repeats the token", name)
			}
		}
		for _, ok := range []func(jwt.MapClaims){at("exp", -30*time.Second), at("nbf", 30*time.Second), with("aud", []string{"x", "orders"})} {
			if _, err := r.Resolve(withToken(ed(ok))); err != nil {
				t.Errorf("%s: within the clocks' difference: %v", source, err)
			}
		}
	}
}

// Where a token stands, and how often, is not a matter of taste.
func TestAuthorizationHeader(t *testing.T) {
	r := resolver(t, func(c *identity.Config) { c.Token.KeyFile = keyFile(t, publicPEM(t, "EdDSA")) })
	token := good(t, "EdDSA")
	for name, test := range map[string]struct {
		values []string
		want   error
	}{
		"bearer":        {[]string{"Bearer " + token}, nil},
		"lower case":    {[]string{"bearer " + token}, nil},
		"none":          {nil, identity.ErrMissing},
		"empty":         {[]string{""}, identity.ErrToken},
		"twice":         {[]string{"Bearer " + token, "Bearer " + token}, identity.ErrToken},
		"basic":         {[]string{"Basic " + token}, identity.ErrToken},
		"bare":          {[]string{token}, identity.ErrToken},
		"two in one":    {[]string{"Bearer " + token + ", Bearer " + token}, identity.ErrToken},
		"another space": {[]string{"Bearer\t" + token}, identity.ErrToken},
	} {
		request := httptest.NewRequest(http.MethodGet, "/?access_token="+token, nil)
		request.Header["Authorization"] = test.values
		if found, err := r.Resolve(request); !errors.Is(err, test.want) {
			t.Errorf("%s: got %+v, %v; want %v", name, found, err, test.want)
		}
	}
}

// A key that the issuer makes later is fetched with its first token, one that
// it withdraws is believed no more after that, and made-up keys are not a
// request to the issuer each.
func TestKeysRotate(t *testing.T) {
	i := newIssuer(t, "EdDSA")
	r := resolver(t, func(c *identity.Config) { c.Token.JWKSURL = i.URL })
	if _, err := r.Resolve(withToken(good(t, "EdDSA"))); err != nil {
		t.Fatal(err)
	}
	i.set.Store(jwks(t, "ES256"))
	if _, err := r.Resolve(withToken(good(t, "ES256"))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := r.Resolve(withToken(good(t, "EdDSA"))); !errors.Is(err, identity.ErrToken) {
		t.Errorf("the withdrawn key: got %v, want ErrToken", err)
	}
	for range 20 {
		forged := signed(t, jwt.SigningMethodEdDSA, keys()["other EdDSA"], "made up", claims(nil))
		if _, err := r.Resolve(withToken(forged)); !errors.Is(err, identity.ErrToken) {
			t.Errorf("a made-up key: got %v, want ErrToken", err)
		}
	}
	if got := i.fetches.Load(); got > 3 {
		t.Errorf("the issuer was asked %d times", got)
	}
}

// An issuer that is away is no fault of the token, and not the end of keys that
// are known.
func TestIssuerIsAway(t *testing.T) {
	i := newIssuer(t, "EdDSA")
	known := resolver(t, func(c *identity.Config) { c.Token.JWKSURL = i.URL })
	if _, err := known.Resolve(withToken(good(t, "EdDSA"))); err != nil {
		t.Fatal(err)
	}
	i.away.Store(true)
	if _, err := known.Resolve(withToken(good(t, "ES256"))); !errors.Is(err, identity.ErrToken) {
		t.Errorf("an unknown key: got %v, want ErrToken", err)
	}
	if _, err := known.Resolve(withToken(good(t, "EdDSA"))); err != nil {
		t.Errorf("a known key: %v", err)
	}
	first := resolver(t, func(c *identity.Config) { c.Token.JWKSURL = i.URL })
	if _, err := first.Resolve(withToken(good(t, "EdDSA"))); !errors.Is(err, identity.ErrKeys) {
		t.Errorf("without any key: got %v, want ErrKeys", err)
	}
	must(t, first.Close())
	if _, err := first.Resolve(withToken(good(t, "EdDSA"))); !errors.Is(err, identity.ErrKeys) {
		t.Errorf("after Close: got %v, want ErrKeys", err)
	}
}

// A key file that is replaced counts; one that breaks leaves the keys as they
// are.
func TestKeyFileIsReadAgain(t *testing.T) {
	path := keyFile(t, publicPEM(t, "EdDSA"))
	r := resolver(t, func(c *identity.Config) { c.Token.KeyFile = path })
	identity.LookAtOnce(r)
	must(t, os.WriteFile(path, publicPEM(t, "ES256"), 0o600))
	if _, err := r.Resolve(withToken(good(t, "ES256"))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := r.Resolve(withToken(good(t, "EdDSA"))); !errors.Is(err, identity.ErrToken) {
		t.Errorf("the key of before: got %v, want ErrToken", err)
	}
	must(t, os.WriteFile(path, []byte("half a f"), 0o600))
	if _, err := r.Resolve(withToken(good(t, "ES256"))); err != nil {
		t.Errorf("with a broken file: %v", err)
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	der, err := x509.MarshalPKIXPublicKey(small.Public())
	must(t, err)
	for name, text := range map[string][]byte{
		"empty": nil, "text": []byte("no keys here"), "json": []byte(`{"keys": 1}`),
		"a small key":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"another curve": publicPEM(t, "ES384"),
	} {
		_, err := identity.New(identity.Config{Token: identity.Token{
			KeyFile: keyFile(t, text), Audience: "orders", Issuer: "https://id.example",
		}})
		if err == nil {
			t.Errorf("%s was taken for keys", name)
		}
	}
}

package tenantrouter_test

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// The tests below play a stranger, or acme, who tries to reach the database of
// globex. Requests are written byte by byte to a real server, whose answers must
// be refusals; afterwards the database of globex must never have been opened.

// issuer signs tokens with three algorithms.
type issuer struct {
	keys map[string]crypto.Signer
	file string // of its public keys
}

// newKeys makes a key for each algorithm.
func newKeys() map[string]crypto.Signer {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"RS256": rsaKey, "ES256": ecKey, "EdDSA": ed25519.NewKeyFromSeed([]byte(rand.Text() + rand.Text())[:32])}
}

// The keys of the issuer, and of somebody else; making them takes a while.
var ours, strange = sync.OnceValue(newKeys), sync.OnceValue(newKeys)

func newIssuer(t testing.TB, keys map[string]crypto.Signer) *issuer {
	t.Helper()
	i := &issuer{keys: keys, file: filepath.Join(t.TempDir(), "keys.pem")}
	var text []byte
	for _, name := range algorithms {
		text = append(text, i.public(t, name)...)
	}
	must(t, os.WriteFile(i.file, text, 0o600))
	return i
}

var algorithms = []string{"RS256", "ES256", "EdDSA"}

func (i *issuer) public(t testing.TB, algorithm string) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(i.keys[algorithm].Public())
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// token signs claims of a tenant that are in order, or as changed.
func (i *issuer) token(t testing.TB, algorithm, tenant string, change func(header map[string]any, c jwt.MapClaims)) string {
	t.Helper()
	c := jwt.MapClaims{"iss": "https://id.example", "aud": "orders", "tenantId": tenant, "exp": time.Now().Add(time.Hour).Unix()}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), c)
	if change != nil {
		change(token.Header, c)
	}
	text, err := token.SignedString(i.keys[algorithm])
	must(t, err)
	return text
}

// fortress is a server of acme and globex.
type fortress struct {
	*house
	address string
	issuer  *issuer
	bearer  string // header line with the token of acme
}

// newFortress serves by the strategies, all of which have to agree. A lookup
// believes the cookie s.
func newFortress(t *testing.T, strategies ...protocol.TenantResolverStrategy) *fortress {
	t.Helper()
	f := &fortress{issuer: newIssuer(t, ours())}
	resolver, err := identity.New(identity.Config{
		Strategies: strategies, Domains: []string{"example.com"},
		Token: identity.Token{KeyFile: f.issuer.file, Audience: "orders", Issuer: "https://id.example"},
		Lookup: func(r *http.Request) (string, error) {
			cookies := r.CookiesNamed("s")
			if len(cookies) == 0 {
				return "", nil
			}
			if text, err := url.PathUnescape(cookies[0].Value); err == nil {
				return text, nil
			}
			return cookies[0].Value, nil
		},
	})
	must(t, err)
	t.Cleanup(func() { must(t, resolver.Close()) })
	f.house = newHouse(t, func(o *tenantrouter.Options) { o.Identity = resolver })
	f.add("acme", nil)
	f.add("globex", nil)
	server := httptest.NewServer(tenantrouter.Middleware(f.gateway)(http.HandlerFunc(whose)))
	t.Cleanup(server.Close)
	f.address = server.Listener.Addr().String()
	f.bearer = "Authorization: Bearer " + f.issuer.token(t, "EdDSA", "acme", nil)
	return f
}

// request is one as it goes over the wire.
func request(path, host string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
}

// send returns status and body of the answer; 0 when there was none.
func (f *fortress) send(raw string) (int, string) {
	f.Helper()
	conn, err := net.Dial("tcp", f.address)
	must(f, err)
	defer conn.Close()
	must(f, conn.SetDeadline(time.Now().Add(20*time.Second)))
	if _, err := io.WriteString(conn, raw); err != nil {
		return 0, ""
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(f, err)
	return response.StatusCode, string(body)
}

// withstand sends a request that is in order, then those that are not, then
// the first again.
func (f *fortress) withstand(t *testing.T, fine string, forged []string) {
	t.Helper()
	slices.Sort(forged)
	if forged = slices.Compact(forged); len(forged) < 200 {
		t.Errorf("only %d requests differ", len(forged))
	}
	if status, body := f.send(fine); status != http.StatusOK || body != "database of acme" {
		t.Fatalf("%q got %d %s", fine, status, body)
	}
	for _, raw := range forged {
		if status, body := f.send(raw); status < 400 || status >= 500 || strings.Contains(body, "database of") {
			t.Errorf("%q got %d %s", raw, status, body)
		}
	}
	if status, body := f.send(fine); status != http.StatusOK || body != "database of acme" {
		t.Errorf("afterwards %q got %d %s", fine, status, body)
	}
	for _, path := range handles(t, f.data) {
		if strings.Contains(path, "globex") {
			t.Errorf("%s was opened", path)
		}
	}
	t.Logf("%d forged requests", len(forged))
}

// disguises are texts that somebody, or something on the way, might take for
// globex.
func disguises() []string {
	const id = "globex"
	all := []string{
		"", " ", id + " ", " " + id, "\t" + id, id + "\t", id + "\x00", id + "\x0b", id + "\r", id + "%00", id + "%0a", id + "%0d%0aX-Tenant-ID: " + id,
		"GLOBEX", "Globex", "../" + id, "./" + id, "acme/../" + id, "acme/..%2f" + id, "acme%2f..%2f" + id, "..%2f" + id, "%2e%2e/" + id,
		`..\` + id, `acme\..\` + id, "..%5c" + id, "/" + id, id + "/", id + "/.", "//" + id, "acme//" + id, id + ";acme", "acme;" + id, id + "," + id,
		id + ",acme", "acme," + id, "acme, " + id, id + " acme", "acme " + id, "acme&" + id, "acme|" + id, "acme:" + id, id + ":acme", "acme@" + id, id + "@acme",
		"acme#" + id, id + "#", id + "?", "?" + id, id + "=", id + ".db", id + ".db-wal", "tenants/" + id, "file:" + id, "file:///" + id + ".db", "/proc/self/root/" + id,
		"'" + id + "'", `"` + id + `"`, "`" + id + "`", id + "'--", "' OR tenant='" + id, id + `";DROP TABLE who`, "(" + id + ")", "[" + id + "]", "{" + id + "}", "<" + id + ">",
		"${" + id + "}", "$(" + id + ")", "{{" + id + "}}", `{"$ne":null}`, `["` + id + `"]`, "*", "%", "_", id + "*", "glob%", "g_obex", "gl?bex", "[g]lobex", "^globex$", "globex|acme",
		"-" + id, id + "-", "." + id, id + ".", id + "..", "_" + id, id + "_", "+" + id, "~" + id, "!" + id, strings.Repeat("a", 64), strings.Repeat(id, 40),
		"=?utf-8?q?globex?=", "utf-8''globex", "Z2xvYmV4", "0x676c6f626578", "xn--globex-", "\xff" + id, "\xc0\xe7lobex", "globe\xc1\xb8", "\u202exebolg", "\ufeff" + id, id + "\u200b",
	}
	looks := map[rune][]string{
		'g': {"ɡ", "ｇ", "𝐠", "ġ"}, 'l': {"ӏ", "ｌ", "І", "ⅼ", "1", "I"}, 'o': {"о", "ο", "ｏ", "0", "ö", "օ"},
		'b': {"ｂ", "Ь", "ƅ", "𝐛"}, 'e': {"е", "ｅ", "é", "℮"}, 'x': {"х", "ｘ", "×", "ⅹ"},
	}
	for i, c := range id {
		before, after := id[:i], id[i+1:]
		all = append(all, before+strings.ToUpper(string(c))+after, before+fmt.Sprintf("%%%02x", c)+after, before+fmt.Sprintf("%%25%02x", c)+after,
			before+fmt.Sprintf(`\u%04x`, c)+after, before+fmt.Sprintf("&#%d;", c)+after)
		for _, look := range looks[c] {
			all = append(all, before+look+after)
		}
		for _, nothing := range []string{"\u200b", "\u00ad", "\u2060", "\u0301", " ", "\x00", "%00", "\u180e"} {
			all = append(all, before+nothing+id[i:])
		}
	}
	return all
}

// oneLine are texts that fit into a line of a request. The others end the line,
// and what follows is another request or header; that is the proxy's problem.
func oneLine(texts []string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return strings.ContainsAny(s, "\r\n") })
}

// trimmed drops what is the plain id, since HTTP trims the ends of a header.
func trimmed(texts []string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return strings.Trim(s, " \t") == "globex" })
}

func TestIsolationByHeader(t *testing.T) {
	f := newFortress(t, protocol.ResolveHeader)
	const name = "X-Tenant-ID: "
	forged := []string{
		request("/?X-Tenant-ID=globex", "x"), request("/", "x", "X-Tenant-Id : globex"), request("/", "x", "X_Tenant_ID: globex"),
		request("/", "x", " X-Tenant-ID: globex"), request("/", "x", name+"acme", " globex"), request("/", "x", "X-Tenant-ID\x00: globex"),
		request("/", "x", "Cookie: X-Tenant-ID=globex"), request("/", "x", name+"acme", "x-tenant-id: globex"), request("/", "x", "X-Tenant-ID"),
		request("/", "x", "Trailer: X-Tenant-ID", "Transfer-Encoding: chunked") + "0\r\n" + name + "globex\r\n\r\n",
	}
	for _, text := range trimmed(oneLine(disguises())) {
		forged = append(forged, request("/", "x", name+text), request("/", "x", name+"acme", name+text), request("/", "x", name+text, name+"acme"))
	}
	f.withstand(t, request("/", "x", name+"acme"), forged)
}

// With a token beside it, as is right, a header is no more than a claim: the
// plain id of another tenant is refused too.
func TestIsolationByHeaderAndToken(t *testing.T) {
	f := newFortress(t, protocol.ResolveToken, protocol.ResolveHeader)
	var forged []string
	for _, text := range append(oneLine(disguises()), "globex") {
		forged = append(forged, request("/", "x", f.bearer, "X-Tenant-ID: "+text), request("/", "x", "X-Tenant-ID: "+text))
	}
	f.withstand(t, request("/", "x", f.bearer, "X-Tenant-ID: acme"), forged)
}

// hosts are what a stranger can make of a Host header.
func hosts() []string {
	const own = "acme.example.com"
	all := []string{
		"globex.example.com, " + own, own + "\r\nHost: globex.example.com", "globex.example.com.evil.org", "globex.evil.org", "globexexample.com",
		"globex.example.com@" + own, own + "@globex.example.com", "globex@example.com", "globex.example.com#." + own, "globex.example.com/" + own,
		"globex.example.com?." + own, `globex.example.com\.` + own, "globex.acme.example.com", "acme.globex.example.com", "globex.example.com:80:80",
		"globex.example.com:", "globex.example.com:x", "globex.example.com:999999", "globex.example.com..", "globex..example.com", ".globex.example.com",
		"[globex.example.com]", "[::ffff:globex.example.com]", "globex.example.com%", "globex%2eexample.com", "globex.example%2ecom", "globex。example。com",
		"globex．example.com", "globex.examp1e.com", "globex.еxample.com", "globex.example.com\x00", "globex.example.com\x00." + own, "example.com", "localhost",
		"127.0.0.1", "globex", "globex.", "globex.com", "*.example.com", "globex.EXAMPLE.com.evil.org", "globex.example.com. .", "globex.example.com%20",
	}
	for _, text := range oneLine(disguises()) {
		if strings.EqualFold(strings.Trim(text, " \t"), "globex") || text == "globex." {
			continue // the same host, for everyone
		}
		all = append(all, text+".example.com", text+".example.com:443")
	}
	return all
}

func TestIsolationBySubdomain(t *testing.T) {
	f := newFortress(t, protocol.ResolveSubdomain)
	const own = "acme.example.com"
	forged := []string{
		request("/", "nowhere", "X-Forwarded-Host: globex.example.com"), request("/", "nowhere", "Forwarded: host=globex.example.com"),
		request("http://user@globex.example.com.evil.org/", own), request("http://globex.evil.org/", own), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", request("/", "nowhere", "X-Host: globex.example.com", ":authority: globex.example.com"),
	}
	for _, host := range hosts() {
		forged = append(forged, request("/", host))
	}
	f.withstand(t, request("/", own), forged)
}

func TestIsolationBySubdomainAndToken(t *testing.T) {
	f := newFortress(t, protocol.ResolveToken, protocol.ResolveSubdomain)
	forged := []string{
		request("http://globex.example.com/", "acme.example.com", f.bearer),
		request("/", "globex.example.com", f.bearer, "X-Forwarded-Host: acme.example.com"),
	}
	for _, host := range append(hosts(), "globex.example.com", "GLOBEX.example.com", "globex.example.com.", "globex.example.com:80") {
		forged = append(forged, request("/", host, f.bearer))
	}
	f.withstand(t, request("/", "acme.example.com", f.bearer), forged)
}

// paths are what a stranger can make of a path. A path is not escaped here: it
// goes as it is.
func paths() []string {
	all := []string{
		"/t/acme/../globex", "/t/acme/../globex/", "/t/acme/./../globex", "/t/./globex", "/t/../t/globex", "/t/acme/%2e%2e/globex", "/t/acme/%2E./globex",
		"/t/acme/.%2e/globex", "/t/acme%2f..%2fglobex", "/t/acme/..%2fglobex", "/t/acme%2F%2E%2E%2Fglobex", "/t/acme/..%5cglobex", `/t/acme\..\globex`,
		"/t/acme/..;/globex", "/t/acme;/../globex", "/t/acme//../globex", "/t//globex", "//t/globex", "/t/globex//", "/./t/globex", "/x/../t/globex",
		"/T/globex", "/%74/globex", "/t%2fglobex", "/t/", "/t", "/", "/globex", "/t?/globex", "/?/t/globex", "/t/?globex", "/t/%2e%2e%2ft%2fglobex",
		"/t/acme/%252e%252e/globex", "/t/globex%2f", "/t/globex%3f", "/t/globex%23", "/t/globex%3b", "/t/globex%2facme", "/tt/globex", "/t/.globex", "/t/globex/..",
		"/t/globex/../acme", "/t/globex/%2e%2e/acme", "http://x/t/acme/../globex", "http://globex/t", "*",
	}
	for _, text := range oneLine(disguises()) {
		if text == "globex/" || text == "globex?" || strings.Trim(text, " \t") == "globex" || text == "globex#" {
			continue // the path of globex, with nothing or a query behind it
		}
		all = append(all, "/t/"+text, "/t/"+text+"/orders")
	}
	return all
}

func TestIsolationByPath(t *testing.T) {
	f := newFortress(t, protocol.ResolvePath)
	forged := []string{request("/orders", "x", "X-Original-URL: /t/globex"), request("/orders", "x", "X-Rewrite-URL: /t/globex")}
	for _, path := range paths() {
		forged = append(forged, request(path, "x"))
	}
	f.withstand(t, request("/t/acme/orders", "x"), forged)
}

func TestIsolationByPathAndToken(t *testing.T) {
	f := newFortress(t, protocol.ResolveToken, protocol.ResolvePath)
	var forged []string
	for _, path := range append(paths(), "/t/globex", "/t/globex/", "/t/globex?acme", "/t/globex/t/acme") {
		forged = append(forged, request(path, "x", f.bearer))
	}
	f.withstand(t, request("/t/acme/orders", "x", f.bearer), forged)
}

func TestIsolationByLookup(t *testing.T) {
	f := newFortress(t, protocol.ResolveLookup)
	forged := []string{request("/?s=globex", "x"), request("/", "x", "Cookie: S=globex"), request("/", "x", "Set-Cookie: s=globex")}
	for _, text := range disguises() {
		if text == "globex" || text == `"globex"` || text == "globex;acme" || strings.Trim(text, " \t") == "globex" || unescapes(text) {
			continue // a cookie of globex, which this lookup believes
		}
		forged = append(forged, request("/", "x", "Cookie: s="+url.PathEscape(text)), request("/", "x", "Cookie: t=acme; s="+url.PathEscape(text)+"; u=acme"))
	}
	f.withstand(t, request("/", "x", "Cookie: s=acme"), forged)
}

// unescapes reports whether a text is globex for who decodes it once.
func unescapes(text string) bool {
	plain, err := url.PathUnescape(text)
	return err == nil && plain == "globex"
}

func TestIsolationByToken(t *testing.T) {
	f := newFortress(t, protocol.ResolveToken)
	var forged []string
	add := func(tokens ...string) {
		for _, token := range tokens {
			forged = append(forged, request("/", "x", "Authorization: Bearer "+token))
		}
	}
	stranger := newIssuer(t, strange())
	for _, algorithm := range algorithms {
		add(stranger.token(t, algorithm, "globex", nil))
		add(f.claimed(t, algorithm)...)
		add(f.confused(t, algorithm)...)
		add(bent(f.issuer.token(t, algorithm, "acme", nil), f.issuer.token(t, algorithm, "globex", func(_ map[string]any, c jwt.MapClaims) {
			c["exp"] = time.Now().Add(-time.Hour).Unix()
		}))...)
	}
	for _, text := range disguises() { // by an issuer that lets its users choose a name
		add(f.issuer.token(t, "EdDSA", text, nil))
	}
	own := strings.TrimPrefix(f.bearer, "Authorization: ")
	forged = append(forged,
		request("/", "x"), request("/", "x", f.bearer, f.bearer), request("/", "x", "Authorization: "+own+", Bearer x"),
		request("/", "x", "Authorization: Basic Z2xvYmV4Og=="), request("/", "x", "Authorization: globex"), request("/", "x", "X-Tenant-ID: globex"),
		request("/?access_token="+strings.TrimPrefix(own, "Bearer "), "x"), request("/", "x", "Proxy-Authorization: "+own),
	)
	f.withstand(t, request("/", "x", f.bearer, "X-Tenant-ID: globex"), forged)
}

// claimed are tokens of globex, signed by the issuer, that are not for this
// server or this time.
func (f *fortress) claimed(t *testing.T, algorithm string) []string {
	var all []string
	with := func(key string, values ...any) {
		for _, value := range values {
			all = append(all, f.issuer.token(t, algorithm, "globex", func(_ map[string]any, c jwt.MapClaims) {
				if c[key] = value; value == nil {
					delete(c, key)
				}
			}))
		}
	}
	now := time.Now().Unix()
	with("exp", nil, 0, -1, now-61, now-120, now-3600, now-1e9, "never", fmt.Sprint(now+3600), true, []int64{now + 3600}, map[string]any{})
	with("nbf", now+120, now+3600, now+1e9, "yesterday", false)
	with("iat", now+120, now+1e9, "tomorrow")
	with("aud", nil, "", "billing", "Orders", "orders ", " orders", "orders,billing", "orders/", "*", []string{}, []string{"billing"}, 7, true)
	with("iss", nil, "", "https://id.example/", "http://id.example", "https://ID.example", "https://id.example.evil.org", "id.example", 7, []string{"https://id.example"})
	with("tenantId", nil, "", 7, true, []string{"globex"}, map[string]any{"id": "globex"}, "acme,globex")
	return all
}

// confused are tokens of globex that hope for another algorithm, or a key of
// their own choice.
func (f *fortress) confused(t *testing.T, algorithm string) []string {
	claims := jwt.MapClaims{"iss": "https://id.example", "aud": "orders", "tenantId": "globex", "exp": time.Now().Add(time.Hour).Unix()}
	var all []string
	block, _ := pem.Decode(f.issuer.public(t, algorithm))
	public := f.issuer.public(t, algorithm)
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		for _, secret := range [][]byte{public, []byte(strings.TrimSpace(string(public))), block.Bytes, {}, []byte("secret")} {
			text, err := jwt.NewWithClaims(method, claims).SignedString(secret)
			must(t, err)
			all = append(all, text)
		}
	}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	must(t, err)
	signature := f.issuer.token(t, algorithm, "acme", nil)
	signature = signature[strings.LastIndex(signature, ".")+1:]
	payload := strings.Split(none, ".")[1]
	for _, name := range []string{"none", "None", "NONE", "nOnE", "", "null", " none", "HS256", "hs256", "RS256", "ES256", "EdDSA", "ES384", "PS256", "RS512"} {
		header := fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, name)
		all = append(all, encode(header)+"."+payload+".", encode(header)+"."+payload+"."+signature)
	}
	all = append(all, none, encode(`{"typ":"JWT"}`)+"."+payload+".", encode(`{"alg":["none"]}`)+"."+payload+".", encode(`{"alg":null}`)+"."+payload+".")
	stranger := newIssuer(t, strange())
	for key, values := range map[string][]any{
		"kid": {"../../../dev/null", "/dev/null", "' UNION SELECT 'x", "|id", "", 7, []string{"a"}}, "jku": {"https://evil.org/jwks"}, "x5u": {"https://evil.org/cert"},
		"jwk": {map[string]any{"kty": "oct", "k": "AA"}}, "x5c": {[]string{"AA"}}, "crit": {[]string{"exp"}}, "b64": {false}, "zip": {"DEF"}, "cty": {"JWT"},
	} {
		for _, value := range values {
			all = append(all, stranger.token(t, algorithm, "globex", func(h map[string]any, _ jwt.MapClaims) { h[key] = value }))
		}
	}
	return all
}

func encode(text string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// bent are mixtures of the parts of two tokens, and one with bits flipped.
func bent(own, other string) []string {
	a, b := strings.Split(own, "."), strings.Split(other, ".")
	all := []string{
		a[0] + "." + b[1] + "." + a[2], b[0] + "." + b[1] + "." + a[2], a[0] + "." + a[1] + "." + b[2], a[0] + "." + b[1], a[0] + "." + b[1] + ".",
		own + "." + b[1], "." + own, own + ".", other, a[1] + "." + a[0] + "." + a[2], a[0] + "." + a[1] + "." + a[2] + "=", a[0] + "..", "..",
		a[0] + "." + strings.ReplaceAll(b[1], "-", "+") + "=." + a[2], own[:len(own)-4], strings.ToLower(own), own + "A",
	}
	for _, at := range []int{len(a[0]) + 8, len(a[0]) + 20, len(a[0]) + len(a[1])/2, len(a[0]) + len(a[1]) + 8, len(own) - 20} {
		changed := []byte(own)
		if changed[at]++; changed[at] == own[at] || changed[at] > 'z' {
			changed[at] = 'B'
		}
		all = append(all, string(changed))
	}
	return all
}

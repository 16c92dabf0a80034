package identity_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

type strategies = []protocol.TenantResolverStrategy

// tenantOf is what a resolver finds, or the error's sentinel.
func wantTenant(t *testing.T, r *identity.Resolver, request *http.Request, tenant protocol.TenantID, want error) {
	t.Helper()
	found, err := r.Resolve(request)
	if found.Tenant != tenant || !errors.Is(err, want) {
		t.Errorf("%s %q %v: got %q, %v; want %q, %v", request.Host, request.URL, request.Header, found.Tenant, err, tenant, want)
	}
}

func TestByHeader(t *testing.T) {
	r := resolver(t, func(c *identity.Config) { c.Strategies, c.Header = strategies{protocol.ResolveHeader}, "X-Org" })
	for _, test := range []struct {
		values []string
		tenant protocol.TenantID
		err    error
	}{
		{[]string{"acme"}, "acme", nil},
		{nil, "", identity.ErrMissing},
		{[]string{""}, "", identity.ErrMalformed},
		{[]string{"acme", "acme"}, "", identity.ErrMalformed},
		{[]string{"acme, globex"}, "", identity.ErrMalformed},
		{[]string{"Acme"}, "", identity.ErrMalformed},
		{[]string{"acme "}, "", identity.ErrMalformed},
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header["X-Org"] = test.values
		wantTenant(t, r, request, test.tenant, test.err)
	}
}

func TestBySubdomain(t *testing.T) {
	r := resolver(t, func(c *identity.Config) {
		c.Strategies, c.Domains = strategies{protocol.ResolveSubdomain}, []string{"example.com", "eu.example.org", "localhost"}
	})
	for host, want := range map[string]any{
		"acme.example.com": "acme", "ACME.Example.COM": "acme", "acme.example.com.": "acme", "acme.example.com:8443": "acme",
		"acme.example.com.:443": "acme", "acme.eu.example.org": "acme", "acme.localhost:80": "acme", "a--b.example.com": "a--b",
		"example.com": identity.ErrMissing, "acme.example.org": identity.ErrMissing, "acme.notexample.com": identity.ErrMissing,
		"acmeexample.com": identity.ErrMissing, "acme.example.com.evil.org": identity.ErrMissing, "[::1]:80": identity.ErrMissing,
		"127.0.0.1": identity.ErrMissing, "": identity.ErrMissing,
		"acme.evil.example.com": identity.ErrMalformed, "globex@acme.example.com": identity.ErrMalformed,
		"acme.example.com..": identity.ErrMalformed, ".example.com": identity.ErrMalformed, "acme..example.com": identity.ErrMalformed,
		"xn--acm-dma.example.com": identity.ErrMalformed, "аcme.example.com": identity.ErrMalformed, "acme.example.com:80:80": identity.ErrMalformed,
		"acme%2eexample.com": identity.ErrMalformed, "acme.example.com/": identity.ErrMalformed, "acme example.com": identity.ErrMalformed,
		"-acme.example.com": identity.ErrMalformed, "ac_me.example.com": identity.ErrMalformed, "acme\u212a.example.com": identity.ErrMalformed,
		"acme.example.com:": identity.ErrMalformed, "acme.example.com\x00": identity.ErrMalformed, "acme。example.com": identity.ErrMalformed,
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host = host
		request.Header.Set("X-Forwarded-Host", "globex.example.com")
		if tenant, ok := want.(string); ok {
			wantTenant(t, r, request, protocol.TenantID(tenant), nil)
		} else {
			wantTenant(t, r, request, "", want.(error))
		}
	}
}

func TestByPath(t *testing.T) {
	r := resolver(t, func(c *identity.Config) { c.Strategies = strategies{protocol.ResolvePath} })
	for path, want := range map[string]any{
		"/t/acme": "acme", "/t/acme/": "acme", "/t/acme/orders/7": "acme", "/t/acme?t=/t/globex": "acme", "/t/acme/%C3%A4": "acme",
		"/": identity.ErrMissing, "/orders": identity.ErrMissing, "/T/acme": identity.ErrMissing, "/x/t/acme": identity.ErrMissing,
		"/%74/acme": identity.ErrMissing, "/t": identity.ErrMissing,
		"/t/": identity.ErrMalformed, "/t//acme": identity.ErrMalformed, "//t/acme": identity.ErrMalformed, "/t/../t/acme": identity.ErrMalformed,
		"/t/acme/../globex": identity.ErrMalformed, "/t/acme/%2e%2e/globex": identity.ErrMalformed, "/t/acme%2f..%2fglobex": identity.ErrMalformed,
		"/t/%61cme": identity.ErrMalformed, "/t/Acme": identity.ErrMalformed, "/t/acme;v=1": identity.ErrMalformed, "/t/acme%00": identity.ErrMalformed,
		"/t/acme/.": identity.ErrMalformed, "/t/acme%5c..": identity.ErrMalformed, "/t/acme%252e": identity.ErrMalformed, "/t/acme%20": identity.ErrMalformed,
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		var err error
		request.URL, err = url.ParseRequestURI(path)
		must(t, err)
		if tenant, ok := want.(string); ok {
			wantTenant(t, r, request, protocol.TenantID(tenant), nil)
		} else {
			wantTenant(t, r, request, "", want.(error))
		}
	}
}

func TestByLookup(t *testing.T) {
	broken := errors.New("the session store is away")
	r := resolver(t, func(c *identity.Config) {
		c.Strategies = strategies{protocol.ResolveLookup}
		c.Lookup = func(r *http.Request) (string, error) {
			switch cookie := r.Header.Get("Cookie"); cookie {
			case "s=1":
				return "acme", nil
			case "s=2":
				return "../globex", nil
			case "s=3":
				return "globex", broken
			}
			return "", nil
		}
	})
	for cookie, want := range map[string]error{"s=1": nil, "s=2": identity.ErrMalformed, "s=3": broken, "": identity.ErrMissing} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Cookie", cookie)
		tenant := protocol.TenantID("")
		if want == nil {
			tenant = "acme"
		}
		wantTenant(t, r, request, tenant, want)
	}
}

// Every strategy names the tenant unless it is optional, and none may name
// another.
func TestStrategiesAgree(t *testing.T) {
	both := func(optional ...protocol.TenantResolverStrategy) *identity.Resolver {
		return resolver(t, func(c *identity.Config) {
			c.Strategies = strategies{protocol.ResolveToken, protocol.ResolveSubdomain, protocol.ResolveHeader}
			c.Optional, c.Domains = optional, []string{"example.com"}
			c.Token.KeyFile = keyFile(t, publicPEM(t, "EdDSA"))
		})
	}
	request := func(token bool, host, header string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if token {
			r = withToken(good(t, "EdDSA"))
		}
		if r.Host = host; header != "" {
			r.Header.Set("X-Tenant-ID", header)
		}
		return r
	}
	all, some := both(), both(protocol.ResolveSubdomain, protocol.ResolveHeader)
	any := both(protocol.ResolveToken, protocol.ResolveSubdomain, protocol.ResolveHeader)
	for _, test := range []struct {
		r            *identity.Resolver
		token        bool
		host, header string
		tenant       protocol.TenantID
		err          error
	}{
		{all, true, "acme.example.com", "acme", "acme", nil},
		{all, true, "acme.example.com", "", "", identity.ErrMissing},
		{all, true, "example.com", "acme", "", identity.ErrMissing},
		{all, false, "acme.example.com", "acme", "", identity.ErrMissing},
		{all, true, "globex.example.com", "acme", "", identity.ErrConflict},
		{all, true, "acme.example.com", "globex", "", identity.ErrConflict},
		{some, true, "example.com", "", "acme", nil},
		{some, true, "globex.example.com", "", "", identity.ErrConflict},
		{some, true, "example.com", "Acme", "", identity.ErrMalformed},
		{some, false, "globex.example.com", "globex", "", identity.ErrMissing},
		{any, false, "example.com", "globex", "globex", nil},
		{any, false, "acme.example.com", "globex", "", identity.ErrConflict},
		{any, false, "example.com", "", "", identity.ErrMissing},
	} {
		wantTenant(t, test.r, request(test.token, test.host, test.header), test.tenant, test.err)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	for says, c := range map[string]identity.Config{
		"no strategy":            {Strategies: strategies{"cookie"}},
		"there twice":            {Strategies: strategies{protocol.ResolveHeader, protocol.ResolveHeader}},
		"not among":              {Strategies: strategies{protocol.ResolveHeader}, Optional: strategies{protocol.ResolvePath}},
		"no name of a header":    {Strategies: strategies{protocol.ResolveHeader}, Header: "X Tenant:"},
		"needs a domain":         {Strategies: strategies{protocol.ResolveSubdomain}},
		`"example.com." is no`:   {Strategies: strategies{protocol.ResolveSubdomain}, Domains: []string{"example.com."}},
		"begins and ends with":   {Strategies: strategies{protocol.ResolvePath}, PathPrefix: "/t"},
		"needs a function":       {Strategies: strategies{protocol.ResolveLookup}},
		"either a JWKS URL":      {},
		"audience and an issuer": {Token: identity.Token{KeyFile: "x"}},
		"has to be https":        {Token: identity.Token{JWKSURL: "http://id.example/jwks"}},
		`"HS256" is none of`:     {Token: identity.Token{Algorithms: []string{"HS256"}}},
		"clock skew":             {Token: identity.Token{Skew: 3600e9}},
		"no such file":           {Token: identity.Token{KeyFile: "/nowhere", Audience: "a", Issuer: "i"}},
	} {
		if _, err := identity.New(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q", err, says)
		}
	}
}

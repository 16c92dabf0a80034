// Package identity finds out which tenant an HTTP request is for. Everything
// in a request is written by a stranger: a text names a tenant only when it is
// exactly that tenant's id, whatever strategy found it, and strategies that
// disagree let nobody in.
//
// Only a token, and a lookup that checks something, prove who asks. A header,
// a subdomain and a path are believed: they are for a server behind a gateway
// that has authenticated, or beside a token that has to name the same tenant.
package identity

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// Errors that Resolve gives, which a caller can match. None holds anything of
// the request but the name of a strategy.
var (
	ErrMissing   = errors.New("the request names no tenant")
	ErrMalformed = errors.New("the request names its tenant in a form that is not allowed")
	ErrToken     = errors.New("the request's token is not valid")
	ErrConflict  = errors.New("the request names two tenants")
)

// Config says where a request names its tenant.
type Config struct {
	// Strategies are asked in this order, and each has to name the same
	// tenant. Default: token, the protocol's.
	Strategies []protocol.TenantResolverStrategy
	// Optional are strategies among them that a request may leave out, as long
	// as another one names the tenant. One that it does not leave out has to
	// agree all the same.
	Optional []protocol.TenantResolverStrategy

	// Header is the header that has the id. Default: X-Tenant-ID.
	Header string
	// Domains are those whose subdomains are ids: with example.com the tenant
	// of acme.example.com is acme. Lower case, without port or dots at the ends.
	Domains []string
	// PathPrefix is what comes before the id in a path, between slashes.
	// Default: /t/.
	PathPrefix string
	// Token says which tokens are believed.
	Token Token
	// Lookup returns the id for a request, or none. An error is passed on.
	Lookup func(*http.Request) (string, error)

	// Now is the time that tokens are compared with. Default: time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if len(c.Strategies) == 0 {
		c.Strategies = []protocol.TenantResolverStrategy{protocol.ResolveToken}
	}
	if c.Header == "" {
		c.Header = "X-Tenant-ID"
	}
	if c.PathPrefix == "" {
		c.PathPrefix = "/t/"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Token = c.Token.withDefaults()
	return c
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	c = c.withDefaults()
	var wrong []error
	seen := map[protocol.TenantResolverStrategy]bool{}
	for _, s := range c.Strategies {
		if seen[s] {
			wrong = append(wrong, fmt.Errorf("strategy %q is there twice", s))
		}
		seen[s] = true
		wrong = append(wrong, c.validate(s))
	}
	for _, s := range c.Optional {
		if !seen[s] {
			wrong = append(wrong, fmt.Errorf("strategy %q is optional and not among the strategies", s))
		}
	}
	return errors.Join(wrong...)
}

// validate reports what a strategy lacks.
func (c Config) validate(s protocol.TenantResolverStrategy) error {
	switch s {
	case protocol.ResolveHeader:
		if !httpguts.ValidHeaderFieldName(c.Header) {
			return fmt.Errorf("%q is no name of a header", c.Header)
		}
	case protocol.ResolveSubdomain:
		if len(c.Domains) == 0 {
			return errors.New("the strategy subdomain needs a domain")
		}
		for _, d := range c.Domains {
			if !isDomain(d) {
				return fmt.Errorf("%q is no domain in lower case, without port or dots at the ends", d)
			}
		}
	case protocol.ResolvePath:
		if p := c.PathPrefix; !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/") || !plainPath(p) {
			return fmt.Errorf("the prefix %q is no path that begins and ends with a slash", p)
		}
	case protocol.ResolveToken:
		return c.Token.Validate()
	case protocol.ResolveLookup:
		if c.Lookup == nil {
			return errors.New("the strategy lookup needs a function")
		}
	default:
		return fmt.Errorf("%q is no strategy: it is one of %s", s, strings.Join(s.Values(), ", "))
	}
	return nil
}

// Identity is the tenant that a request is for.
type Identity struct {
	Tenant protocol.TenantID
	By     protocol.TenantResolverStrategy // the first that named it
	Claims map[string]any                  // of the token, nil where none was asked for
}

// Resolver finds the tenant of requests. It may be shared.
type Resolver struct {
	config Config
	tokens *verifier // nil without the strategy token
}

// New returns a Resolver, or everything that is wrong with its Config. A JWKS
// URL is fetched when the first token comes, and then again and again until
// Close.
func New(c Config) (*Resolver, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("find the tenant of requests: %w", err)
	}
	r := &Resolver{config: c.withDefaults()}
	if slices.Contains(r.config.Strategies, protocol.ResolveToken) {
		var err error
		if r.tokens, err = newVerifier(r.config.Token, r.config.Now); err != nil {
			return nil, fmt.Errorf("find the tenant of requests: %w", err)
		}
	}
	return r, nil
}

// Close ends the fetching of keys. It may be called twice.
func (r *Resolver) Close() error {
	if r.tokens != nil {
		r.tokens.close()
	}
	return nil
}

// Resolve returns the tenant that all strategies agree on. Its errors match
// ErrMissing, ErrMalformed, ErrToken or ErrConflict, or are those of Lookup.
func (r *Resolver) Resolve(request *http.Request) (Identity, error) {
	var found Identity
	for _, s := range r.config.Strategies {
		text, claims, err := r.find(s, request)
		if err != nil {
			return Identity{}, fmt.Errorf("by %s: %w", s, err)
		}
		if text == "" {
			if !slices.Contains(r.config.Optional, s) {
				return Identity{}, fmt.Errorf("by %s: %w", s, ErrMissing)
			}
			continue
		}
		tenant, ok := bundle.ParseTenantID(text)
		if !ok {
			return Identity{}, fmt.Errorf("by %s: %w", s, ErrMalformed)
		}
		if found.Tenant != "" && found.Tenant != tenant {
			return Identity{}, fmt.Errorf("by %s and %s: %w", found.By, s, ErrConflict)
		}
		if found.Tenant == "" {
			found.Tenant, found.By = tenant, s
		}
		if claims != nil {
			found.Claims = claims
		}
	}
	if found.Tenant == "" {
		return Identity{}, ErrMissing
	}
	return found, nil
}

// find returns the text that names a tenant by one strategy, empty when the
// request has none.
func (r *Resolver) find(s protocol.TenantResolverStrategy, request *http.Request) (string, map[string]any, error) {
	var text string
	var err error
	switch s {
	case protocol.ResolveHeader:
		text, err = inHeader(request.Header, r.config.Header)
	case protocol.ResolveSubdomain:
		text, err = inHost(request.Host, r.config.Domains)
	case protocol.ResolvePath:
		text, err = inPath(request.URL.EscapedPath(), r.config.PathPrefix)
	case protocol.ResolveToken:
		return r.tokens.find(request)
	case protocol.ResolveLookup:
		text, err = r.config.Lookup(request)
	}
	return text, nil, err
}

package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

const maxResolve = 64 << 10 // bytes; the headers of a request are the longest part

// Router finds tenants. A tenantrouter.Gateway does.
type Router interface {
	Identify(r *http.Request) (identity.Identity, error)
	Resolve(ctx context.Context, tenant protocol.TenantID) (tenantrouter.Resolved, error)
}

// resolveRequest names a tenant that the caller has made sure of, or describes
// the request that the caller has got.
type resolveRequest struct {
	TenantID *protocol.TenantID `json:"tenantId"`
	Request  *describedRequest  `json:"request"`
}

// describedRequest is what a request can name its tenant in, as it came.
type describedRequest struct {
	Host    string              `json:"host"`    // with port, if it has one
	Path    string              `json:"path"`    // escaped, with or without a query
	Headers map[string][]string `json:"headers"` // every value of a header that came twice
}

// resolve answers what is known of a tenant, whatever its status, for servers
// in other languages.
func (s *server) resolve(ctx context.Context, q resolveRequest) (tenantrouter.Resolved, error) {
	if (q.TenantID == nil) == (q.Request == nil) {
		return tenantrouter.Resolved{}, &badRequest{errors.New("it has to have either tenantId or request")}
	}
	if q.TenantID != nil {
		return s.config.Router.Resolve(ctx, *q.TenantID)
	}
	r, err := q.Request.http(ctx)
	if err != nil {
		return tenantrouter.Resolved{}, err
	}
	found, err := s.config.Router.Identify(r)
	if err != nil {
		return tenantrouter.Resolved{}, err
	}
	return s.config.Router.Resolve(ctx, found.Tenant)
}

// http is the request that was described. Names of headers have no case, so
// that two spellings are two values of one.
func (d describedRequest) http(ctx context.Context) (*http.Request, error) {
	target := d.Path
	if target == "" {
		target = "/"
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") {
		return nil, &badRequest{errors.New("request.path is no escaped path")}
	}
	header := http.Header{}
	for name, values := range d.Headers {
		name = http.CanonicalHeaderKey(name)
		header[name] = append(header[name], values...)
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: d.Host, Header: header}
	return r.WithContext(ctx), nil
}

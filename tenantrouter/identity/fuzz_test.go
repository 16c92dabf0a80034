package identity_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// Whatever a request says, a tenant that is found is an id that stands there,
// letter by letter; in a host without regard to case.
func FuzzResolve(f *testing.F) {
	f.Add("acme", "acme.example.com:80", "/t/acme/orders")
	f.Add("acme, globex", "globex@acme.example.com", "/t/acme/../globex")
	f.Add("\u212aacme", "acme\u212a.example.com.", "/t/%67lobex")
	f.Fuzz(func(t *testing.T, header, host, path string) {
		request := &http.Request{Host: host, URL: &url.URL{Path: path}, Header: http.Header{"X-Tenant-Id": {header}}}
		if u, err := url.ParseRequestURI(path); err == nil {
			request.URL = u
		}
		for strategy, text := range map[protocol.TenantResolverStrategy]string{
			protocol.ResolveHeader: header, protocol.ResolveSubdomain: host, protocol.ResolvePath: path,
		} {
			r, err := identity.New(identity.Config{
				Strategies: []protocol.TenantResolverStrategy{strategy}, Domains: []string{"example.com"},
			})
			must(t, err)
			found, err := r.Resolve(request)
			if err != nil {
				continue
			}
			id := string(found.Tenant)
			if _, ok := bundle.ParseTenantID(id); !ok {
				t.Errorf("%s: %q is no id", strategy, id)
			}
			before, after := map[protocol.TenantResolverStrategy]string{
				protocol.ResolveSubdomain: "", protocol.ResolvePath: "/t/",
			}[strategy], ""
			if strategy == protocol.ResolveSubdomain {
				text, after = strings.ToLower(text), ".example.com"
			}
			if !strings.HasPrefix(text, before+id+after) && !strings.Contains(text, "://") {
				t.Errorf("%s: %q was found in %q", strategy, id, text)
			}
		}
	})
}

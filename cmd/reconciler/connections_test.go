package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/secret"
)

// encryptedFront is TLS in front of an address, and the file of its authority.
// Requests to some hosts are refused with a status.
func (x *onServer) encryptedFront(to string, refused map[string]int) (*httptest.Server, string, *atomic.Int32) {
	x.t.Helper()
	at, err := url.Parse(to)
	if err != nil {
		x.t.Fatal(err)
	}
	var requests atomic.Int32
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = at.Scheme, at.Host }}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		label, _, _ := strings.Cut(r.Host, ".")
		if status := refused[label]; status != 0 {
			http.Error(w, `{"error":"no"}`, status)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	x.t.Cleanup(server.Close)
	file := "ca-" + at.Port() + ".pem"
	x.write(file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return server, x.path(file), &requests
}

// TestConnections has a server, and the API on which its databases are made,
// behind TLS with an authority of the operator's own; tenants whose token is
// refused, or cannot be read; one whose host has settings that cannot be used; and
// one in a file, which is not held up by any of them.
func TestConnections(t *testing.T) {
	x := startOnServer(t)
	data, ca, asked := x.encryptedFront(x.server.URL, map[string]int{"denied": http.StatusUnauthorized, "forbidden": http.StatusForbidden})
	admin, adminCA, made := x.encryptedFront(x.server.Admin, nil)
	x.write("reconciler.yaml", `repo: `+x.path("repo")+`
data: `+x.path("data")+`
secretsDir: `+x.path(".")+`
age: {identityFile: `+x.path("age.key")+`}
connections:
  hosts:
    - {match: "*.sqld.test:8080", address: "`+data.URL+`", caFile: `+ca+`, proxy: none, concurrency: 2, rate: 1000}
    - {match: "*.broken.test:8080", address: "`+data.URL+`", caFile: `+x.path("absent.pem")+`}
    - {match: "`+strings.TrimPrefix(admin.URL, "https://")+`", caFile: `+adminCA+`, proxy: none}
databases:
  provider: sqld
  sqld: {adminUrl: "`+admin.URL+`", url: "http://{name}.sqld.test:8080", tokens: none}
`)
	tenant := func(id, at string) string {
		return "id: " + id + "\nname: T\napps: [{name: shop}]\nconnectionConfig: {url: \"" + at + "\"}\n"
	}
	push(t, x.path("repo"), map[string]string{
		"tenants/denied/tenant.yaml":    tenant("denied", "http://denied.sqld.test:8080"),
		"tenants/forbidden/tenant.yaml": tenant("forbidden", "http://forbidden.sqld.test:8080"),
		"tenants/broken/tenant.yaml":    tenant("broken", "http://broken.broken.test:8080"),
		"tenants/mute/tenant.yaml": "id: mute\nname: T\napps: [{name: shop}]\n" +
			`connectionConfig: {url: "http://mute.sqld.test:8080", authToken: "$file:absent-token"}`,
		"tenants/local/tenant.yaml": tenant("local", "file:tenants/local.db"),
	})
	said := x.call(exitPartial, "", "sync")
	for id, word := range map[string]string{
		"denied": "TokenRejected", "forbidden": "TokenRejected", "broken": "HostSettings",
		"mute":  "SecretUnreadable",
		"local": "Synced", "named": "Synced", "placed": "Synced",
	} {
		if got := x.call(0, "", "status", id); !strings.Contains(got, word) {
			t.Errorf("%s is not %s:\n%s\n%s", id, word, got, said)
		}
	}
	if asked.Load() == 0 || made.Load() == 0 {
		t.Errorf("%d requests for data and %d for databases went through TLS", asked.Load(), made.Load())
	}
}

// The URL of a proxy that wants a password is a secret like any other: read at
// each use, and in no error.
func TestSecretOfAProxy(t *testing.T) {
	var user atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user.Store(r.Header.Get("Proxy-Authorization"))
	}))
	t.Cleanup(proxy.Close)
	keeper := secret.Keeper{Dir: t.TempDir()}
	client, err := clientOf(config.Host{Proxy: "$file:proxy"}, keeper)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(text string) error {
		if err := os.WriteFile(filepath.Join(keeper.Dir, "proxy"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		response, err := client.Get("http://acme.example/")
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := ask(strings.Replace(proxy.URL, "//", "//u:planted@", 1) + "\n"); err != nil || user.Load() != "Basic dTpwbGFudGVk" {
		t.Errorf("the proxy was shown %v: %v", user.Load(), err)
	}
	for _, wrong := range []string{"http://u:planted%zz@p", "ftp://u:planted@p", "", "planted\nplanted"} {
		if err := ask(wrong); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/provision/sqld"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
)

// hidden is an installation with a secret in every place that one can be in,
// on a real libSQL server that asks for a key.
type hidden struct {
	t       *testing.T
	dir     string
	keeper  secret.Keeper
	server  *sqld.Server      // as its administrator asks it
	planted map[string]string // by where it is
	said    map[string]string // what was printed, by the call
}

const planted = "planted-secret-" // of the secrets that are not tokens

func hide(t *testing.T) *hidden {
	t.Helper()
	h := &hidden{t: t, dir: t.TempDir(), planted: map[string]string{}, said: map[string]string{}}
	behind, err := sqldtest.Run(os.Stderr, "--admin-auth-key", planted+"admin")
	if err != nil {
		sqldtest.Start(t) // skips where there is no server
		t.Fatal(err)
	}
	t.Cleanup(behind.Stop)
	identity, err := age.GenerateX25519Identity()
	h.must(err)
	h.planted["age key"] = identity.String()
	h.keeper = secret.Keeper{Dir: h.path("secrets"), IdentityFile: h.path("age.key")}
	h.write("age.key", identity.String())
	h.write("secrets/admin-key", planted+"admin")
	h.write("secrets/api-token", planted+"api")
	h.write("secrets/wrong-token", planted+"file")
	h.write("reconciler.yaml", `repo: `+h.path("repo")+`
data: `+h.path("data")+`
secretsDir: `+h.path("secrets")+`
age: {identityFile: `+h.path("age.key")+`}
logFormat: json
server: {token: "$file:api-token"}
connections: {hosts: [{match: "*.sqld.test:8080", address: "`+behind.URL+`"}]}
databases:
  provider: sqld
  sqld: {adminUrl: "`+behind.Admin+`", adminKey: "$file:admin-key", url: "http://{name}.sqld.test:8080"}
`)
	h.server, err = sqld.New(sqld.Config{
		Admin: behind.Admin, Key: func() (string, error) { return planted + "admin", nil }, URL: "http://{name}.sqld.test:8080",
	})
	h.must(err)
	for _, name := range []string{"byenv", "byage", "byfile"} {
		_, err := h.server.Create(t.Context(), name)
		h.must(err)
		h.planted[name], err = h.server.Token(t.Context(), name)
		h.must(err)
	}
	t.Setenv("RECONCILER_SECRET_BYENV", h.planted["byenv"])
	sealed, err := h.keeper.Seal(h.planted["byage"])
	h.must(err)
	h.repository(string(sealed))
	return h
}

// repository has a tenant that is placed, one for each form of reference, of
// which the file's is not valid, and one whose token stands in its URL.
func (h *hidden) repository(sealed string) {
	dir := h.path("repo")
	h.must(os.MkdirAll(dir, 0o700))
	git(h.t, dir, "init", "--quiet", "--initial-branch=main")
	tenant := func(id, connection string) string {
		return "id: " + id + "\nname: " + id + "\napps: [{name: shop}]\n" + connection
	}
	push(h.t, dir, map[string]string{
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n",
		"tenants/placed/tenant.yaml":      tenant("placed", ""),
		"tenants/byenv/tenant.yaml":       tenant("byenv", `connectionConfig: {url: "http://byenv.sqld.test:8080", authToken: "$env:RECONCILER_SECRET_BYENV"}`+"\n"),
		"tenants/byfile/tenant.yaml":      tenant("byfile", `connectionConfig: {url: "http://byfile.sqld.test:8080", authToken: "$file:wrong-token"}`+"\n"),
		"tenants/byage/tenant.yaml": tenant("byage", "connectionConfig:\n  url: http://byage.sqld.test:8080\n  authToken: |-\n    "+
			strings.ReplaceAll(sealed, "\n", "\n    ")+"\n"),
		"tenants/byurl/tenant.yaml": tenant("byurl", `connectionConfig: {url: "http://byurl.sqld.test:8080/?authToken=`+planted+`url"}`+"\n"),
	})
}

func (h *hidden) path(name string) string { return filepath.Join(h.dir, name) }

func (h *hidden) write(name, text string) {
	h.t.Helper()
	h.must(os.MkdirAll(filepath.Dir(h.path(name)), 0o700))
	h.must(os.WriteFile(h.path(name), []byte(text+"\n"), 0o600))
}

func (h *hidden) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// call runs a command and keeps what it says.
func (h *hidden) call(want int, args ...string) string {
	h.t.Helper()
	var out, log bytes.Buffer
	got := run(h.t.Context(), append(args, "--config", h.path("reconciler.yaml")), &out, &log)
	text := out.String() + log.String()
	h.said[strings.Join(args, " ")] = text
	if got != want {
		h.t.Errorf("%v: got exit code %d, want %d\n%s", args, got, want, text)
	}
	return text
}

// token is the one that was made for a tenant, which is planted from now on.
func (h *hidden) token(tenant, as string) string {
	h.t.Helper()
	store, err := state.Open(h.t.Context(), h.path("data/state.db"), state.Options{ReadOnly: true})
	h.must(err)
	defer store.Close()
	placements, err := store.Placements(h.t.Context())
	h.must(err)
	for _, p := range placements {
		if string(p.Tenant) == tenant {
			token, err := h.keeper.Resolve(config.Secret(p.Token))
			h.must(err)
			h.planted[as] = token
			return token
		}
	}
	h.t.Fatalf("tenant %s has no placement", tenant)
	return ""
}

// Secrets that stand wherever one can are in nothing that is printed, logged,
// answered or kept.
func TestSecretsStayHidden(t *testing.T) {
	h := hide(t)
	h.call(2, "validate")
	h.call(3, "plan", "-o", "json")
	h.call(3, "sync", "--log-level", "debug")
	first := h.token("placed", "made")
	if text := h.call(0, "secrets", "rotate", "placed", "--reason", "laptop lost"); !strings.Contains(text, "cut off") {
		t.Errorf("a rotation says %q, want whom it cuts off", text)
	}
	if h.token("placed", "rotated") == first {
		t.Error("the token is the same after its rotation")
	}
	h.call(0, "secrets", "rekey")
	if text := h.call(3, "secrets", "rotate", "placed", "byenv", "-o", "json"); !strings.Contains(text, "authToken refers to") {
		t.Errorf("a rotation of a tenant's own token says %q, want whose it is", text)
	}
	h.token("placed", "rotated again")
	_, err := h.server.Rotate(t.Context(), "placed") // by somebody else, who has the token then
	h.must(err)
	push(t, h.path("repo"), map[string]string{
		"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n  mail: {type: text}\n",
	})
	if text := h.call(3, "sync", "--log-level", "debug"); !strings.Contains(text, "secrets rotate placed") {
		t.Errorf("a token that is refused gives %q, want what makes a new one", text)
	}
	h.call(0, "secrets", "rotate", "placed")
	h.token("placed", "rotated for good")
	h.call(3, "sync", "--log-level", "debug")
	status := h.call(0, "status", "-o", "json")
	for _, want := range []string{`"TokenRejected"`, `"InvalidBundle"`} {
		if !strings.Contains(status, want) {
			t.Errorf("status has no %s: the test has lost a case", want)
		}
	}
	for _, args := range [][]string{
		{"status"},
		{"status", "byfile"},
		{"history", "placed"},
		{"history", "placed", "-o", "json"},
		{"audit", "-o", "json"},
		{"audit"},
		{"tenant", "list", "-o", "yaml"},
		{"tenant", "show", "placed", "-o", "json"},
		{"tenant", "show", "byage", "-o", "json"},
		{"tenant", "orphans"},
		{"approvals"},
	} {
		h.call(0, args...)
	}
	h.call(3, "drift", "-o", "json")
	git(t, h.path("repo"), "checkout", "--quiet", "-b", "pull")
	h.write("repo/apps/shop/objects/customer.yaml", "name: customer\nfields:\n  name: {type: text}\n  mail: {type: text}\n  phone: {type: text}")
	git(t, h.path("repo"), "commit", "--quiet", "--all", "--message", "phone")
	git(t, h.path("repo"), "checkout", "--quiet", "main")
	for _, output := range []string{"table", "json", "markdown"} {
		if text := h.call(0, "preview", "--base", "main", "--head", "pull", "-o", output); !strings.Contains(text, "phone") {
			t.Errorf("the preview says %q, want the change", text)
		}
	}
	h.call(3, "doctor", "-o", "json")
	h.answers()
	h.grep()
}

// A token that no key opens keeps no other from being encrypted anew, and is named.
func TestRekeyWithoutOneOfTheKeys(t *testing.T) {
	h := hide(t)
	h.call(3, "sync")
	h.token("placed", "made")
	other, err := age.GenerateX25519Identity()
	h.must(err)
	store, err := state.Open(t.Context(), h.path("data/state.db"), state.Options{})
	h.must(err)
	foreign := secret.Keeper{IdentityFile: h.path("other.key")}
	h.write("other.key", other.String())
	sealed, err := foreign.Seal(planted + "foreign")
	h.must(err)
	h.must(store.SavePlacement(t.Context(), state.Placement{Tenant: "lost", Provider: "sqld", Name: "lost", URL: "http://lost.sqld.test:8080", Token: string(sealed), PlacedAt: time.Now()}))
	h.must(store.Close())

	fresh, err := age.GenerateX25519Identity()
	h.must(err)
	h.write("age.key", fresh.String()+"\n"+h.planted["age key"])
	text := h.call(2, "secrets", "rekey")
	if !strings.Contains(text, "1 token encrypted for "+fresh.Recipient().String()) || !strings.Contains(text, "secrets rotate lost") {
		t.Errorf("it says %q, want what it did, and for which tenant it could not", text)
	}
	h.write("age.key", fresh.String())
	h.token("placed", "made, by the new key alone")
	h.grep()
}

// answers asks the HTTP API of a daemon about every tenant.
func (h *hidden) answers() {
	h.t.Helper()
	d := runDaemon(h.t, "--config", h.path("reconciler.yaml"), "--listen", "127.0.0.1:0", "--log-level", "debug")
	at := d.line("api served")["address"].(string)
	d.line("pass completed")
	for _, tenant := range []string{"placed", "byenv", "byage", "byfile", "byurl"} {
		body, err := json.Marshal(map[string]string{"tenantId": tenant})
		h.must(err)
		request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+at+"/api/v1/router/resolve", bytes.NewReader(body))
		h.must(err)
		request.Header = http.Header{"Authorization": {"Bearer " + planted + "api"}, "Content-Type": {"application/json"}}
		response, err := http.DefaultClient.Do(request)
		h.must(err)
		text, err := io.ReadAll(response.Body)
		h.must(err)
		h.must(response.Body.Close())
		h.said["resolve "+tenant] = response.Status + " " + string(text)
	}
	if got := h.said["resolve placed"]; !strings.Contains(got, "placed.sqld.test") {
		h.t.Errorf("the API answers %s, want the tenant's database", got)
	}
	if code := d.end(func() {}); code != 0 {
		h.t.Errorf("the daemon ended with %d", code)
	}
	h.said["the daemon's log"] = d.seen.String()
}

// grep looks for every secret in what was said, and in the files of the data
// directory, but for the clone of what git has.
func (h *hidden) grep() {
	h.t.Helper()
	for name, text := range h.said {
		h.lookFor(name, text)
	}
	h.must(filepath.WalkDir(h.path("data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		h.lookFor(strings.TrimPrefix(path, h.dir), string(text))
		return err
	}))
}

func (h *hidden) lookFor(where, text string) {
	h.t.Helper()
	if at := strings.Index(text, planted); at >= 0 {
		h.t.Errorf("%s has a secret: ...%s", where, text[max(0, at-100):min(len(text), at+40)])
	}
	for what, token := range h.planted {
		if strings.Contains(text, token) {
			h.t.Errorf("%s has the secret of %s", where, what)
		}
	}
}

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/provision/turso"
	"github.com/tenantops/reconciler/provision/turso/tursotest"
)

// adopted commits what import has written, deploys it, and makes sure that the
// tenants are in sync and have their rows.
func (x *onServer) adopted(tenants ...string) {
	x.t.Helper()
	if err := os.RemoveAll(x.path("repo")); err != nil {
		x.t.Fatal(err)
	}
	if err := os.Rename(x.path("company"), x.path("repo")); err != nil {
		x.t.Fatal(err)
	}
	git(x.t, x.path("repo"), "init", "--quiet", "--initial-branch=main")
	push(x.t, x.path("repo"), map[string]string{".keep": ""})
	x.call(0, "", "sync")
	for _, tenant := range tenants {
		x.call(0, "Synced", "status", tenant)
	}
}

func (x *onServer) tenantFile(tenant string) string {
	x.t.Helper()
	text, err := os.ReadFile(filepath.Join(x.path("company"), "tenants", tenant, "tenant.yaml"))
	if err != nil {
		x.t.Fatal(err)
	}
	return string(text)
}

const contacts = "CREATE TABLE contact (id TEXT PRIMARY KEY, name TEXT); INSERT INTO contact VALUES ('c1', 'Ada')"

// TestImportFromServers adopts databases that a list names, on a server that
// asks for a token; those that cannot be read, or are named twice, are left out.
func TestImportFromServers(t *testing.T) {
	x := startOnServer(t)
	data, ca, _ := x.encryptedFront(x.server.URL, map[string]int{"denied": http.StatusUnauthorized})
	x.write("secrets/acme-token", "TOPSECRET")
	x.write("reconciler.yaml", `repo: `+x.path("repo")+`
data: `+x.path("data")+`
secretsDir: `+x.path("secrets")+`
connections: {hosts: [{match: "*.sqld.test", address: "`+data.URL+`", caFile: `+ca+`}]}
`)
	for _, name := range []string{"acme", "globex"} {
		if err := x.server.Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		for sql := range strings.SplitSeq(contacts, "; ") {
			x.ask(name, sql)
		}
	}
	x.write("urls.csv", `id,url,name,plan,authToken
acme,libsql://acme.sqld.test,Acme,pro,$file:acme-token
globex,libsql://globex.sqld.test
twice,libsql://globex.sqld.test
denied,libsql://denied.sqld.test,,,$file:acme-token
untold,libsql://untold.sqld.test,,,$file:absent
elsewhere,libsql://db.example.com
`)
	said := x.call(exitPartial, "2 databases, 1 schema", "import", "--from", x.path("urls.csv"), "--out", x.path("company"), "--app", "crm")
	for _, want := range []string{
		`it is the database of tenant "globex" as well`, "denied.sqld.test does not accept the token", "read its authToken",
		"host is not among connections.hosts: db.example.com",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	text := x.tenantFile("acme")
	if !strings.Contains(text, "$file:acme-token") || !strings.Contains(text, "libsql://acme.sqld.test") || strings.Contains(text+said, "TOPSECRET") {
		t.Errorf("acme has\n%s", text)
	}
	x.adopted("acme", "globex")
	if got := x.ask("acme", "SELECT name FROM contact"); got != "Ada" {
		t.Errorf("the row is %v", got)
	}
	x.write("urls.csv", "denied,libsql://denied.sqld.test\nelsewhere,libsql://db.example.com\n")
	none := x.call(exitFailed, "denied.sqld.test does not accept the token", "import", "--from", x.path("urls.csv"), "--out", x.path("more"))
	if !strings.Contains(none, "host is not among connections.hosts: db.example.com") {
		t.Errorf("the second one's cause is not in\n%s", none)
	}
	x.write("urls.csv", "acme,libsql://acme.sqld.test,Acme,pro,TOPSECRET\n")
	if said := x.call(exitFailed, "line 1: its authToken is no reference", "import", "--from", x.path("urls.csv"), "--out", x.path("more")); strings.Contains(said, "TOPSECRET") {
		t.Errorf("a token is repeated:\n%s", said)
	}
}

// TestImportTursoGroup adopts the databases of a group on the platform: each is
// read with a token of its own and gets another one in its tenant.yaml, both
// encrypted.
func TestImportTursoGroup(t *testing.T) {
	x := startOnServer(t)
	data, ca, _ := x.encryptedFront(x.server.URL, nil)
	platform := tursotest.Open(t, tursotest.Options{
		Admin: x.server.Admin, Groups: []string{"prod", "other"}, Host: func(name string) string { return name + ".sqld.test" },
	})
	x.write("secrets/turso", tursotest.Token)
	x.write("reconciler.yaml", `repo: `+x.path("repo")+`
data: `+x.path("data")+`
secretsDir: `+x.path("secrets")+`
age: {identityFile: `+x.path("age.key")+`}
connections: {hosts: [{match: "*.sqld.test", address: "`+data.URL+`", caFile: `+ca+`}]}
databases:
  provider: turso
  turso: {apiUrl: "`+platform.URL+`", apiToken: "$file:turso", organization: acme}
`)
	server := func(group string) *turso.Server {
		s, err := turso.New(turso.Config{
			Base: platform.URL, Organization: "acme", Group: group, Token: func() (string, error) { return tursotest.Token, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, group := range map[string]string{"shop-a": "prod", "shop-b": "prod", "others": "other"} {
		if _, err := server(group).Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		token, err := server(group).Token(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := hrana.Open(t.Context(), hrana.Options{URL: x.server.URL, Host: sqldtest.Host(name), Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for sql := range strings.SplitSeq(contacts, "; ") {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	odd := strings.Repeat("x", 64) // the platform has it, and the server behind does not
	if _, err := server("prod").Create(t.Context(), odd); err == nil {
		t.Fatal("the server behind has taken a name of 64 characters")
	}
	said := x.call(exitPartial, "2 databases, 1 schema", "import", "--turso-group", "prod", "--out", x.path("company"), "--app", "crm")
	if !strings.Contains(said, odd+`" is not a tenant's id`) {
		t.Errorf("the database that is left out is not in\n%s", said)
	}
	for _, tenant := range []string{"shop-a", "shop-b"} {
		if text := x.tenantFile(tenant); !strings.Contains(text, "$age:") || !strings.Contains(text, "libsql://"+tenant+".sqld.test") {
			t.Errorf("%s has\n%s", tenant, text)
		}
	}
	if _, err := os.Stat(filepath.Join(x.path("company"), "tenants", "others")); err == nil {
		t.Error("a database of another group is imported")
	}
	platform.Refuse("list databases", http.StatusUnauthorized, nil)
	x.call(exitFailed, "", "import", "--turso-group", "prod", "--out", x.path("more"))
	x.adopted("shop-a", "shop-b")
}

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/provision/sqld"
)

// onServer is an installation whose tenants are on a real libSQL server: placed
// was made there by the reconciler, named has its URL in git.
type onServer struct {
	t      *testing.T
	dir    string
	server *sqldtest.Server
}

const shopObject = "name: customer\nfields:\n  name: {type: text}\n"

func startOnServer(t *testing.T) *onServer {
	t.Helper()
	server, err := sqldtest.Run(os.Stderr)
	if err != nil {
		sqldtest.Start(t) // skips where there is no server
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	x := &onServer{t: t, dir: t.TempDir(), server: server}
	if err := server.Create(t.Context(), "named"); err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	x.write("age.key", identity.String()+"\n")
	x.write("reconciler.yaml", `repo: `+x.path("repo")+`
data: `+x.path("data")+`
age: {identityFile: `+x.path("age.key")+`}
connections: {hosts: [{match: "*.sqld.test:8080", address: "`+server.URL+`"}]}
databases:
  provider: sqld
  sqld: {adminUrl: "`+server.Admin+`", url: "http://{name}.sqld.test:8080", tokens: none}
`)
	x.write("repo/.keep", "")
	git(t, x.path("repo"), "init", "--quiet", "--initial-branch=main")
	push(t, x.path("repo"), map[string]string{
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\nverify:\n  - {name: named, sql: SELECT 1 FROM customer WHERE name IS NULL}\n",
		"apps/shop/objects/customer.yaml": shopObject,
		"tenants/placed/tenant.yaml":      "id: placed\nname: Placed\napps: [{name: shop}]\n",
		"tenants/named/tenant.yaml":       "id: named\nname: Named\napps: [{name: shop}]\nconnectionConfig: {url: \"http://named.sqld.test:8080\"}\n",
	})
	return x
}

func (x *onServer) path(name string) string { return filepath.Join(x.dir, name) }

func (x *onServer) write(name, text string) {
	x.t.Helper()
	if err := os.MkdirAll(filepath.Dir(x.path(name)), 0o700); err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(x.path(name), []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// call runs a command, which must end with a code and say something.
func (x *onServer) call(code int, says string, args ...string) string {
	x.t.Helper()
	var out, log bytes.Buffer
	got := run(x.t.Context(), append(args, "--config", x.path("reconciler.yaml")), &out, &log)
	text := out.String() + log.String()
	if got != code || !strings.Contains(text, says) {
		x.t.Errorf("%v: got exit code %d, want %d and %q\n%s", args, got, code, says, text)
	}
	return text
}

// withoutGit runs a command while there is no repository.
func (x *onServer) withoutGit(code int, says string, args ...string) string {
	x.t.Helper()
	if err := os.Rename(x.path("repo"), x.path("away")); err != nil {
		x.t.Fatal(err)
	}
	text, err := os.ReadFile(x.path("reconciler.yaml"))
	if err != nil {
		x.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n") // the first line is that of the repository
	x.write("reconciler.yaml", rest)
	said := x.call(code, says, args...)
	x.write("reconciler.yaml", string(text))
	if err := os.Rename(x.path("away"), x.path("repo")); err != nil {
		x.t.Fatal(err)
	}
	return said
}

// open connects to a tenant's database.
func (x *onServer) open(tenant string) database.Conn {
	x.t.Helper()
	conn, err := hrana.Open(x.t.Context(), hrana.Options{URL: x.server.URL, Host: sqldtest.Host(tenant)})
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask returns the first value that a tenant's database answers with, nil for
// none.
func (x *onServer) ask(tenant, sql string) any {
	x.t.Helper()
	rows, err := x.open(tenant).Query(x.t.Context(), sql)
	if err != nil {
		x.t.Fatalf("%s: %s: %v", tenant, sql, err)
	}
	if len(rows.Values) == 0 {
		return nil
	}
	return rows.Values[0][0]
}

const countPhone = "SELECT count(*) FROM pragma_table_info('customer') WHERE name = 'phone'"

// The commands of an operator do for tenants on servers what they do for files.
func TestCommandsOnServer(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	push(t, x.path("repo"), map[string]string{"apps/shop/objects/customer.yaml": shopObject + "  phone: {type: text}\n"})
	x.call(1, "update: named, placed", "plan")
	x.call(0, "named", "sync")
	for _, tenant := range []string{"placed", "named"} {
		if got := x.ask(tenant, countPhone); got != int64(1) {
			t.Errorf("%s has %v columns of the name phone, want 1", tenant, got)
		}
		x.call(0, "USES", "status", tenant)
		x.call(0, "ready", "history", tenant)
		x.withoutGit(0, tenant+" is back at", "rollback", tenant, "--reason", "orders fail")
		if got := x.ask(tenant, countPhone); got != int64(0) {
			t.Errorf("%s has %v columns of the name phone after a rollback, want none", tenant, got)
		}
		x.withoutGit(0, "customer.phone", "status", tenant)
		x.call(0, "released "+tenant, "release", tenant)
		x.withoutGit(0, tenant, "hold", tenant, "--reason", "audit", "--until", "4h")
		if got := x.ask(tenant, "SELECT count(*) FROM _reconciler_meta WHERE key LIKE '%hold%'"); got != int64(1) {
			t.Errorf("the database of %s knows of %v holds, want 1", tenant, got)
		}
		x.call(0, "released", "release", tenant)
	}
	x.call(0, "Succeeded: 2 tenants", "sync")
	x.call(0, "0 of 2 tenants drifted", "drift")
	x.call(0, "shop/named", "verify")
	x.call(0, "deployments, last at", "doctor")
	x.lookWithoutPlans("placed", "named")
	x.call(0, "placed", "state", "rebuild")
	x.call(0, "released", "release", "--all")
	x.call(0, "suspended", "tenant", "suspend", "placed", "--reason", "unpaid")
	x.call(0, "active", "tenant", "resume", "placed", "--reason", "paid")
	x.call(2, "no such snapshot", "restore", "placed", "0197c2f1", "--yes")
}

// lookWithoutPlans shows the newest deployment of tenants whose plans state has
// lost: the journals on the server have the statements.
func (x *onServer) lookWithoutPlans(tenants ...string) {
	x.t.Helper()
	x.lose()
	for _, tenant := range tenants {
		id := x.ask(tenant, "SELECT deployment FROM _reconciler_journal ORDER BY rowid DESC LIMIT 1").(string)
		x.withoutGit(0, "TO `phone`", "show", id)
	}
}

// lose removes the plans that state has.
func (x *onServer) lose() {
	x.t.Helper()
	conn, err := libsql.Open(x.t.Context(), x.path("data/state.db"), libsql.Options{})
	if err != nil {
		x.t.Fatal(err)
	}
	_, off := conn.Exec(x.t.Context(), "PRAGMA foreign_keys = OFF")
	_, err = conn.Exec(x.t.Context(), "DELETE FROM plans")
	if err := errors.Join(off, err, conn.Close()); err != nil {
		x.t.Fatal(err)
	}
}

// Rows are copied before a plan that puts them at stake, also from a server, and
// what such a copy cannot be used for is said.
func TestSnapshotOnServer(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	for _, tenant := range []string{"placed", "named"} {
		if _, err := x.open(tenant).Exec(t.Context(), "INSERT INTO customer (id, name) VALUES ('c1', '42')"); err != nil {
			t.Fatal(err)
		}
	}
	push(t, x.path("repo"), map[string]string{
		"fleet.yaml":                      "policy: {narrowing: allow}\n",
		"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: number}\n",
	})
	x.call(0, "placed", "sync")
	found, err := deploy.Snapshots{Dir: x.path("data/snapshots")}.List("")
	if err != nil || len(found) != 2 {
		t.Fatalf("got %d snapshots and error %v, want 2", len(found), err)
	}
	for _, s := range found {
		conn, err := libsql.Open(t.Context(), s.Path, libsql.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(t.Context(), "SELECT name FROM customer WHERE id = 'c1'")
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Fatal(err)
		}
		if len(rows.Values) != 1 || rows.Values[0][0] != "42" {
			t.Errorf("the snapshot of %s has %v, want the text as it was", s.Tenant, rows.Values)
		}
		x.withoutGit(2, "is on a server", "restore", string(s.Tenant), s.ID, "--yes")
	}
	x.call(0, "placed", "snapshots")
}

// A tenant whose URL leads to a server is forgotten, and its database stays.
func TestRemovalOnServer(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "named", "sync")
	push(t, x.path("repo"), map[string]string{"fleet.yaml": "graceHours: 0\n", "tenants/named/tenant.yaml": ""})
	x.call(exitChanges, "left where it is", "plan")
	x.call(0, "left where it is", "sync")
	x.call(0, "Succeeded: 1 tenant", "sync")
	if got := x.ask("named", "SELECT count(*) FROM customer"); got != int64(0) {
		t.Errorf("got %v customers, want none in a table that is there", got)
	}
}

// What the server counts of a database that was made on it is in the tenant's
// status, beside what its quotas are held against.
func TestUsageOnServer(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	if said := x.call(0, "rows written, since it was made", "status", "placed"); !strings.Contains(said, "bytes on the server") {
		t.Errorf("got\n%s", said)
	}
	if said := x.call(0, "USES", "status", "named"); strings.Contains(said, "since it was made") {
		t.Errorf("a database that was not made by the reconciler has\n%s", said)
	}
	x.call(0, `"since": "creation"`, "status", "placed", "-o", "json")
	settings, err := os.ReadFile(x.path("reconciler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	x.write("reconciler.yaml", strings.Replace(string(settings), x.server.Admin, "http://127.0.0.1:1", 1))
	x.call(0, "usage not known", "status", "placed")
}

// What cannot be done while the server is away is done by the next pass that finds
// it, which is said.
func TestSuspendWhileTheServerIsAway(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	x.server.Stop()
	x.call(exitFailed, "the next pass tries again", "tenant", "suspend", "placed", "--now", "--reason", "unpaid")
	x.call(exitPartial, "ServerAway", "sync")
	x.call(0, "status", "tenant", "list")
}

// What is wrong with the token of a database that the reconciler had made is put
// right by another one, and not where a tenant.yaml has none.
func TestDoctorOfARejectedToken(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	server, err := sqld.New(sqld.Config{Admin: x.server.Admin, URL: "http://{name}.sqld.test:8080"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetKey(t.Context(), "placed", "Zc7ODJBOZhPWst4oYUsWJ1svLy4fQpVvJWeTBm1STyk"); err != nil {
		t.Fatal(err)
	}
	x.call(exitPartial, "secrets rotate placed", "doctor")
}

// What is wrong with the server on which databases are made is found before a
// tenant needs it.
func TestDoctorAsksTheServer(t *testing.T) {
	x := startOnServer(t)
	if err := os.Mkdir(x.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(x.path("reconciler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for says, edits := range map[string][]string{
		"sqld answers and accepts the key":   nil,
		"whether adminUrl is that of the":    {x.server.Admin, x.server.URL},
		"if the server comes back by itself": {x.server.Admin, "http://127.0.0.1:1"},
		"has to begin with {name}":           {`, url: "http://{name}.sqld.test:8080"`, ""},
		"their tokens cannot be kept":        {"age.key}", "none.key}", ", tokens: none", ""},
	} {
		x.write("reconciler.yaml", strings.NewReplacer(edits...).Replace(string(settings)))
		x.call(0, says, "doctor")
	}
}

package apply_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// accountMore has a new field, and so a plan of one statement.
var accountMore = strings.Replace(account, `"size": {"type": "text"}`, `"size": {"type": "text"}, "fax": {"type": "phone"}`, 1)

// TestSameAsFile makes the same history in a file and on a server: everything
// in the two databases is equal afterwards, text and digests included.
func TestSameAsFile(t *testing.T) {
	file, server := newTenant(t), newRemote(t)
	for _, x := range []*tenant{file, server} {
		x.mustDeploy(account)
		x.exec("INSERT INTO account (id, name, code, size) VALUES ('a1', 'Acme', 'A', '10')",
			"CREATE TABLE p (x)", "CREATE VIEW  mine AS SELECT x -- it's mine\n FROM p", "CREATE TABLE other (a REFERENCES p(x))")
		x.mustDeploy(accountMore)
		x.mustDeploy(strings.Replace(account, `"size": {"type": "text"}`, `"size": {"type": "number"}`, 1))
		x.mustDeploy(account)
		x.mustDeploy(`{"company": {"renamedFrom": "account", "fields": {"name": {"type": "text", "required": true, "index": true}}}}`)
	}
	if got, want := withoutTimes(server), withoutTimes(file); got != want {
		t.Errorf("the server has\n%s\n\nthe file has\n%s", got, want)
	}
}

// withoutTimes is the whole database, without what a clock has written.
func withoutTimes(x *tenant) string {
	var kept []string
	for line := range strings.SplitSeq(x.dump(), "\n") {
		if !strings.Contains(line, "Acme") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n") + x.query("SELECT id, name FROM company")
}

// TestOneRoundTrip holds the promise: what a deployment to a server needs,
// once its plan is there and the database was read, is one request.
func TestOneRoundTrip(t *testing.T) {
	x := newRemote(t)
	x.mustDeploy(account)
	p, err := x.plan(accountMore)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := apply.Read(t.Context(), x.open())
	if err != nil {
		t.Fatal(err)
	}
	proxy := sqldtest.Start(t).Proxy(t, func(int, *http.Request, string) sqldtest.Fault { return sqldtest.None })
	if _, err := apply.Run(t.Context(), x.through(proxy), p, apply.Deployment{ID: "one", Owner: owner, Seen: &seen}); err != nil {
		t.Fatal(err)
	}
	if proxy.Requests() != 1 {
		t.Errorf("%d requests for a deployment", proxy.Requests())
	}
}

var owner = apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"}

// through opens a tenant's database behind a proxy.
func (x *tenant) through(p *sqldtest.Proxy) database.Conn {
	x.t.Helper()
	conn, err := x.place.Through(x.t.Context(), x.name, p.URL)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestRequestOfADeployment strikes the one request of a deployment with each fault of
// the network, and then the look into the journal as well. What succeeded is in
// the journal, and doing again what failed ends with one deployment.
func TestRequestOfADeployment(t *testing.T) {
	faults := map[string]struct {
		fault sqldtest.Fault
		done  bool // the server has carried the request out
		known bool // the deployment succeeds after one of them
	}{
		"answer lost":           {sqldtest.Drop, true, true},
		"502 after it was done": {sqldtest.Lost, true, true},
		"half an answer":        {sqldtest.Broken, true, true},
		"spurious 404":          {sqldtest.Missing, false, true},
		"refused":               {sqldtest.Refuse, false, false},
		"503":                   {sqldtest.Unavailable, false, false},
		"expired":               {sqldtest.Expired, false, false},
	}
	for name, f := range faults {
		for _, strikes := range []int{1, 9} {
			t.Run(fmt.Sprint(name, ", times ", strikes), func(t *testing.T) {
				x := newRemote(t)
				x.mustDeploy(account)
				x.exec("INSERT INTO account (id, name) VALUES ('a1', 'Acme')")
				p, err := x.plan(accountMore)
				if err != nil {
					t.Fatal(err)
				}
				seen, err := apply.Read(t.Context(), x.open())
				if err != nil {
					t.Fatal(err)
				}
				before := x.dump()
				proxy := sqldtest.Start(t).Proxy(t, func(i int, _ *http.Request, _ string) sqldtest.Fault {
					if i < strikes {
						return f.fault
					}
					return sqldtest.None
				})
				_, err = apply.Run(t.Context(), x.through(proxy), p, apply.Deployment{ID: "struck", Owner: owner, Seen: &seen})
				if (err == nil) != (f.known && strikes == 1) || err != nil && !errors.Is(err, database.ErrAway) {
					t.Errorf("Run gives %v", err)
				}
				there := x.query("SELECT count(*) FROM _reconciler_journal WHERE deployment = 'struck'") == "1"
				if there != (f.done || err == nil) {
					t.Errorf("that it is in the journal is %v", there)
				}
				if !there {
					if x.dump() != before {
						t.Error("a deployment that failed has changed the database")
					}
					x.mustDeploy(accountMore)
				}
				if got := x.query("SELECT id, name, fax FROM account"); got != "a1|Acme|<nil>" {
					t.Errorf("rows are %s", got)
				}
				if _, err := apply.Run(t.Context(), x.open(), p, apply.Deployment{ID: "again", Owner: owner, Seen: &seen}); !errors.Is(err, apply.ErrStale) {
					t.Errorf("the plan can be run twice: %v", err)
				}
			})
		}
	}
}

// TestChangedMeanwhile lets somebody change the database between the look and
// the batch.
func TestChangedMeanwhile(t *testing.T) {
	tests := map[string]struct {
		sql  string
		want error
	}{
		"the schema":      {"CREATE TABLE more (a)", apply.ErrStale},
		"another journal": {"INSERT INTO _reconciler_journal SELECT NULL, 'x', at, revision, author, bundle, previous_bundle, plan, from_fingerprint, to_fingerprint, schema_digest, retired, back_to, statements, way_back, undo, images FROM _reconciler_journal", apply.ErrStale},
		"the owner":       {"UPDATE _reconciler_meta SET value = 'other' WHERE key = 'tenant'", apply.ErrOwnedElsewhere},
		"suspended":       {"INSERT INTO _reconciler_meta VALUES ('suspended', '2026-01-01T00:00:00Z')", apply.ErrSuspended},
		"rows in the way": {"INSERT INTO account (id, name, code) VALUES ('a1', 'A', NULL)", nil},
	}
	adding := map[string]struct { // by a plan that is held against the schema at its end alone
		sql  string
		want error
	}{
		"the schema, added to":          {"CREATE TABLE more (a)", apply.ErrStale},
		"the schema, the same column":   {"ALTER TABLE account ADD COLUMN fax text", apply.ErrStale},
		"the schema, another column":    {"ALTER TABLE account ADD COLUMN telex text", apply.ErrStale},
		"the schema, no table any more": {"DROP TABLE account", apply.ErrStale},
		"the owner, adding":             {"UPDATE _reconciler_meta SET value = 'other' WHERE key = 'fleet'", apply.ErrOwnedElsewhere},
		"nobody's":                      {"DELETE FROM _reconciler_meta WHERE key = 'tenant'", apply.ErrOwnedElsewhere},
		"no journal":                    {"DELETE FROM _reconciler_journal", nil},
	}
	required := strings.Replace(account, `"code": {"type": "text", "unique": true}`, `"code": {"type": "text", "unique": true, "required": true}`, 1)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := meanwhile(t, required, test.sql)
			var blocked *apply.BlockedError
			if test.want == nil && (!errors.As(err, &blocked) || blocked.Findings[0].IDs[0] != "a1") || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	for name, test := range adding {
		t.Run(name, func(t *testing.T) {
			if err := meanwhile(t, accountMore, test.sql); err == nil || !errors.Is(err, test.want) && test.want != nil {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// meanwhile runs the plan for a definition on a database that somebody changes
// after the look, and makes sure that the plan changes nothing.
func meanwhile(t *testing.T, definition, sql string) error {
	t.Helper()
	x := newRemote(t)
	x.mustDeploy(account)
	p, err := x.plan(definition)
	if err != nil {
		t.Fatal(err)
	}
	conn := x.open()
	seen, err := apply.Read(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	x.exec(sql)
	before := x.dump()
	_, err = apply.Run(t.Context(), conn, p, apply.Deployment{ID: "late", Owner: owner, Seen: &seen})
	if x.dump() != before {
		t.Error("the database was changed")
	}
	return err
}

// TestStolenLock lets another writer take the lock of a deployment that stands
// still for longer than the server waits.
func TestStolenLock(t *testing.T) {
	x := newRemote(t)
	x.mustDeploy(account)
	p, err := x.plan(accountMore)
	if err != nil {
		t.Fatal(err)
	}
	before := x.query("SELECT count(*) FROM _reconciler_journal")
	_, err = apply.Run(t.Context(), x.open(), p, apply.Deployment{ID: "slow", Owner: owner, Watch: thief{x}})
	if !errors.Is(err, database.ErrBusy) && !errors.Is(err, database.ErrAway) {
		t.Errorf("got %v", err)
	}
	if got := x.query("SELECT count(*) FROM _reconciler_journal"); got != before {
		t.Errorf("%s deployments, want %s", got, before)
	}
	if got := x.query("SELECT id FROM account"); got != "thief" {
		t.Errorf("the other writer's rows are %q", got)
	}
	x.mustDeploy(accountMore)
}

// thief takes the lock while a deployment waits for it.
type thief struct{ x *tenant }

func (thief) Begin(context.Context, database.Conn) error { return nil }

func (w thief) End(ctx context.Context, _ database.Conn) error {
	for {
		conn := w.x.open()
		_, err := conn.Exec(ctx, "INSERT INTO account (id, name) VALUES ('thief', 'T')")
		_ = conn.Close()
		if err == nil || !errors.Is(err, database.ErrBusy) {
			return err
		}
	}
}

// TestServerThatGoesAway says nothing of what it does not know.
func TestServerThatGoesAway(t *testing.T) {
	x := newRemote(t)
	x.mustDeploy(account)
	p, err := x.plan(accountMore)
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	proxy := sqldtest.Start(t).Proxy(t, func(_ int, _ *http.Request, body string) sqldtest.Fault {
		if gone.Load() || strings.Contains(body, "COMMIT") && gone.CompareAndSwap(false, true) {
			return sqldtest.Drop
		}
		return sqldtest.None
	})
	if _, err := apply.Run(t.Context(), x.through(proxy), p, apply.Deployment{ID: "lost", Owner: owner}); !errors.Is(err, database.ErrAway) {
		t.Errorf("got %v", err)
	}
}

package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// place is a directory with a tenant and its history.
type place struct {
	t testing.TB
	*databasetest.Place
	store *state.Store
}

func newPlace(t testing.TB, kind databasetest.Kind) *place {
	t.Helper()
	p := &place{t: t, Place: databasetest.New(t, kind)}
	p.File.Synchronous = "OFF"
	return p
}

func (p *place) open() {
	p.t.Helper()
	var err error
	if p.store, err = state.Open(p.t.Context(), filepath.Join(p.Dir, "state.db"), state.Options{}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) conn() database.Conn {
	p.t.Helper()
	conn, err := p.Open(p.t.Context(), "acme")
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

func (p *place) close(c interface{ Close() error }) {
	p.t.Helper()
	if err := c.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// copied is a place like this one, for a test. Nobody has its databases open.
func (p *place) copied(t testing.TB) *place { return &place{t: t, Place: p.Copy(t)} }

// passes are what is done to the tenant, one after the other: each by a
// process of its own.
var passes = []struct {
	name string
	run  func(t testing.TB, d *deploy.Deployer, conn database.Conn) deploy.Result
}{
	{"create", deployTask(map[string]any{"title": text, "code": text}, "one")},
	{"change", deployTask(map[string]any{"title": required, "due": text}, "one", "two")},
	{"roll back", func(t testing.TB, d *deploy.Deployer, conn database.Conn) deploy.Result {
		journal, err := apply.Journal(t.Context(), conn)
		if err != nil || len(journal) == 0 {
			return deploy.Result{Assessment: deploy.Fail(errors.Join(err, errors.New("no journal was read")))}
		}
		return d.Rollback(t.Context(), conn, deploy.RollbackRequest{Tenant: "acme", To: journal[0].Deployment})
	}},
	{"add a column", deployTask(map[string]any{"title": text, "code": text, "note": text}, "one")}, // one batch on a server
	{"backfill", backfillTask(map[string]any{"title": text, "code": map[string]any{"type": "number"}})},
	{"backfill back", backfillTask(map[string]any{"title": text, "code": text})},
}

// backfillTask deploys to a tenant whose table seems to have a million rows,
// because the last one has that number.
func backfillTask(fields map[string]any) func(testing.TB, *deploy.Deployer, database.Conn) deploy.Result {
	return func(t testing.TB, d *deploy.Deployer, conn database.Conn) deploy.Result {
		_, err := conn.Exec(t.Context(), `INSERT OR IGNORE INTO task (rowid, id, title, code) VALUES (1000000, 'last', 'last', '7')`)
		if err != nil {
			return deploy.Result{Assessment: deploy.Fail(err)}
		}
		r := verifyRequest(compiled(t, withTask(fields)), false)
		r.MaxLock.File, r.MaxLock.Remote = time.Second, time.Second
		return d.Deploy(t.Context(), conn, r)
	}
}

var (
	acme    = apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"}
	keeping = deploy.Policy{
		Plan: deploy.PlanPolicy{SeedMode: "strict", Retire: true}, Retention: time.Hour,
		Classes: map[string]string{"narrowing": "allow"},
	}
)

func deployTask(fields map[string]any, titles ...string) func(testing.TB, *deploy.Deployer, database.Conn) deploy.Result {
	b := withTask(fields)
	var records []any
	for _, title := range titles {
		records = append(records, map[string]any{"title": title})
	}
	b.SeedData = []map[string]any{{"object": "task", "externalId": "title", "records": records}}
	b.Permissions = []map[string]any{{"name": strings.Join(titles, "_"), "objects": map[string]any{}}}
	return func(t testing.TB, d *deploy.Deployer, conn database.Conn) deploy.Result {
		text, err := json.Marshal(b)
		desired, faults := bundle.Compile(text)
		if err != nil || desired == nil {
			return deploy.Result{Assessment: deploy.Fail(fmt.Errorf("%v (%w)", faults, err))}
		}
		return d.Deploy(t.Context(), conn, deploy.Request{Owner: acme, Desired: desired, Policy: keeping})
	}
}

// strikes are what happens at call n. They see every call.
var strikes = []struct {
	name string
	call func(p *place, n, i int, do func() error) error
}{
	{"the connection is lost", func(_ *place, n, i int, do func() error) error {
		if i >= n {
			return database.ErrAway
		}
		return do()
	}},
	{"the answer is lost", func(_ *place, n, i int, do func() error) error {
		if i > n {
			return database.ErrAway
		}
		err := do()
		if i == n {
			return database.ErrAway
		}
		return err
	}},
	{"the process dies", func(_ *place, n, i int, do func() error) error {
		if i == n {
			runtime.Goexit() // as far as anybody can see from outside
		}
		return do()
	}},
	{"the history is lost", func(p *place, n, i int, do func() error) error {
		if i == n {
			p.close(p.store)
		}
		return do()
	}},
}

// quiet is what happens to a pass that nothing happens to.
func quiet(_ int, _ string, do func() error) error { return do() }

// pass runs a pass in a Deployer of its own and closes everything, as its
// process does at its end.
func (p *place) pass(run func(testing.TB, *deploy.Deployer, database.Conn) deploy.Result, call func(n int, sql string, do func() error) error) deploy.Result {
	p.t.Helper()
	p.open()
	conn := p.conn()
	var result deploy.Result
	var process sync.WaitGroup
	process.Go(func() {
		result = run(p.t, deploy.New(deploy.Config{Store: p.store}), &databasetest.Struck{Conn: conn, Call: call})
	})
	process.Wait()
	p.close(conn)
	p.close(p.store)
	return result
}

// told is what the tenant and its history say at the end: everything but ids
// and times.
type told struct {
	Tenant  []string
	Journal []string // plan, bundle and schemas of each deployment
	History []string // of the ready ones likewise
}

func (p *place) told() told {
	p.t.Helper()
	p.open()
	defer p.close(p.store)
	conn := p.conn()
	defer p.close(conn)
	var all told
	for _, sql := range []string{
		"SELECT group_concat(type || name || ifnull(sql, ''), char(10)) FROM (SELECT * FROM sqlite_master ORDER BY type, name)",
		"SELECT group_concat(title, ' ') FROM task",
		"SELECT group_concat(type || ' ' || name || ' ' || metadata, char(10)) FROM (SELECT * FROM sys_metadata ORDER BY type, name)",
		"SELECT group_concat(key || value, char(10)) FROM (SELECT * FROM _reconciler_meta ORDER BY key)",
		"SELECT group_concat(object || key || written, char(10)) FROM (SELECT * FROM _reconciler_seed ORDER BY object, key)",
	} {
		rows, err := conn.Query(p.t.Context(), sql)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Tenant = append(all.Tenant, fmt.Sprint(rows.Values))
	}
	journal, err := apply.Journal(p.t.Context(), conn)
	history, historyErr := p.store.Deployments(p.t.Context(), "acme", 0)
	if err := errors.Join(err, historyErr); err != nil {
		p.t.Fatal(err)
	}
	var committed []string
	for _, e := range journal {
		committed = append(committed, e.Deployment)
		all.Journal = append(all.Journal, fmt.Sprintf("%.8s %.8s %.8s %.8s", e.Plan, e.Bundle, e.From, e.To))
	}
	var ready []string
	for _, d := range slices.Backward(history) {
		if d.Status == protocol.DeployReady {
			ready = append(ready, d.ID)
			all.History = append(all.History, fmt.Sprintf("%.8s %.8s %.8s %.8s", d.PlanDigest, d.BundleDigest, d.FromFingerprint, d.ToFingerprint))
		} else if slices.Contains(committed, d.ID) {
			p.t.Errorf("deployment %s is %s in history and committed", d.ID, d.Status)
		}
	}
	if !slices.Equal(ready, committed) {
		p.t.Errorf("got deployments %q in history, the journal has %q", ready, committed)
	}
	return all
}

// Whatever happens to a pass, and at whichever call: after the next one the
// tenant, its journal and its history say what they would have said, and each
// deployment is in both exactly once. On a server they say what they say of a
// file.
func TestFaults(t *testing.T) {
	everywhere := os.Getenv("FAULT_ALL") != ""
	inFile := map[string]told{}
	databasetest.Each(t, func(t *testing.T, kind databasetest.Kind) {
		tries := make([]int, len(strikes))
		before := newPlace(t, kind)
		whole := t
		for _, pass := range passes {
			t.Run(pass.name, func(t *testing.T) {
				clean := before.copied(whole)
				clean.t = t
				want, calls := clean.undisturbed(pass.run)
				if kind == databasetest.File {
					inFile[pass.name] = want
				} else if diff := cmp.Diff(inFile[pass.name], want); diff != "" && len(inFile) == len(passes) {
					t.Errorf("(-file +%s):\n%s", kind, diff)
				}
				commit := slices.Index(calls, "COMMIT")
				many := databasetest.NewTries(t, kind)
				for i, strike := range strikes {
					for n := range calls {
						if !everywhere && (n < commit-2 && n%4 != 0 || kind == databasetest.Server && (n < commit-1 || n > commit+1)) {
							continue
						}
						tries[i]++
						many.Run(fmt.Sprintf("%s at call %d, %.60q", strike.name, n, calls[n]), func(t *testing.T) {
							p := before.copied(t)
							p.pass(pass.run, func(i int, _ string, do func() error) error { return strike.call(p, n, i, do) })
							if again := p.pass(pass.run, quiet); again.Err != nil {
								t.Errorf("the next pass: %v", again.Err)
							}
							if diff := cmp.Diff(want, p.told()); diff != "" {
								t.Errorf("(-want +got):\n%s", diff)
							}
						})
					}
				}
				many.Wait()
				before = clean
			})
		}
		for i, strike := range strikes {
			t.Logf("%-25s %4d tries", strike.name, tries[i])
		}
	}, databasetest.File, databasetest.Server)
}

// undisturbed runs a pass that nothing happens to, and returns what it leads to
// and its calls.
func (p *place) undisturbed(run func(testing.TB, *deploy.Deployer, database.Conn) deploy.Result) (told, []string) {
	p.t.Helper()
	var calls []string
	result := p.pass(run, func(_ int, sql string, do func() error) error {
		calls = append(calls, sql)
		return do()
	})
	if result.Err != nil || !result.Changed {
		p.t.Fatalf("without a fault: %+v", result.Assessment)
	}
	return p.told(), calls
}

package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// limited is a tenant with quotas, at a time.
type limited struct {
	*place
	limits protocol.TenantQuota
	now    time.Time
	before func(database.Conn) // the transaction begins
}

func newLimited(t *testing.T, limits protocol.TenantQuota) *limited {
	return &limited{place: newPlace(t, databasetest.File), limits: limits, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
}

// seeded is a bundle of objects with a title, and titles to load into the
// first.
func seeded(t testing.TB, titles []string, objects ...string) *bundle.Desired {
	t.Helper()
	b := protocol.DeployBundle{Manifest: protocol.DeployManifest{Version: "1"}}
	for _, name := range objects {
		b.Objects = append(b.Objects, map[string]any{"name": name, "fields": map[string]any{"title": text}})
	}
	var records []any
	for _, title := range titles {
		records = append(records, map[string]any{"title": title})
	}
	if records != nil {
		b.SeedData = []map[string]any{{"object": objects[0], "externalId": "title", "records": records}}
	}
	written, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	compiled, faults := bundle.Compile(written)
	if compiled == nil {
		t.Fatal(faults)
	}
	return compiled
}

func (l *limited) use(f func(*deploy.Deployer, database.Conn)) {
	l.t.Helper()
	l.open()
	defer l.close(l.store)
	conn := l.conn()
	defer l.close(conn)
	f(deploy.New(deploy.Config{Store: l.store, Now: func() time.Time { return l.now }}), conn)
}

func (l *limited) deploy(desired *bundle.Desired) (result deploy.Result) {
	l.t.Helper()
	l.use(func(d *deploy.Deployer, conn database.Conn) {
		call := func(_ int, sql string, do func() error) error {
			if sql == "BEGIN IMMEDIATE" && l.before != nil {
				l.before(conn)
			}
			return do()
		}
		result = d.Deploy(l.t.Context(), &databasetest.Struck{Conn: conn, Call: call}, deploy.Request{
			Owner: acme, Desired: desired, Policy: keeping, Quotas: tenantrouter.Quotas{Limits: l.limits, Users: "task"},
		})
	})
	return result
}

func (l *limited) must(desired *bundle.Desired) {
	l.t.Helper()
	if result := l.deploy(desired); result.Err != nil {
		l.t.Fatal(result.Err)
	}
}

// refused deploys a bundle over one quota alone, and looks for words of its
// message. Nothing must have happened.
func (l *limited) refused(desired *bundle.Desired, quota, words string) {
	l.t.Helper()
	before := l.content()
	result := l.deploy(desired)
	var over *tenantrouter.QuotaError
	if !errors.As(result.Err, &over) || len(over.Checks) != 1 || over.Checks[0].Quota != quota {
		l.t.Fatalf("got %v, want %s exceeded", result.Err, quota)
	}
	if result.Action != deploy.Blocked || result.Reason != "QuotaExceeded" || result.Next == "" || !strings.Contains(result.Message, words) {
		l.t.Errorf("got %s %s: %s (%s), want %q in it", result.Action, result.Reason, result.Message, result.Next, words)
	}
	if after := l.content(); after != before {
		l.t.Errorf("got\n%s\nwant the database as it was\n%s", after, before)
	}
}

// content is the schema, the rows of task and the journal of the tenant.
func (l *limited) content() (text string) {
	l.t.Helper()
	l.use(func(_ *deploy.Deployer, conn database.Conn) {
		for _, sql := range []string{
			"SELECT name, sql FROM sqlite_master ORDER BY name",
			"SELECT title FROM task ORDER BY title", "SELECT deployment FROM _reconciler_journal",
		} {
			rows, err := conn.Query(l.t.Context(), sql)
			text += fmt.Sprint(rows.Values, err, "\n")
		}
	})
	return text
}

func TestQuotaOfObjects(t *testing.T) {
	l := newLimited(t, protocol.TenantQuota{MaxObjects: new(int64(2))})
	l.must(seeded(t, nil, "task", "label"))
	l.refused(seeded(t, nil, "task", "label", "note"), "maxObjects", "it has 2 objects and would have 3, the limit is 2")
	l.limits.MaxObjects = new(int64(1)) // below what it has
	l.must(seeded(t, []string{"one"}, "task", "label"))
	l.must(seeded(t, nil, "task"))
	l.refused(seeded(t, nil, "task", "note"), "maxObjects", "it has 1 objects and would have 2, the limit is 1")
	l.must(seeded(t, nil, "task", "label")) // as it was before
}

func TestQuotaOfDeployments(t *testing.T) {
	l := newLimited(t, protocol.TenantQuota{MaxDeploymentsPerDay: new(int64(2))})
	l.must(seeded(t, nil, "task"))
	l.must(seeded(t, nil, "task", "label"))
	l.must(seeded(t, nil, "task", "label")) // nothing to do
	l.refused(seeded(t, nil, "task", "note"), "maxDeploymentsPerDay", "it has 2 deployments today and would have 3, the limit is 2")
	l.must(seeded(t, nil, "task")) // as it was before
	l.use(func(d *deploy.Deployer, conn database.Conn) {
		if result := d.Rollback(t.Context(), conn, deploy.RollbackRequest{Tenant: "acme"}); result.Err != nil {
			t.Errorf("rollback: %v", result.Err)
		}
	})
	l.now = l.now.Add(12 * time.Hour)
	l.must(seeded(t, nil, "task", "note"))
}

func TestQuotaOfStorage(t *testing.T) {
	for name, limits := range map[string]func(*int64) protocol.TenantQuota{
		"maxStorage":      func(n *int64) protocol.TenantQuota { return protocol.TenantQuota{MaxStorage: n} },
		"maxStorageBytes": func(n *int64) protocol.TenantQuota { return protocol.TenantQuota{MaxStorageBytes: n} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimited(t, limits(new(int64(1<<20))))
			l.must(seeded(t, nil, "task", "label"))
			l.refused(seeded(t, []string{strings.Repeat("long ", 1<<17)}, "task", "label"), "maxStorageBytes", "the limit is 1048576")
			l.limits = limits(new(int64(4096))) // below what it has
			l.refused(seeded(t, nil, "task", "label", "note"), "maxStorageBytes", "the limit is 4096")
			l.must(seeded(t, nil, "task"))
		})
	}
}

func TestQuotaOfRecordsAndUsers(t *testing.T) {
	for quota, limits := range map[string]protocol.TenantQuota{
		"maxRecordsPerObject": {MaxRecordsPerObject: new(int64(3))},
		"maxUsers":            {MaxUsers: new(int64(3))},
	} {
		t.Run(quota, func(t *testing.T) {
			l := newLimited(t, limits)
			l.must(seeded(t, []string{"one", "two"}, "task"))
			l.refused(seeded(t, []string{"one", "two", "three", "four"}, "task"), quota, "and would have 4, the limit is 3")
			l.must(seeded(t, []string{"one", "two", "three"}, "task")) // two of them are there
			l.before = func(conn database.Conn) {
				l.before = nil
				if _, err := conn.Exec(t.Context(), "INSERT INTO task (id, title) VALUES ('a', 'application'), ('b', 'application')"); err != nil {
					t.Fatal(err)
				}
			}
			l.must(seeded(t, []string{"one", "two", "three"}, "task", "label")) // over it by now, and it adds none
			l.refused(seeded(t, []string{"five"}, "task"), quota, "it has 5")
		})
	}
	t.Run("in a table that is new", func(t *testing.T) {
		l := newLimited(t, protocol.TenantQuota{MaxRecordsPerObject: new(int64(1))})
		l.refused(seeded(t, []string{"one", "two"}, "task"), "maxRecordsPerObject", "it has 0 records of task and would have 2")
	})
	t.Run("that an application inserts meanwhile", func(t *testing.T) {
		l := newLimited(t, protocol.TenantQuota{MaxRecordsPerObject: new(int64(2))})
		l.must(seeded(t, nil, "task"))
		l.before = func(conn database.Conn) {
			l.before = nil
			if _, err := conn.Exec(t.Context(), "INSERT INTO task (id, title) VALUES ('a', 'application')"); err != nil {
				t.Fatal(err)
			}
		}
		result := l.deploy(seeded(t, []string{"one", "two"}, "task"))
		var over *tenantrouter.QuotaError
		if !errors.As(result.Err, &over) || result.Changed || result.Action != deploy.Blocked {
			t.Errorf("got %s, %v, want the quota to be exceeded in the transaction", result.Action, result.Err)
		}
	})
}

// What a tenant may use has no part in its plan.
func TestQuotasLeaveThePlanAlone(t *testing.T) {
	var digests []string
	for _, limits := range []protocol.TenantQuota{{}, {MaxObjects: new(int64(9)), MaxRecordsPerObject: new(int64(9))}} {
		l := newLimited(t, limits)
		result := l.deploy(seeded(t, []string{"one"}, "task"))
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		digests = append(digests, result.Plan.Digest+result.Class)
	}
	if digests[0] != digests[1] {
		t.Errorf("got plans %q, want them equal", digests)
	}
}

// A pass that has nothing to do measures nothing.
func TestQuotasCostNothingWhereNothingIsToDo(t *testing.T) {
	l := newLimited(t, protocol.TenantQuota{
		MaxObjects: new(int64(9)), MaxRecordsPerObject: new(int64(9)), MaxStorage: new(int64(1 << 30)), MaxDeploymentsPerDay: new(int64(9)),
	})
	desired := seeded(t, []string{"one"}, "task")
	l.must(desired)
	var calls [2]int
	for i, limits := range []protocol.TenantQuota{{}, l.limits} {
		l.use(func(d *deploy.Deployer, conn database.Conn) {
			count := &databasetest.Struck{Conn: conn, Call: func(_ int, _ string, do func() error) error { return do() }}
			d.Deploy(context.Background(), count, deploy.Request{
				Owner: acme, Desired: desired, Policy: keeping, Quotas: tenantrouter.Quotas{Limits: limits},
			})
			calls[i] = count.Calls()
		})
	}
	if calls[0] != calls[1] {
		t.Errorf("got %d statements without quotas and %d with them", calls[0], calls[1])
	}
}

func TestUsage(t *testing.T) {
	l := newLimited(t, protocol.TenantQuota{})
	meter := tenantrouter.Meter{Users: "task", Requests: counter(7), Now: func() time.Time { return l.now }}
	usage := func() (got protocol.TenantUsage) {
		l.use(func(_ *deploy.Deployer, conn database.Conn) {
			var err error
			if got, err = meter.Usage(t.Context(), conn, "acme"); err != nil {
				t.Fatal(err)
			}
		})
		return got
	}
	if got := usage(); got.CurrentObjectCount != 0 || got.CurrentRecordCount != 0 || got.DeploymentsToday != 0 {
		t.Errorf("got %+v of an empty database", got)
	}
	l.must(seeded(t, []string{"one", "two"}, "task", "label"))
	l.use(func(_ *deploy.Deployer, conn database.Conn) {
		if _, err := conn.Exec(t.Context(), "INSERT INTO label (id, title) VALUES ('a', 'red')"); err != nil {
			t.Fatal(err)
		}
	})
	got := usage()
	if got.CurrentStorageBytes < 4096*5 {
		t.Errorf("got %d bytes, want five pages at least", got.CurrentStorageBytes)
	}
	got.CurrentStorageBytes = 0
	want := protocol.TenantUsage{
		CurrentObjectCount: 2, CurrentRecordCount: 3, DeploymentsToday: 1, CurrentUsers: 2, APIRequestsThisMinute: 7,
		LastUpdatedAt: "2026-03-04T12:00:00.000Z",
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if l.now = l.now.Add(24 * time.Hour); usage().DeploymentsToday != 0 {
		t.Error("deployments of yesterday count as today's")
	}
}

type counter int64

func (c counter) RequestsThisMinute(protocol.TenantID) int64 { return int64(c) }

var _ apply.Watch = (*tenantrouter.Watch)(nil)

package apply_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/libsql"
)

// counted is a connection that something happens to at a call.
type counted struct {
	*databasetest.Struck
	calls []string
	ctx   context.Context // of the deployment; nil is that of the test
	// before is asked at each call, with its number from 0; an error is the
	// call's answer. after likewise, once the call has been carried out.
	before, after func(n int) error
}

func count(conn database.Conn) *counted {
	c := &counted{}
	c.Struck = &databasetest.Struck{Conn: conn, Call: c.call}
	return c
}

func (c *counted) call(n int, sql string, do func() error) error {
	c.calls = append(c.calls, sql)
	if c.before != nil {
		if err := c.before(n); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if c.after != nil {
		return c.after(n)
	}
	return nil
}

// fault makes something go wrong at call n of a deployment.
type fault struct {
	name string
	// set arms the connection to the file for call n.
	set func(t *testing.T, c *counted, path string, n int)
	// at chooses calls; nil for all of them.
	at     func(x *trial) []int
	server bool // it can happen to a database on a server
}

var faults = []fault{
	{name: "connection lost", server: true, set: func(_ *testing.T, c *counted, _ string, n int) {
		c.before = func(i int) error { return failIf(i >= n) }
	}},
	{name: "one statement fails", server: true, at: (*trial).key, set: func(_ *testing.T, c *counted, _ string, n int) {
		c.before = func(i int) error { return failIf(i == n) }
	}},
	{name: "answer lost", server: true, at: (*trial).key, set: func(_ *testing.T, c *counted, _ string, n int) {
		c.before = func(i int) error { return failIf(i > n) }
		c.after = func(i int) error { return failIf(i == n) }
	}},
	{name: "cancelled", server: true, at: (*trial).key, set: func(t *testing.T, c *counted, _ string, n int) {
		ctx, cancel := context.WithCancel(t.Context())
		c.ctx = ctx
		c.before = func(i int) error {
			if i == n {
				cancel()
			}
			return nil
		}
	}},
	{name: "turns read-only", at: (*trial).key, set: func(t *testing.T, c *counted, _ string, n int) {
		c.before = func(i int) error {
			if i != n {
				return nil
			}
			_, err := c.Conn.Query(t.Context(), "PRAGMA query_only = ON")
			return err
		}
	}},
	{name: "another writer holds the lock", at: func(x *trial) []int { return []int{x.index("BEGIN IMMEDIATE")} }, set: func(t *testing.T, c *counted, path string, n int) {
		holds(t, c, path, n, "INSERT INTO other.held VALUES (1)")
	}},
	{name: "a reader holds the file", at: func(*trial) []int { return []int{0} }, set: func(t *testing.T, c *counted, path string, n int) {
		holds(t, c, path, n, "SELECT * FROM other.sqlite_master")
	}},
}

func failIf(bad bool) error {
	if bad {
		return database.ErrAway
	}
	return nil
}

// holds lets another connection have the file from call n on, until this one
// is closed.
func holds(t *testing.T, c *counted, path string, n int, sql string) {
	c.before = func(i int) error {
		if i != n {
			return nil
		}
		other, err := libsql.OpenMemory(t.Context()) // ATTACH opens a file that has a connection already
		if err != nil {
			return err
		}
		c.Conn = &closing{Conn: c.Conn, also: other}
		run := func(sql string, args ...any) {
			if err == nil {
				_, err = other.Query(t.Context(), sql, args...)
			}
		}
		run("PRAGMA busy_timeout = 1")
		run("ATTACH ? AS other", path)
		if strings.HasPrefix(sql, "INSERT") {
			run("BEGIN IMMEDIATE")
			run("CREATE TABLE other.held (a)")
		} else {
			run("BEGIN")
		}
		run(sql)
		return err
	}
}

// closing is a connection whose end is that of another one as well.
type closing struct {
	database.Conn
	also database.Conn
}

func (c *closing) Close() error {
	if err := c.also.Close(); err != nil {
		return err
	}
	return c.Conn.Close()
}

// quick leaves out the waiting for the disk. Whatever is tried here, the
// system goes on, and has what was written.
const quick = "OFF"

// disturbed opens a database as faults meet it. In a file nobody is waited for, and the
// cache is so small that what is not committed reaches the disk.
func disturbed(ctx context.Context, path string, wal bool) (database.Conn, error) {
	conn, err := libsql.Open(ctx, path, libsql.Options{Create: true, WAL: wal, BusyTimeout: time.Millisecond, Synchronous: quick})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Query(ctx, "PRAGMA cache_size = 1"); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, conn.Close())
	}
	return conn, nil
}

// deployment is the one that is put to the test, of a story that goes back so
// many deployments.
func deployment(ctx context.Context, conn database.Conn, back int) (apply.Deployment, error) {
	d := apply.Deployment{
		ID: "tested", Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
		At: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), Adopt: true,
	}
	if back == 0 {
		return d, nil
	}
	journal, err := apply.Journal(ctx, conn)
	if err != nil {
		return d, err
	}
	at := len(journal) - back
	d.Undo, d.BackTo = journal[at:], journal[at-1].Deployment
	return d, nil
}

// key are the calls at which a part of the deployment begins or ends, and the
// one in the middle of the migration.
func (x *trial) key() []int {
	last := x.index("COMMIT")
	calls := []int{0, x.index("BEGIN IMMEDIATE"), last - 1, last, last + 1, x.index("REPLACE INTO _reconciler_meta")}
	if statements := x.plan.Migration.Statements; len(statements) > 0 {
		calls = append(calls, x.index(statements[0].SQL), x.index(statements[len(statements)/2].SQL), x.index(statements[len(statements)-1].SQL))
	}
	if len(x.plan.Seeds) > 0 {
		calls = append(calls, x.index(x.plan.Seeds[0].SQL))
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}

// index is the first call of a clean run that begins with a text.
func (x *trial) index(text string) int {
	x.t.Helper()
	i := slices.IndexFunc(x.calls, func(sql string) bool { return strings.HasPrefix(sql, text) })
	if i < 0 {
		x.t.Fatalf("no call begins with %q", text)
	}
	return i
}

// copyFile makes a tenant's file anew from one that nobody has open. Without a
// name there is nothing to copy.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if from == "" {
		return
	}
	body, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/plan"
)

const (
	sizeText   = `{"account": {"fields": {"size": {"type": "text"}}}}`
	sizeNumber = `{"account": {"fields": {"size": {"type": "number"}}}}`
)

// retyping is a tenant with rows, and the plan that changes their type.
func retyping(t *testing.T) (*tenant, *plan.Plan) {
	t.Helper()
	x := newTenant(t)
	x.mustDeploy(sizeText)
	x.exec("INSERT INTO account (id, size) VALUES ('a', '1'), ('b', '20')")
	p, err := x.plan(sizeNumber)
	if err != nil {
		t.Fatal(err)
	}
	return x, p
}

// runWith runs a plan on a connection that other wraps, with a snapshot.
func (x *tenant) runWith(p *plan.Plan, snapshot string, wrap func(database.Conn) database.Conn) error {
	x.t.Helper()
	conn := wrap(x.open())
	_, err := apply.Run(x.t.Context(), conn, p, apply.Deployment{
		ID: "snapshotted", Owner: apply.Owner{Fleet: "main", Environment: "prod", Tenant: "acme"},
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Snapshot: snapshot,
	})
	return errors.Join(err, conn.Close())
}

func TestSnapshotIsTheDatabaseBefore(t *testing.T) {
	x, p := retyping(t)
	before := x.dump()
	snapshot := filepath.Join(t.TempDir(), "snapshots", "acme", "one.db")
	if err := x.runWith(p, snapshot, func(c database.Conn) database.Conn { return c }); err != nil {
		t.Fatal(err)
	}
	if x.dump() == before {
		t.Error("the plan has changed nothing")
	}
	copied := &tenant{t: t}
	copied.place, copied.name = databasetest.Around(snapshot)
	if got := copied.dump(); got != before {
		t.Errorf("got a copy of\n%s\nwant\n%s", got, before)
	}
	for path, want := range map[string]os.FileMode{snapshot: 0o600, filepath.Dir(snapshot): 0o700, filepath.Dir(filepath.Dir(snapshot)): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got mode %v and error %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// restless is a connection behind whose back another one commits after each of
// the first copies.
type restless struct {
	database.Conn
	times, copies int
	seen          int64
}

func (c *restless) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	n, err := c.Conn.Exec(ctx, sql, args...)
	if err != nil || !strings.HasPrefix(sql, "VACUUM INTO") {
		return n, err
	}
	if c.copies++; c.copies <= c.times {
		c.seen++
		return c.Conn.Exec(ctx, fmt.Sprintf("INSERT INTO account (id, size) VALUES ('late%d', '7')", c.copies))
	}
	return n, nil
}

func (c *restless) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	rows, err := c.Conn.Query(ctx, sql, args...)
	if err == nil && sql == "PRAGMA data_version" {
		rows.Values[0][0] = rows.Values[0][0].(int64) + c.seen
	}
	return rows, err
}

func TestSnapshotIsTakenAgainAfterAnotherWriter(t *testing.T) {
	x, p := retyping(t)
	snapshot := filepath.Join(t.TempDir(), "one.db")
	if err := x.runWith(p, snapshot, func(c database.Conn) database.Conn { return &restless{Conn: c, times: 2} }); err != nil {
		t.Fatal(err)
	}
	copied := &tenant{t: t}
	copied.place, copied.name = databasetest.Around(snapshot)
	if got, want := copied.query("SELECT id FROM account ORDER BY id"), "a\nb\nlate1\nlate2"; got != want {
		t.Errorf("got the rows %q, want %q", got, want)
	}
	onlyFile(t, snapshot)
}

func TestSnapshotOfARestlessDatabaseIsGivenUp(t *testing.T) {
	x, p := retyping(t)
	snapshot := filepath.Join(t.TempDir(), "one.db")
	err := x.runWith(p, snapshot, func(c database.Conn) database.Conn { return &restless{Conn: c, times: 100} })
	if !errors.Is(err, apply.ErrSnapshot) || !errors.Is(err, apply.ErrRestless) {
		t.Errorf("got %v, want ErrSnapshot and ErrRestless", err)
	}
	nothingIn(t, filepath.Dir(snapshot))
	if got := x.query("SELECT typeof(size) FROM account WHERE id = 'a'"); got != "text" {
		t.Errorf("got a size of type %q: something was run", got)
	}
}

// failing is a connection whose statement of a number fails.
type failing struct {
	database.Conn
	left int
}

var errInjected = errors.New("injected")

func (c *failing) fails() bool { c.left--; return c.left == 0 }

func (c *failing) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if sql != "ROLLBACK" && c.fails() {
		return 0, errInjected
	}
	return c.Conn.Exec(ctx, sql, args...)
}

func (c *failing) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	if c.fails() {
		return database.Rows{}, errInjected
	}
	return c.Conn.Query(ctx, sql, args...)
}

// Whatever statement fails, a deployment that changed nothing leaves no copy
// behind, and one that committed has one.
func TestSnapshotGoesWithItsDeployment(t *testing.T) {
	x, p := retyping(t)
	before := x.dump()
	committed := false
	for n := 1; !committed; n++ {
		snapshot := filepath.Join(t.TempDir(), "one.db")
		err := x.runWith(p, snapshot, func(c database.Conn) database.Conn { return &failing{Conn: c, left: n} })
		if err != nil && !errors.Is(err, errInjected) {
			t.Fatalf("statement %d: %v", n, err)
		}
		if committed = x.dump() != before; committed {
			onlyFile(t, snapshot)
		} else {
			nothingIn(t, filepath.Dir(snapshot))
		}
		if n > 200 {
			t.Fatal("it never commits")
		}
	}
}

func TestSnapshotThatCannotBeWritten(t *testing.T) {
	x, p := retyping(t)
	before := x.dump()
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := x.runWith(p, filepath.Join(taken, "one.db"), func(c database.Conn) database.Conn { return c })
	if !errors.Is(err, apply.ErrSnapshot) {
		t.Errorf("got %v, want ErrSnapshot", err)
	}
	if x.dump() != before {
		t.Error("something was run without a snapshot")
	}
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v and error %v, want nothing left behind", left, err)
	}
}

func onlyFile(t *testing.T, path string) {
	t.Helper()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 || left[0].Name() != filepath.Base(path) {
		t.Errorf("got %v and error %v, want %s alone", left, err, filepath.Base(path))
	}
}

package apply_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/plan"
	"github.com/tenantops/reconciler/schema"
)

// everywhere makes every fault strike at every call, in both kinds of journal.
var everywhere = os.Getenv("FAULT_ALL") != ""

// For each kind of plan, each fault and each statement of the deployment at
// which it strikes: the database is to the byte what it was, or, from COMMIT
// on, what the deployment makes of it, and nothing in between. The same
// deployment then leads to what it would have led to without the fault.
func TestFaults(t *testing.T) {
	tries := &tally{}
	for i, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			for _, wal := range []bool{true, false} {
				if !everywhere && wal != (i%2 == 0) {
					continue
				}
				x := newTrial(t, s, wal)
				for _, f := range faults {
					x.strike(f, tries)
				}
				x.fill(tries)
				x.kill(tries)
			}
		})
	}
	t.Logf("%d kinds of plan\n%s", len(stories), tries)
}

// tally counts tries by fault and by what it left behind.
type tally struct {
	mu    sync.Mutex
	tries map[string]map[outcome]int
}

func (c *tally) add(name string, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tries == nil {
		c.tries = map[string]map[outcome]int{}
	}
	if c.tries[name] == nil {
		c.tries[name] = map[outcome]int{}
	}
	c.tries[name][o]++
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	names := []string{}
	for _, f := range faults {
		names = append(names, f.name)
	}
	for _, f := range networkFaults {
		names = append(names, f.name)
	}
	for _, name := range append(names, "disk full", "killed", "killed during COMMIT", "file system full", "directory turns read-only", killedOnServer) {
		if n := c.tries[name]; n != nil {
			fmt.Fprintf(&b, "%-46s %6d tries  %6d rolled back  %6d committed  %d lost\n",
				name, n[kept]+n[committed]+n[lost], n[kept], n[committed], n[lost])
		}
	}
	return b.String()
}

// outcome is what a fault left behind.
type outcome int

const (
	lost outcome = iota // anything but the following
	kept
	committed
)

// trial is one story in one kind of file, with what a deployment that nothing
// happens to makes of it.
type trial struct {
	t             *testing.T
	story         story
	wal           bool
	start         string              // file; empty when there is none
	server        *databasetest.Place // where the start is instead of in a file, nil for a file
	plan          *plan.Plan
	calls         []string // of the deployment
	before, after string   // dumps
	dir           string   // of the tenants' files
	tries         *databasetest.Tries
}

func newTrial(t *testing.T, s story, wal bool) *trial {
	t.Helper()
	x := &trial{t: t, story: s, wal: wal, dir: t.TempDir(), tries: databasetest.NewTries(t, databasetest.File)}
	tenant := s.start(t, databasetest.File)
	if !s.fresh {
		x.start = tenant.place.Path(tenant.name)
		// No free page is left, so that a full disk is felt soon.
		tenant.exec("VACUUM", "PRAGMA journal_mode = "+map[bool]string{true: "wal", false: "delete"}[wal])
	}
	x.undisturbed()
	return x
}

// undisturbed finds out what a deployment that nothing happens to leads to.
func (x *trial) undisturbed() {
	x.t.Helper()
	conn := x.open(x.file())
	var err error
	if x.plan, err = x.story.plan(x.t, conn); err != nil {
		x.t.Fatal(err)
	}
	x.before = x.dump(conn)
	clean := count(conn)
	if err := x.deploy(clean); err != nil {
		x.t.Fatal(err)
	}
	x.calls, x.after = clean.calls, x.dump(conn)
	if x.after == x.before {
		x.t.Fatal("the deployment changes nothing")
	}
	x.nothingLeft(conn)
	x.close(conn)
}

// file makes the tenant's database anew and returns its file, or the directory
// that knows where it is on a server.
func (x *trial) file() string {
	x.t.Helper()
	if x.server != nil {
		return x.server.Copy(x.t).Dir
	}
	path := filepath.Join(x.dir, "tenant"+rand.Text()+".db")
	copyFile(x.t, x.start, path)
	return path
}

func (x *trial) open(path string) database.Conn {
	x.t.Helper()
	if x.server != nil {
		return x.through(path, x.server.Address())
	}
	conn, err := libsql.Open(x.t.Context(), path, libsql.Options{Create: true, WAL: x.wal, Synchronous: quick})
	if err != nil {
		x.t.Fatal(err)
	}
	return conn
}

// disturbed opens a database as faults meet it.
func (x *trial) disturbed(path string) (database.Conn, error) {
	if x.server != nil {
		return x.open(path), nil
	}
	return disturbed(x.t.Context(), path, x.wal)
}

func (x *trial) close(conn database.Conn) {
	x.t.Helper()
	if err := conn.Close(); err != nil {
		x.t.Fatal(err)
	}
}

// deploy runs the deployment of the story.
func (x *trial) deploy(conn *counted) error {
	ctx := x.t.Context()
	d, err := deployment(ctx, conn.Conn, x.story.back)
	if conn.ctx != nil {
		ctx = conn.ctx
	}
	if err == nil {
		_, err = apply.Run(ctx, conn, x.plan, d)
	}
	return err
}

// strike tries one fault at its calls.
func (x *trial) strike(f fault, tries *tally) {
	x.t.Helper()
	at := f.at
	if at == nil && x.server != nil {
		at = (*trial).key
	}
	for n := range x.calls {
		if at != nil && !slices.Contains(at(x), n) && (!everywhere || len(at(x)) == 1) {
			continue
		}
		x.try(f.name, fmt.Sprintf("call %d, %.60q", n, x.calls[n]), tries, func(x *trial, path string) error {
			conn, err := x.disturbed(path)
			if err != nil {
				return err
			}
			c := count(conn)
			f.set(x.t, c, path, n)
			err = x.deploy(c)
			return errors.Join(err, c.Close())
		})
	}
}

// fill tries a database that may not grow by more than so many pages, until
// it is enough.
func (x *trial) fill(tries *tally) {
	x.t.Helper()
	for pages, step := 0, 1; ; pages += step {
		enough := false
		x.try("disk full", fmt.Sprintf("%d pages left", pages), tries, func(x *trial, path string) error {
			conn, err := disturbed(x.t.Context(), path, x.wal)
			if err != nil {
				return err
			}
			defer conn.Close()
			size, err := conn.Query(x.t.Context(), "PRAGMA page_count")
			if err == nil {
				most := max(size.Values[0][0].(int64)+int64(pages), 1)
				_, err = conn.Query(x.t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", most))
			}
			if err != nil {
				return err
			}
			err = x.deploy(count(conn))
			if enough = err == nil; !enough && !errors.Is(err, database.ErrFull) {
				x.t.Errorf("%d pages left: got %v, want ErrFull", pages, err)
			}
			return err
		})
		if enough {
			return
		}
		if !everywhere && pages >= 16 {
			step = pages
		}
	}
}

// try lets a deployment meet a fault, as a test of its own.
func (x *trial) try(name, where string, tries *tally, meet func(x *trial, path string) error) {
	x.t.Helper()
	if x.wal {
		where += ", write-ahead log"
	}
	x.tries.Run(name+", "+where, func(t *testing.T) {
		one := *x
		one.t = t
		path := one.file()
		tries.add(name, one.leaves(path, meet(&one, path), strings.HasPrefix(name, "killed")))
	})
}

// leaves looks at what is left of a deployment that gave err, and deploys once
// more.
func (x *trial) leaves(path string, err error, killed bool) outcome {
	x.t.Helper()
	conn := x.open(path)
	defer x.close(conn)
	found := x.dump(conn)
	if killed && !errors.Is(err, errUnknown) {
		x.t.Error(err)
	}
	switch {
	case found == x.before:
		if err == nil {
			x.t.Error("the deployment gave no error, and did nothing")
		}
		if err := x.deploy(count(conn)); err != nil {
			x.t.Errorf("the next deployment: %v", err)
		} else if got := x.dump(conn); masked(got) != masked(x.after) {
			x.t.Errorf("the next deployment made\n%s\nwant\n%s", got, x.after)
		}
		return kept
	case masked(found) == masked(x.after):
		if err != nil && !errors.Is(err, errUnknown) && !x.atCommit(err) {
			x.t.Errorf("the deployment committed and gave %v", err)
		}
		if err := x.deploy(count(conn)); !errors.Is(err, apply.ErrStale) {
			x.t.Errorf("the plan ran twice: %v", err)
		}
		if again := x.dump(conn); again != found {
			x.t.Errorf("a second run changed the database to\n%s", again)
		}
		return committed
	}
	x.t.Errorf("the deployment gave %v and left\n%s\nwant\n%s", err, found, x.before)
	return lost
}

// errUnknown is the error of a process that was killed.
var errUnknown = errors.New("killed")

// atCommit tells an error from which nobody can know whether it committed.
func (x *trial) atCommit(err error) bool { return strings.HasPrefix(err.Error(), "commit: ") }

// nothingLeft makes sure that planning again finds nothing to do.
func (x *trial) nothingLeft(conn database.Conn) {
	x.t.Helper()
	s := x.story
	s.purge = false
	again, err := s.plan(x.t, conn)
	if err != nil {
		x.t.Fatal(err)
	}
	if !again.Empty() && (s.back == 0 || len(again.Migration.Statements) > 0) {
		x.t.Fatalf("a second plan is not empty: %+v", again)
	}
}

// stamp is a time at which this test may be running.
var stamp = regexp.MustCompile(`20[2-9]\d-\d\d-\d\d[ T][\d:.]+Z?`)

func masked(dump string) string { return stamp.ReplaceAllString(dump, "now") }

// dump is everything that a database holds: schema, every value as SQL and
// every rowid, counters of AUTOINCREMENT included, and what the engine says of
// it all.
func (x *trial) dump(conn database.Conn) string {
	x.t.Helper()
	text, err := dump(x.t.Context(), conn)
	if err != nil {
		x.t.Fatal(err)
	}
	return text
}

func dump(ctx context.Context, conn database.Conn) (string, error) {
	tables, err := conn.Query(ctx, `SELECT name, wr, (SELECT group_concat('quote(' || '"' || c.name || '")', ', ') FROM pragma_table_xinfo(t.name) AS c)
 FROM pragma_table_list AS t WHERE schema = 'main' AND type = 'table' AND name <> 'sqlite_schema' ORDER BY name`)
	if err != nil {
		return "", err
	}
	queries := []string{"SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"}
	for _, t := range tables.Values {
		order := "rowid, "
		if t[1] != int64(0) {
			order = ""
		}
		queries = append(queries, fmt.Sprintf("SELECT %s%s FROM %s ORDER BY 1", order, t[2], schema.Quote(t[0].(string))))
	}
	queries = append(queries, "PRAGMA foreign_key_check")
	if !database.Remote(conn) {
		queries = append(queries, "PRAGMA integrity_check") // servers refuse it
	}
	steps := make([]database.Step, len(queries))
	for i, sql := range queries {
		steps[i].SQL = sql
	}
	results, err := conn.Batch(ctx, steps)
	var b strings.Builder
	for i, result := range results {
		err = errors.Join(err, result.Err)
		fmt.Fprintln(&b, "--", queries[i])
		for _, row := range result.Rows.Values {
			fmt.Fprintln(&b, row...)
		}
	}
	return b.String(), err
}

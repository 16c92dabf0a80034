package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/schema"
	"github.com/tenantops/reconciler/state"
)

var (
	number  = field{"type": "number"}
	stamped = field{"type": "datetime", "required": true, "defaultValue": "NOW()"}
)

// largeTask is a tenant whose table is too large for one transaction.
func largeTask(t testing.TB, rows int) *tenantFiles {
	t.Helper()
	x := newTenants(t)
	x.pipeline(t)
	if result := x.deploy(t, compiled(t, withTask(field{"title": text, "code": text}))); result.Err != nil {
		t.Fatal(result.Err)
	}
	x.on(t, func(conn database.Conn) error {
		taskWriter(conn, rows).Load(t)
		return nil
	})
	return x
}

// slice deploys for so long that one batch is done.
func (x *tenantFiles) slice(t testing.TB, fields field) deploy.Result {
	t.Helper()
	return x.sliceOf(t, compiled(t, withTask(fields)), 6*time.Millisecond)
}

func (x *tenantFiles) sliceOf(t testing.TB, d *bundle.Desired, maxLock time.Duration) deploy.Result {
	t.Helper()
	r := verifyRequest(d, false)
	r.MaxLock.File, r.Slice = maxLock, 1
	var result deploy.Result
	x.on(t, func(conn database.Conn) error {
		result = x.deployer().Deploy(t.Context(), conn, r)
		return nil
	})
	return result
}

// finish deploys until the backfill is done.
func (x *tenantFiles) finish(t testing.TB, fields field) deploy.Result {
	t.Helper()
	for range 100 {
		if result := x.slice(t, fields); result.Action != deploy.Backfill {
			return result
		}
	}
	t.Fatal("the backfill does not end")
	return deploy.Result{}
}

// kinds are the words of the tenant's events, oldest first.
func (x *tenantFiles) kinds(t testing.TB) string {
	t.Helper()
	events, err := x.store.Events(t.Context(), state.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range slices.Backward(events) {
		kinds = append(kinds, e.Kind)
	}
	return strings.Join(kinds, " ")
}

// schemaText is what anybody sees of the schema, and whether a fill is there.
func (x *tenantFiles) schemaText(t testing.TB) (seen schema.Master) {
	t.Helper()
	x.on(t, func(conn database.Conn) (err error) {
		seen, err = schema.ReadMaster(t.Context(), conn)
		return err
	})
	return seen
}

func backfilling(t testing.TB, result deploy.Result) {
	t.Helper()
	if result.Action != deploy.Backfill || result.Reason != reason.Backfilling || result.Err != nil || result.Changed || result.DeploymentID != "" {
		t.Fatalf("got %+v", result.Assessment)
	}
}

// A column changes its type and another comes that every row needs: batch after
// batch, and nobody sees anything of it until all is there.
func TestBackfill(t *testing.T) {
	x := largeTask(t, 4000)
	wanted := field{"title": text, "code": number, "seen": stamped}
	before := x.schemaText(t)
	backfilling(t, x.slice(t, wanted))
	if now := x.schemaText(t); !now.Filling || now.Fingerprint() != before.Fingerprint() {
		t.Errorf("the schema differs while a fill is under way: %v", now)
	}
	if got := len(x.values(t, "_reconciler_journal", "plan")); got != 1 {
		t.Errorf("the journal has %d rows", got)
	}
	x.exec(t, "UPDATE task SET code = '777' WHERE id = 't1'")
	x.exec(t, "DELETE FROM task WHERE id = 't2'")
	x.exec(t, "INSERT INTO task (id, code) VALUES ('new', '5')")
	x.exec(t, "REPLACE INTO task (id, code) VALUES ('t3', '6')")
	x.exec(t, "VACUUM")
	result := x.finish(t, wanted)
	if result.Err != nil || !result.Changed {
		t.Fatalf("got %+v", result.Assessment)
	}
	if got := x.query(t, "SELECT group_concat(id || ' ' || code) FROM (SELECT * FROM task ORDER BY id) WHERE id IN ('t1', 't2', 't3', 't10', 'new')"); got[0] != "new 5.0,t1 777.0,t10 10.0,t3 6.0" {
		t.Errorf("got %s", got)
	}
	for _, wrong := range []string{"code IS NOT CAST(_retired_1_code AS REAL)", "seen IS NULL", "code <> '' AND typeof(code) <> 'real'"} {
		if got := x.query(t, "SELECT id FROM task WHERE "+wrong); len(got) > 0 {
			t.Errorf("%d rows have %s", len(got), wrong)
		}
	}
	if after := x.schemaText(t); after.Filling || after.Fingerprint() != result.Fingerprint {
		t.Errorf("got %+v, want %s", after, result.Fingerprint)
	}
	if got := x.kinds(t); got != "deployed backfill_begun deployed" {
		t.Errorf("got events %s", got)
	}
	again := x.slice(t, wanted)
	if again.Action != deploy.None || len(again.Differences) > 0 {
		t.Errorf("afterwards: got %+v", again.Assessment)
	}
	if back := x.rollbackTo(t, ""); back.Err != nil || !back.Changed {
		t.Fatalf("back: got %+v", back.Assessment)
	}
	if got := x.query(t, "SELECT group_concat(id || ' ' || code) FROM (SELECT * FROM task ORDER BY id) WHERE id IN ('t1', 't3', 't10', 'new')"); got[0] != "new 5,t1 777,t10 10,t3 6" {
		t.Errorf("after going back: got %s", got)
	}
}

// What is taken back, or changed, in the middle of it.
func TestBackfillThatNobodyWants(t *testing.T) {
	was := field{"title": text, "code": text}
	wanted := field{"title": text, "code": number}
	for name, c := range map[string]struct {
		then   field
		events string
		action deploy.Action
	}{
		"reverted":       {was, "deployed backfill_begun backfill_dropped", deploy.None},
		"without it":     {field{"title": text, "code": text, "due": text}, "deployed backfill_begun backfill_dropped deployed", deploy.Update},
		"with more":      {field{"title": text, "code": number, "due": text}, "deployed backfill_begun", deploy.Backfill},
		"with other":     {field{"title": text, "code": field{"type": "boolean"}}, "deployed backfill_begun backfill_dropped backfill_begun", deploy.Backfill},
		"with two fills": {field{"title": text, "code": number, "seen": stamped}, "deployed backfill_begun backfill_dropped backfill_begun", deploy.Backfill},
		"field removed":  {field{"title": text}, "deployed backfill_begun backfill_dropped deployed", deploy.Update},
	} {
		t.Run(name, func(t *testing.T) {
			x := largeTask(t, 4000)
			x.exec(t, "UPDATE task SET code = 1")
			before := x.schemaText(t)
			backfilling(t, x.slice(t, wanted))
			result := x.slice(t, c.then)
			if result.Action != c.action || result.Err != nil {
				t.Errorf("got %+v", result.Assessment)
			}
			if got := x.kinds(t); got != c.events {
				t.Errorf("got events %s", got)
			}
			switch after := x.schemaText(t); {
			case c.action == deploy.None && (after.Filling || after.Fingerprint() != before.Fingerprint()):
				t.Errorf("something is left: %v", after)
			case c.action == deploy.Update && after.Filling:
				t.Errorf("something is left: %v", after)
			}
			if c.action == deploy.None {
				if got := x.query(t, "SELECT name FROM sqlite_master WHERE sql LIKE '%_reconciler_fill%' OR sql LIKE '%_reconciler_stale%'"); len(got) > 0 {
					t.Errorf("left: %s", got)
				}
			}
			if result := x.finish(t, c.then); result.Err != nil {
				t.Errorf("got %+v", result.Assessment)
			}
		})
	}
}

// A column that would take too long to drop stays when nobody wants it any more.
// Nobody sees it, a fill that needs it takes it, and it goes when there is time.
func TestBackfillLeavesAColumn(t *testing.T) {
	x := largeTask(t, 4000)
	was, wanted := compiled(t, withTask(field{"title": text, "code": text})), compiled(t, withTask(field{"title": text, "code": number}))
	before := x.schemaText(t)
	hidden := "SELECT name FROM pragma_table_info('task') WHERE name LIKE '_reconciler_fill%'"
	for range 2 {
		backfilling(t, x.sliceOf(t, wanted, 3*time.Millisecond))
		if result := x.sliceOf(t, was, 3*time.Millisecond); result.Action != deploy.None || result.Err != nil {
			t.Fatalf("got %+v", result.Assessment)
		}
		if after := x.schemaText(t); after.Fingerprint() != before.Fingerprint() || len(x.query(t, hidden)) != 1 {
			t.Fatalf("got %v", after)
		}
		x.exec(t, "UPDATE task SET code = 3 WHERE id < 't3'")
	}
	x.exec(t, "ALTER TABLE task ADD COLUMN theirs")
	if result := x.sliceOf(t, wanted, 3*time.Millisecond); result.Reason != "GuardFailed" || !strings.Contains(result.Message, "somebody has added a column") {
		t.Errorf("got %+v", result.Assessment)
	}
	x.exec(t, "ALTER TABLE task DROP COLUMN theirs")
	other := compiled(t, withTask(field{"title": text, "code": field{"type": "boolean"}}))
	for _, d := range []*bundle.Desired{wanted, other} {
		backfilling(t, x.sliceOf(t, d, 3*time.Millisecond))
	}
	if result := x.sliceOf(t, was, time.Second); result.Action != deploy.None || len(x.query(t, hidden)) != 0 {
		t.Errorf("got %+v", result.Assessment)
	}
	backfilling(t, x.sliceOf(t, wanted, 3*time.Millisecond))
	if result := x.finish(t, field{"title": text, "code": number}); !result.Changed {
		t.Errorf("got %+v", result.Assessment)
	}
	if got := x.query(t, "SELECT id FROM task WHERE code IS NOT CAST(_retired_1_code AS REAL)"); len(got) > 0 {
		t.Errorf("out of step: %s", got)
	}
}

// A value that cannot be carried over comes in the middle: it is named, the
// application keeps everything, and once it is corrected the rest follows.
func TestBackfillOverADamagedValue(t *testing.T) {
	for name, write := range map[string]string{
		"ahead":   "UPDATE task SET code = 'many' WHERE id = 't3500'",
		"behind":  "UPDATE task SET code = 'many' WHERE id = 't100'",
		"one new": "INSERT INTO task (id, code) VALUES ('t9', 'many') ON CONFLICT DO UPDATE SET code = 'many'",
	} {
		t.Run(name, func(t *testing.T) {
			x := largeTask(t, 4000)
			wanted := field{"title": text, "code": number}
			backfilling(t, x.slice(t, wanted))
			x.exec(t, write)
			result := x.finish(t, wanted)
			if result.Reason != "PreCheckFailed" || len(result.Message) == 0 || !strings.Contains(result.Message, "(1 row)") {
				t.Fatalf("got %+v", result.Assessment)
			}
			var detailed interface{ Detail() string }
			if !errors.As(result.Err, &detailed) || !strings.Contains(detailed.Detail(), ": t") {
				t.Errorf("got %v", result.Err)
			}
			if got := x.query(t, "SELECT count(*) FROM task WHERE code = 'many'"); got[0] != "1" {
				t.Errorf("got %s", got)
			}
			x.exec(t, "UPDATE task SET code = '8' WHERE code = 'many'")
			if result := x.finish(t, wanted); result.Err != nil || !result.Changed {
				t.Errorf("corrected: got %+v", result.Assessment)
			}
			if got := x.query(t, "SELECT id FROM task WHERE code IS NOT CAST(_retired_1_code AS REAL)"); len(got) > 0 {
				t.Errorf("out of step: %s", got)
			}
		})
	}
}

// What somebody does to the table in the middle of it.
func TestBackfillWithDrift(t *testing.T) {
	for name, change := range map[string][]string{
		"a column":           {"ALTER TABLE task ADD COLUMN theirs TEXT DEFAULT 'x'"},
		"an index":           {"CREATE INDEX theirs ON task (title)"},
		"a trigger":          {"CREATE TABLE log (id)", "CREATE TRIGGER theirs AFTER UPDATE ON task BEGIN INSERT INTO log VALUES (new.id); END"},
		"a view":             {"CREATE VIEW theirs AS SELECT id, code FROM task"},
		"our triggers go":    {"DROP TRIGGER fill_insert", "INSERT INTO task (id, code) VALUES ('unseen', '3')"},
		"our column goes":    {"DROP TRIGGER fill_insert", "DROP TRIGGER fill_update", "ALTER TABLE task DROP COLUMN fill_code"},
		"our tables go":      {"DROP TABLE _reconciler_fill"},
		"the list is lost":   {"UPDATE task SET code = 3 WHERE id = 't5'", "DELETE FROM _reconciler_stale"},
		"rows are numbered":  {"UPDATE task SET rowid = -rowid"},
		"the table is moved": {"ALTER TABLE task RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO task"},
	} {
		t.Run(name, func(t *testing.T) {
			x := largeTask(t, 4000)
			wanted := field{"title": text, "code": number}
			backfilling(t, x.slice(t, wanted))
			for _, sql := range change {
				for _, event := range []string{"insert", "update"} {
					if strings.HasSuffix(sql, "fill_"+event) {
						sql = "DROP TRIGGER " + x.query(t, "SELECT name FROM sqlite_master WHERE name LIKE '_reconciler_fill_%_"+event+"'")[0]
					}
				}
				if strings.HasSuffix(sql, "fill_code") {
					sql = "ALTER TABLE task DROP COLUMN " + x.query(t, "SELECT name FROM pragma_table_info('task') WHERE name LIKE '_reconciler_fill_%_code'")[0]
				}
				x.exec(t, sql)
			}
			if result := x.finish(t, wanted); result.Err != nil || !result.Changed {
				t.Fatalf("got %+v", result.Assessment)
			}
			if got := x.query(t, "SELECT id FROM task WHERE code IS NOT CAST(_retired_1_code AS REAL)"); len(got) > 0 {
				t.Errorf("out of step: %s", got)
			}
			if got := x.query(t, "SELECT count(*) FROM log"); name == "a trigger" && got[0] != "0" {
				t.Errorf("their trigger saw %s conversions", got)
			}
			if name := x.query(t, "SELECT count(*) FROM sqlite_master WHERE name = 'theirs'"); strings.HasPrefix(change[0], "CREATE") && name[0] != "1" {
				t.Error("what is theirs is gone")
			}
		})
	}
}

// What cannot be done in batches, and a table too large even for that.
func TestTooLarge(t *testing.T) {
	x := largeTask(t, 4000)
	indexed := compiled(t, withTask(field{"title": field{"type": "text", "index": true}, "code": text}))
	if result := x.sliceOf(t, indexed, time.Millisecond); result.Reason != "TooLarge" || !strings.Contains(result.Message, "add index idx_task_title on task") {
		t.Errorf("an index: got %+v", result.Assessment)
	}
	required := compiled(t, withTask(field{"title": text, "code": field{"type": "text", "required": true, "defaultValue": "x"}}))
	if result := x.sliceOf(t, required, 3*time.Millisecond); result.Reason != "TooLarge" || !strings.Contains(result.Message, "code") {
		t.Errorf("NOT NULL: got %+v", result.Assessment)
	}
	retyped := compiled(t, withTask(field{"title": text, "code": number}))
	if result := x.sliceOf(t, retyped, time.Millisecond); result.Reason != "TooLarge" || !strings.Contains(result.Message, "maxLock is 1ms") {
		t.Errorf("too many rows: got %+v", result.Assessment)
	}
	if x.schemaText(t).Filling {
		t.Error("something was begun")
	}
	if result := x.finish(t, field{"title": text, "code": number}); result.Err != nil {
		t.Fatal(result.Err)
	}
	timed := compiled(t, withTask(field{"title": text, "code": stamped}))
	if result := x.sliceOf(t, timed, 3*time.Millisecond); result.Reason != "TooLarge" || !strings.Contains(result.Message, "code") {
		t.Errorf("another type, and a default that is an expression: got %+v", result.Assessment)
	}
}

// backfillChild, when set, makes this test binary deploy to a directory until
// somebody kills it.
const backfillChild = "BACKFILL_CHILD"

func TestBackfillInChild(t *testing.T) {
	dir := os.Getenv(backfillChild)
	if dir == "" {
		return // only the child has something to do
	}
	x := &tenantFiles{Place: databasetest.In(t, dir)}
	x.pipeline(t)
	r := verifyRequest(compiled(t, withTask(field{"title": text, "code": number})), false)
	lock, err := strconv.Atoi(os.Getenv("BACKFILL_LOCK_MS"))
	if err != nil {
		t.Fatal(err)
	}
	r.MaxLock.File = time.Duration(lock) * time.Millisecond
	x.on(t, func(conn database.Conn) error { return x.deployer().Deploy(t.Context(), conn, r).Err })
}

// A process that fills is killed, again and again, while an application
// writes: what the application wrote is what it reads at the end, converted, and
// it never waited for long. BACKFILL_ROWS=2000000 is a table of some size.
func TestBackfillKilled(t *testing.T) {
	rows := 20_000
	if text := os.Getenv("BACKFILL_ROWS"); text != "" {
		rows, _ = strconv.Atoi(text)
	}
	x := largeTask(t, rows)
	if err := x.store.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := libsql.Open(t.Context(), x.Path("acme"), libsql.Options{Shared: true, BusyTimeout: time.Minute, Synchronous: "NORMAL"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	look, err := libsql.Open(t.Context(), x.Path("acme"), libsql.Options{Shared: true, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	app := taskWriter(conn, rows)
	app.Pause = time.Millisecond
	stop := app.Start(t.Context())
	kills := 0
	for reached := int64(0); ; {
		child := exec.Command(os.Args[0], "-test.run=^TestBackfillInChild$")
		child.Env = append(os.Environ(), backfillChild+"="+x.Dir, fmt.Sprint("BACKFILL_LOCK_MS=", rows*9/10000+5))
		var out strings.Builder
		child.Stdout, child.Stderr = &out, &out
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		var err error
		if kills < 5 && databasetest.FilledTo(t, look, reached+int64(rows/8), ended) {
			kills++
			reached += int64(rows / 8)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				break // it had come to its end before
			}
			continue
		}
		if err = <-ended; err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		break
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, %d kills, %d writes meanwhile, the longest took %v", rows, kills, app.Writes, app.Longest)
	app.Compare(t)
	if kills < 3 {
		t.Errorf("it was killed %d times", kills)
	}
	if app.Longest > 5*time.Second {
		t.Errorf("the application waited for %v", app.Longest)
	}
	var journal []apply.Entry
	x.on(t, func(conn database.Conn) (err error) {
		journal, err = apply.Journal(t.Context(), conn)
		return err
	})
	if len(journal) != 2 || x.schemaText(t).Filling {
		t.Errorf("got %d deployments", len(journal))
	}
}

// taskWriter is an application that writes to tasks.
func taskWriter(conn database.Conn, rows int) *databasetest.Writer {
	return &databasetest.Writer{Conn: conn, Table: "task", Text: "title", Value: "code", Rows: rows}
}

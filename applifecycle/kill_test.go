package applifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
)

// dieIn, when set, makes this test binary take one step of a story and die in
// it: the child process of TestKilledAtEveryStep.
const dieIn = "APPLIFECYCLE_DIE_IN"

// steps are the life of an app. Each can be taken again once it was cut short.
var steps = []struct {
	name string
	run  func(x *tenants) error
}{
	{"install", func(x *tenants) error {
		return refused(x.service.InstallApp(x.t.Context(), "acme", crmNow, map[string]any{"currency": "EUR"}))
	}},
	{"upgrade", func(x *tenants) error { return refused(x.service.UpgradeApp(x.t.Context(), "acme", crmNext)) }},
	{"uninstall", func(x *tenants) error {
		_, err := x.service.UninstallApp(x.t.Context(), "acme", "crm", false)
		return err
	}},
	{"drop", func(x *tenants) error {
		_, err := x.service.UninstallApp(x.t.Context(), "acme", "crm", true)
		return err
	}},
}

var crmNow, crmNext = seededApp("1.0.0", "account"), seededApp("1.1.0", "account", "contact")

// seededApp is an app that needs another and brings a record.
func seededApp(version string, objects ...string) protocol.AppManifest {
	a := app("crm", version, objects...)
	a.Dependencies = []string{"base"}
	a.SeedData = []map[string]any{{"object": "account", "externalId": "name", "records": []any{map[string]any{"name": "seeded " + version}}}}
	return a
}

func refused(result protocol.AppInstallResult, err error) error {
	if err == nil && !result.Success {
		err = errors.New(result.Error)
	}
	return err
}

func storyIn(t testing.TB, place *databasetest.Place) *tenants {
	x := openTenants(t, place)
	x.publish(app("base", "1.0.0", "setting"), "name")
	x.publish(crmNow, "name")
	x.publish(crmNext, "name", "phone")
	return x
}

// watched tells of each call on a connection before it is made.
type watched struct {
	database.Conn
	before func(sql string)
}

func (w watched) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	w.before(sql)
	return w.Conn.Exec(ctx, sql, args...)
}

func (w watched) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	w.before(sql)
	return w.Conn.Query(ctx, sql, args...)
}

// Batch tells of the call, and again when the answer is there and nobody has
// seen it yet.
func (w watched) Batch(ctx context.Context, steps []database.Step) ([]database.StepResult, error) {
	w.before("batch to " + steps[max(0, len(steps)-2)].SQL)
	results, err := w.Conn.Batch(ctx, steps)
	w.before("answer to " + steps[max(0, len(steps)-2)].SQL)
	return results, err
}

func (w watched) Remote() bool { return database.Remote(w.Conn) }

func (w watched) Close() error {
	w.before("close")
	return w.Conn.Close()
}

// The process is killed at a call of each step, at every one with FAULT_ALL.
// The step is taken again, and then the tenant is what it would have been: no
// row is missing, nothing is there twice, and nothing is left over.
func TestKilledAtEveryStep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, kind databasetest.Kind) {
		before, tried, many := databasetest.New(t, kind), 0, databasetest.NewTries(t, kind)
		for i, step := range steps {
			clean := before.Copy(t)
			want, calls := undisturbed(t, clean, i)
			commit := slices.IndexFunc(calls, func(sql string) bool { return strings.HasSuffix(sql, "COMMIT") })
			if commit < 0 {
				t.Fatalf("%s: nothing was committed", step.name)
			}
			for n := range calls {
				if os.Getenv("FAULT_ALL") == "" && !chosen(kind, n, commit) {
					continue
				}
				tried++
				many.Run(fmt.Sprintf("%s killed at call %d, %.60q", step.name, n, calls[n]), func(t *testing.T) {
					place := before.Copy(t)
					die(t, place.Dir, i, n)
					if got := complete(t, place, i); got != want {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
				})
			}
			many.Wait()
			before = clean
		}
		t.Logf("%d processes were killed", tried)
	}, databasetest.File, databasetest.Server)
}

// chosen tells that a process is killed at a call where not all are tried. What is
// killed in a transaction leaves its lock on a server, and the next one waits for
// seconds until the server takes it away.
func chosen(kind databasetest.Kind, call, commit int) bool {
	if kind == databasetest.Server {
		return call == commit || call == commit+1
	}
	return call >= commit-2 && call <= commit+2 || call%6 == 0
}

// undisturbed takes a step that nothing happens to, and returns the story then
// and the calls.
func undisturbed(t *testing.T, place *databasetest.Place, step int) (string, []string) {
	t.Helper()
	var calls []string
	x := storyIn(t, place)
	x.wrap = func(conn database.Conn) database.Conn {
		return watched{conn, func(sql string) { calls = append(calls, sql) }}
	}
	if err := steps[step].run(x); err != nil {
		t.Fatalf("%s: %v", steps[step].name, err)
	}
	x.wrap = nil
	return x.end(step), calls
}

// complete takes a step once more after a process was killed in it.
func complete(t *testing.T, place *databasetest.Place, step int) string {
	t.Helper()
	x := storyIn(t, place)
	if err := steps[step].run(x); err != nil {
		t.Errorf("the next try: %v", err)
	}
	return x.end(step)
}

// end is the story after a step. After the first one somebody inserts a row.
func (x *tenants) end(step int) string {
	x.t.Helper()
	if step == 0 {
		x.insert("account", "mine")
	}
	story := x.story()
	if err := x.store.Close(); err != nil {
		x.t.Fatal(err)
	}
	return story
}

// story is the tenant and its history as text, without ids and times.
func (x *tenants) story() string {
	x.t.Helper()
	var b strings.Builder
	for _, sql := range []string{
		"SELECT type || name || ifnull(sql, '') FROM sqlite_master ORDER BY type, name",
		"SELECT key || value FROM _reconciler_meta ORDER BY key",
		"SELECT type || name || metadata FROM sys_metadata ORDER BY type, name",
		"SELECT plan || bundle FROM _reconciler_journal ORDER BY seq",
		"SELECT name FROM account ORDER BY name", "SELECT name FROM contact", "SELECT name FROM _retired_1_account ORDER BY name",
	} {
		fmt.Fprintln(&b, strings.Join(x.query(sql), "\n"))
	}
	history, err := x.store.Deployments(x.t.Context(), "acme", 0)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, d := range slices.Backward(history) {
		if d.Status == protocol.DeployReady {
			fmt.Fprintln(&b, d.PlanDigest)
		}
	}
	return b.String()
}

// die takes a step in a child process that is killed at a call.
func die(t *testing.T, dir string, step, call int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestDieInChild$")
	child.Env = append(os.Environ(), dieIn+"="+dir, fmt.Sprint("APPLIFECYCLE_STEP=", step), fmt.Sprint("APPLIFECYCLE_CALL=", call))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
}

func TestDieInChild(t *testing.T) {
	dir := os.Getenv(dieIn)
	if dir == "" {
		return // only the child has something to do
	}
	step, err := strconv.Atoi(os.Getenv("APPLIFECYCLE_STEP"))
	call, callErr := strconv.Atoi(os.Getenv("APPLIFECYCLE_CALL"))
	self, selfErr := os.FindProcess(os.Getpid())
	if err := errors.Join(err, callErr, selfErr); err != nil {
		t.Fatal(err)
	}
	x := storyIn(t, databasetest.In(t, dir))
	n := 0
	x.wrap = func(conn database.Conn) database.Conn {
		return watched{conn, func(string) {
			if n == call {
				if err := self.Kill(); err != nil {
					t.Error(err)
				}
				wait() // this thread may run on for a moment
			}
			n++
		}}
	}
	t.Fatalf("the process lives on: %v", steps[step].run(x))
}

// wait ends with the process: there is no condition but the signal, which is
// on its way, and the time only bounds a test that is broken.
func wait() { time.Sleep(10 * time.Second) }

func TestMain(m *testing.M) { sqldtest.Main(m) }

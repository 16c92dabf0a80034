package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/plan"
)

// killedAt, when set, makes this test binary run one deployment and die in it:
// the child process of TestFaults.
const killedAt = "APPLY_KILLED_AT"

// killing is what the child does.
type killing struct {
	Path string // of the database, or of the directory that knows it on a server
	// Address of the server. There the process is killed from outside, and Call does not count.
	Address string
	WAL     bool
	Plan    string // path of a file
	Back    int
	Call    int // before which the process dies
	// Later is how long it lives on after that. The call begins meanwhile.
	Later time.Duration
}

func TestKilledInChild(t *testing.T) {
	text := os.Getenv(killedAt)
	if text == "" {
		return // only the child has something to do
	}
	var k killing
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(k.Plan)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := k.open(t)
	if err != nil {
		t.Fatal(err)
	}
	d, err := deployment(t.Context(), conn, k.Back)
	if err != nil {
		t.Fatal(err)
	}
	if k.Later > 0 { // waiting for the disk leaves more to interrupt
		if _, err := conn.Query(t.Context(), "PRAGMA synchronous = FULL"); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dying := count(conn)
	dying.before = func(n int) error {
		switch {
		case k.Address != "":
		case n == k.Call && k.Later > 0:
			time.AfterFunc(k.Later, func() { _ = self.Kill() }) // it ends without, and is found alive
		case n == k.Call:
			if err := self.Kill(); err != nil {
				return err
			}
			wait() // this thread may run on for a moment
		}
		return nil
	}
	if _, err = apply.Run(t.Context(), dying, p, d); err == nil {
		wait() // it was done sooner
	}
	t.Fatalf("the process lives on: %v", err)
}

func (k killing) open(t *testing.T) (database.Conn, error) {
	if k.Address != "" {
		return databasetest.In(t, k.Path).Through(t.Context(), "tenant", k.Address)
	}
	return disturbed(t.Context(), k.Path, k.WAL)
}

// wait ends with the process: there is no condition but the signal, which is
// on its way, and the time only bounds a test that is broken.
func wait() { time.Sleep(10 * time.Second) }

// kill tries a process that is killed.
func (x *trial) kill(tries *tally) {
	x.t.Helper()
	file := filepath.Join(x.t.TempDir(), "plan.json")
	body, err := x.plan.Encode()
	if err := errors.Join(err, os.WriteFile(file, body, 0o600)); err != nil {
		x.t.Fatal(err)
	}
	k := killing{WAL: x.wal, Plan: file, Back: x.story.back}
	for k.Call = range x.calls {
		if everywhere || slices.Contains(x.key(), k.Call) {
			x.try("killed", fmt.Sprintf("call %d, %.60q", k.Call, x.calls[k.Call]), tries, k.start)
		}
	}
	k.Call = x.index("COMMIT")
	step := 500 * time.Microsecond
	if everywhere {
		step /= 5
	}
	for k.Later = step / 5; k.Later < 1100*time.Microsecond; k.Later += step {
		x.try("killed during COMMIT", fmt.Sprint("after ", k.Later), tries, k.start)
	}
}

// start lets a child be killed in a deployment to a file.
func (k killing) start(_ *trial, path string) error {
	k.Path = path
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	child := exec.Command(os.Args[0], "-test.run=^TestKilledInChild$")
	child.Env = append(os.Environ(), killedAt+"="+string(text))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		return fmt.Errorf("the child was not killed: %w\n%s", err, out)
	}
	return errUnknown
}

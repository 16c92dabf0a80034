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

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/plan"
)

// killedAt, when set, makes this test binary run one deployment and die in it:
// the child process of TestFaults.
const killedAt = "APPLY_KILLED_AT"

// killing is what the child does.
type killing struct {
	Path string // of the database
	WAL  bool
	Plan string // path of a file
	Back int
	Call int // before which the process dies
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
	conn, err := disturbed(t.Context(), k.Path, k.WAL)
	if err != nil {
		t.Fatal(err)
	}
	d, err := deployment(t.Context(), conn, k.Back)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dying := &counted{Conn: conn, before: func(n int) error {
		if n == k.Call {
			if err := self.Kill(); err != nil {
				return err
			}
			select {} // this thread may run on for a moment
		}
		return nil
	}}
	_, err = apply.Run(t.Context(), dying, p, d)
	t.Fatalf("the process lives on: %v", err)
}

// kill tries a process that is killed.
func (x *trial) kill(count tally) {
	x.t.Helper()
	file := filepath.Join(x.t.TempDir(), "plan.json")
	body, err := x.plan.Encode()
	if err := errors.Join(err, os.WriteFile(file, body, 0o600)); err != nil {
		x.t.Fatal(err)
	}
	for n := range x.calls {
		if !everywhere && !slices.Contains(x.key(), n) {
			continue
		}
		x.try("killed", fmt.Sprintf("call %d, %.60q", n, x.calls[n]), count, func(path string) error {
			text, err := json.Marshal(killing{Path: path, WAL: x.wal, Plan: file, Back: x.story.back, Call: n})
			if err != nil {
				return err
			}
			child := exec.Command(os.Args[0], "-test.run=^TestKilledInChild$")
			child.Env = append(os.Environ(), killedAt+"="+string(text))
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Exited() {
				x.t.Errorf("call %d: the child was not killed: %v\n%s", n, err, out)
			}
			return errUnknown
		})
	}
}

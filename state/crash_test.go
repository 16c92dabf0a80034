package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// children are what this test binary does when it is run as a second process.
var children = map[string]func(ctx context.Context, path string) error{
	"write": writeForever,
	"read":  readAlong,
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "STATE_TEST_CHILD="+role, "STATE_TEST_PATH="+path)
	c.Stderr = os.Stderr
	return c
}

// What a process wrote before it was killed is there, each call whole.
func TestKilledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	for _, lines := range []int{1, 3, 20, 100, 300} {
		heard := killAfter(t, child(t, "write", path), lines)
		conn := connect(t, path)
		if got := ask(t, conn, "PRAGMA integrity_check"); got != "ok" {
			t.Fatalf("integrity check: %v", got)
		}
		must(t, conn.Close())
		checkWritten(t, path, heard)
	}
}

// killAfter starts a writer, kills it when it has said so many lines, and
// returns the last number that it said.
func killAfter(t *testing.T, c *exec.Cmd, lines int) int {
	t.Helper()
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	said := bufio.NewScanner(out)
	for range lines {
		if !said.Scan() {
			t.Fatal("the writer ended by itself")
		}
	}
	must(t, c.Process.Kill())
	last := said.Text()
	for said.Scan() {
		last = said.Text()
	}
	_ = c.Wait() // killed, as asked
	heard, err := strconv.Atoi(last)
	must(t, err)
	return heard
}

// writeForever saves what belongs to each number, beginning after the last
// that is finished in the store, and says it when all of it is saved.
func writeForever(ctx context.Context, path string) error {
	s, err := state.Open(ctx, path, state.Options{})
	if err != nil {
		return err
	}
	past, err := s.Deployments(ctx, "acme", 0)
	if err != nil {
		return err
	}
	interrupted, err := s.Unfinished(ctx)
	if err != nil {
		return err
	}
	for n := len(past) - len(interrupted); ; n++ {
		message := strconv.Itoa(n)
		for _, save := range []func() error{
			func() error { return s.SaveDeployment(ctx, deployment("acme", n, protocol.DeployMigrating)) },
			func() error { return s.SaveObserved(ctx, observation("acme", message), observation("globex", message)) },
			func() error { return s.SaveDeployment(ctx, deployment("acme", n, protocol.DeployReady)) },
		} {
			if err := save(); err != nil {
				return err
			}
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

func checkWritten(t *testing.T, path string, heard int) {
	t.Helper()
	s := open(t, path)
	list, err := s.Deployments(t.Context(), "acme", 0)
	must(t, err)
	if len(list) < heard+1 {
		t.Errorf("got %d deployments, %d were acknowledged", len(list), heard+1)
	}
	for i, d := range list {
		n := len(list) - 1 - i
		if want := deployment("acme", n, protocol.DeployReady); d.ID != want.ID {
			t.Fatalf("deployment %d: got id %s, want %s", n, d.ID, want.ID)
		}
		if n <= heard && d.Status != protocol.DeployReady {
			t.Errorf("deployment %d was acknowledged and is %s", n, d.Status)
		}
	}
	checkPair(t.Context(), s, heard, t.Errorf)
	must(t, s.Close())
}

// checkPair checks that the two rows that are saved together are of one
// moment, not before the number given, and returns which.
func checkPair(ctx context.Context, s *state.Store, least int, errorf func(string, ...any)) int {
	observed, err := s.Observed(ctx)
	if err != nil {
		errorf("%v", err)
		return least
	}
	a, b := observed["acme"].Message, observed["globex"].Message
	n, err := strconv.Atoi(a)
	if a != b || err != nil || n < least {
		errorf("observed %q and %q, want one number from %d on", a, b, least)
	}
	return n
}

// A process reads while another writes.
func TestReaderInAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	save := func(n int) {
		message := strconv.Itoa(n)
		must(t, s.SaveObserved(t.Context(), observation("acme", message), observation("globex", message)))
	}
	save(0)
	reader := child(t, "read", path)
	must(t, reader.Start())
	done := make(chan error, 1)
	go func() { done <- reader.Wait() }()
	for n := 1; ; n++ {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
			save(n)
		}
	}
}

// readAlong reads until it has seen the writer move on.
func readAlong(ctx context.Context, path string) error {
	s, err := state.Open(ctx, path, state.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	var wrong error
	errorf := func(format string, args ...any) { wrong = fmt.Errorf(format, args...) }
	first := checkPair(ctx, s, 0, errorf)
	for n := first; n < first+100 && wrong == nil; {
		n = checkPair(ctx, s, n, errorf)
	}
	return errors.Join(wrong, s.Close())
}

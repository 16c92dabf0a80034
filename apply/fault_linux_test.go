package apply_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
)

// changed, when set, tells a test that it is the child which its name asked
// for, and may change its process.
const changed = "APPLY_CHANGED_CHILD"

// inChild runs this test once more in a child that becomes what the options
// say, and tells whether this process is that child. What the child counted is
// logged.
func inChild(t *testing.T, attributes *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(changed) == t.Name() {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), changed+"="+t.Name())
	child.SysProcAttr = attributes
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("in a child: %v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, " tries ") || strings.Contains(line, "SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
	return false
}

// some are the stories that write most, unless all are asked for.
func some() []story {
	var chosen []story
	for _, s := range stories {
		if everywhere || s.name == "create" || s.name == "rebuild" || s.name == "all at once" {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// A file system without room, as opposed to a file that may not grow: the
// journal and the log do not fit either.
func TestFaultsOnAFullFileSystem(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root mounts a file system")
	}
	if !inChild(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := t.TempDir()
	private := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err := errors.Join(private, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m")); err != nil {
		t.Skipf("mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	tries := &tally{}
	for _, s := range some() {
		for _, wal := range []bool{true, false} {
			x := newTrial(t, s, wal)
			x.dir = dir
			for kib := 0; !x.inSpace(kib, tries); kib += 4 {
			}
		}
	}
	t.Logf("\n%s", tries)
}

// inSpace tries with so much room beside the tenant's file, and tells whether
// it was enough.
func (x *trial) inSpace(kib int, tries *tally) (enough bool) {
	x.t.Helper()
	filler := filepath.Join(x.dir, "filler")
	x.try("file system full", fmt.Sprintf("%d KiB left", kib), tries, func(x *trial, path string) error {
		var free syscall.Statfs_t
		if err := syscall.Statfs(x.dir, &free); err != nil {
			return err
		}
		size := int(free.Bavail)*int(free.Bsize) - kib<<10
		if err := os.WriteFile(filler, bytes.Repeat([]byte{1}, size), 0o600); err != nil {
			return err
		}
		conn, err := disturbed(x.t.Context(), path, x.wal)
		if err == nil {
			err = errors.Join(x.deploy(count(conn)), conn.Close())
		}
		if enough = err == nil; !enough && !errors.Is(err, database.ErrFull) {
			x.t.Errorf("%d KiB left: got %v, want ErrFull", kib, err)
		}
		return errors.Join(err, os.Remove(filler))
	})
	entries, err := os.ReadDir(x.dir)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(x.dir, e.Name())))
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return enough
}

// The directory loses the right to be written while a deployment runs: a
// journal can be neither made in it nor taken away.
func TestFaultsInADirectoryThatTurnsReadOnly(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	const nobody = 65534
	if os.Getuid() == 0 { // for whom permissions do not hold
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			t.Fatal(err)
		}
	}
	tries := &tally{}
	for _, s := range some() {
		for _, wal := range []bool{true, false} {
			x := newTrial(t, s, wal)
			x.dir = t.TempDir()
			for n := range x.calls {
				x.try("directory turns read-only", fmt.Sprintf("call %d, %.60q", n, x.calls[n]), tries, func(x *trial, path string) error {
					conn, err := disturbed(x.t.Context(), path, wal)
					if err != nil {
						return err
					}
					c := count(conn)
					c.before = func(i int) error {
						if i != n {
							return nil
						}
						return errors.Join(os.Chmod(path, 0o444), os.Chmod(x.dir, 0o555))
					}
					err = x.deploy(c)
					err = errors.Join(err, conn.Close())
					return errors.Join(err, os.Chmod(x.dir, 0o755), os.Chmod(path, 0o644))
				})
			}
		}
	}
	t.Logf("\n%s", tries)
}

package libsql_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

const nobody = 65534

// asNobody gives root away, for which permissions would not hold.
func asNobody(t *testing.T) {
	if os.Getuid() != 0 {
		return
	}
	if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		t.Fatal(err)
	}
}

func TestPermission(t *testing.T) {
	if !inChild(t, nil, asNobody) {
		return
	}
	path := file(t)
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE t (a)")
	closed(t, c)
	mode := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	denied := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, database.ErrPermission) {
			t.Errorf("%s: got %v, want ErrPermission", what, err)
		}
	}

	mode(path, 0o444)
	_, err := libsql.Open(t.Context(), path, libsql.Options{})
	denied("writing a file that may only be read", err)
	c = open(t, path, libsql.Options{ReadOnly: true})
	answers(t, c, "SELECT * FROM t")
	closed(t, c)

	mode(path, 0)
	_, err = libsql.Open(t.Context(), path, libsql.Options{ReadOnly: true})
	denied("reading a file that may not be read", err)

	mode(path, 0o644)
	mode(filepath.Dir(path), 0o555)
	_, err = libsql.Open(t.Context(), path+".new", created)
	denied("creating a file in a directory that may only be read", err)
	c = open(t, path, libsql.Options{})
	_, err = c.Exec(t.Context(), "INSERT INTO t VALUES (1)")
	denied("creating a journal in such a directory", err)
	closed(t, c)

	mode(filepath.Dir(path), 0)
	_, err = libsql.Open(t.Context(), path, libsql.Options{})
	denied("looking into a directory that may not be searched", err)
	mode(filepath.Dir(path), 0o755)
}

// TestFileSystems needs the right to mount: it fills a real file system and
// writes to one that is read-only.
func TestFileSystems(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root mounts a file system")
	}
	if !inChild(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}, func(*testing.T) {}) {
		return
	}
	dir := t.TempDir()
	private := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err := errors.Join(private, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")); err != nil {
		t.Skipf("mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	// The one with a WAL is last: it cannot empty its WAL into a full disk, and
	// leaves no room for another.
	for _, name := range slices.Sorted(maps.Keys(journals)) {
		wal, path := journals[name], filepath.Join(dir, name)
		c := open(t, path, libsql.Options{Create: true, WAL: wal})
		exec1(t, c, "CREATE TABLE t (a)")
		if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (randomblob(2000000))"); !errors.Is(err, database.ErrFull) {
			t.Errorf("%s: got %v, want ErrFull", name, err)
		}
		answers(t, c, "SELECT count(*) FROM t", []any{int64(0)})
		closed(t, c)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"with a journal", "new"} {
		if _, err := libsql.Open(t.Context(), filepath.Join(dir, name), created); !errors.Is(err, database.ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", name, err)
		}
	}
}

// TestCopyToAFullDisk needs the right to mount, as TestFileSystems does.
func TestCopyToAFullDisk(t *testing.T) {
	if !inChild(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}, func(*testing.T) {}) {
		return
	}
	dir := t.TempDir()
	private := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err := errors.Join(private, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")); err != nil {
		t.Skipf("mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	c := open(t, file(t), created)
	exec1(t, c, "CREATE TABLE t (a)")
	exec1(t, c, "INSERT INTO t VALUES (randomblob(2000000))")
	if err := libsql.Copy(t.Context(), c, filepath.Join(dir, "copy"), 0o600); !errors.Is(err, database.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v and error %v, want nothing left behind", left, err)
	}
	answers(t, c, "SELECT length(a) FROM t", []any{int64(2000000)})
}

// TestFileSizeLimit is a full disk to which the system gives another number.
func TestFileSizeLimit(t *testing.T) {
	limit := func(t *testing.T) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}); err != nil {
			t.Fatal(err)
		}
	}
	if !inChild(t, nil, limit) {
		return
	}
	c := open(t, file(t), created)
	exec1(t, c, "CREATE TABLE t (a)")
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (randomblob(200000))"); !errors.Is(err, database.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	answers(t, c, "SELECT count(*) FROM t", []any{int64(0)})
}

package libsql_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{
		"plain.db", "with space.db", "h#ash.db", "what?.db", "100%25.db", "a&b=c;d.db", "größe-日本.db",
		"quote's\".db", "back\\slash.db", "file:odd.db", ":memory:", "new\nline.db",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			c := open(t, name, created)
			exec1(t, c, "CREATE TABLE t (a)")
			closed(t, c)
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != 1 || entries[0].Name() != name {
				t.Errorf("the directory holds %v, want %q alone", entries, name)
			}
			answers(t, open(t, filepath.Join(dir, name), libsql.Options{}), "SELECT name FROM sqlite_master", []any{"t"})
		})
	}
}

func TestOpenMissing(t *testing.T) {
	path := file(t)
	for _, o := range []libsql.Options{{}, {ReadOnly: true}, {WAL: true}} {
		if _, err := libsql.Open(t.Context(), path, o); !errors.Is(err, database.ErrMissing) {
			t.Errorf("with %+v: got %v, want ErrMissing", o, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("with %+v: the file was created", o)
		}
	}
	in := filepath.Join(path, "deeper.db")
	if _, err := libsql.Open(t.Context(), in, created); !errors.Is(err, database.ErrMissing) {
		t.Errorf("in a missing directory: got %v, want ErrMissing", err)
	}
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	if _, err := libsql.Open(t.Context(), path, created); !errors.Is(err, database.ErrMissing) {
		t.Errorf("through a link to nothing: got %v, want ErrMissing", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := file(t)
	tests := map[string]struct {
		path string
		o    libsql.Options
		says string
	}{
		"a directory":          {path: filepath.Dir(path), says: "it is a directory"},
		"a device":             {path: os.DevNull, says: "it is a special file"},
		"to create read-only":  {path: path, o: libsql.Options{Create: true, ReadOnly: true}, says: "read-only"},
		"an unknown mode":      {path: path, o: libsql.Options{Create: true, Synchronous: "full"}, says: `synchronous "full"`},
		"too short a timeout":  {path: path, o: libsql.Options{Create: true, BusyTimeout: time.Microsecond}, says: "below a millisecond"},
		"an impossible length": {path: filepath.Dir(path) + "/" + strings.Repeat("a", 300), o: created, says: "name too long"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := libsql.Open(t.Context(), test.path, test.o)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "open database") {
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Error("the file was created")
			}
		})
	}
}

func TestOpenSetsTheConnectionUp(t *testing.T) {
	path := file(t)
	c := open(t, path, created)
	answers(t, c, "PRAGMA busy_timeout", []any{int64(5000)})
	answers(t, c, "PRAGMA synchronous", []any{int64(2)})
	answers(t, c, "PRAGMA foreign_keys", []any{int64(1)})
	answers(t, c, "PRAGMA journal_mode", []any{"delete"})
	closed(t, c)
	c = open(t, path, libsql.Options{BusyTimeout: 250 * time.Millisecond, Synchronous: "NORMAL"})
	answers(t, c, "PRAGMA busy_timeout", []any{int64(250)})
	answers(t, c, "PRAGMA synchronous", []any{int64(1)})
	answers(t, memory(t), "PRAGMA foreign_keys", []any{int64(1)})
}

func TestWAL(t *testing.T) {
	wal := libsql.Options{Create: true, WAL: true}
	t.Run("a new file gets a log", func(t *testing.T) {
		path := file(t)
		closed(t, open(t, path, wal))
		answers(t, open(t, path, libsql.Options{}), "PRAGMA journal_mode", []any{"wal"})
	})
	t.Run("an empty file is new", func(t *testing.T) {
		path := file(t)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		answers(t, open(t, path, wal), "PRAGMA journal_mode", []any{"wal"})
	})
	t.Run("an existing journal stays", func(t *testing.T) {
		path := file(t)
		c := open(t, path, created)
		exec1(t, c, "CREATE TABLE t (a)")
		closed(t, c)
		answers(t, open(t, path, wal), "PRAGMA journal_mode", []any{"delete"})
	})
	t.Run("the log is gone after the close", func(t *testing.T) {
		path := file(t)
		c := open(t, path, wal)
		exec1(t, c, "CREATE TABLE t (a)")
		closed(t, c)
		for _, suffix := range []string{"-wal", "-shm"} {
			if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there", suffix)
			}
		}
	})
}

func TestReadOnly(t *testing.T) {
	for name, wal := range map[string]bool{"with a journal": false, "with a log": true} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			c := open(t, path, libsql.Options{Create: true, WAL: wal})
			exec1(t, c, "CREATE TABLE t (a)")
			exec1(t, c, "INSERT INTO t VALUES (1)")
			closed(t, c)
			c = open(t, path, libsql.Options{ReadOnly: true})
			answers(t, c, "SELECT a FROM t", []any{int64(1)})
			if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (2)"); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("got %v, want ErrReadOnly", err)
			}
		})
	}
}

// TestOneConnectionAFile opens a file again by each path that leads to it
// while a connection is open.
func TestOneConnectionAFile(t *testing.T) {
	path := file(t)
	dir := filepath.Dir(path)
	c := open(t, path, created)
	exec1(t, c, "CREATE TABLE t (a)")
	paths := map[string]string{
		"its own path":    path,
		"a detour":        filepath.Join(dir, ".", "..", filepath.Base(dir), "tenant.db"),
		"a symbolic link": filepath.Join(dir, "symbolic.db"),
		"a hard link":     filepath.Join(dir, "hard.db"),
	}
	if err := os.Symlink(path, paths["a symbolic link"]); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, paths["a hard link"]); err != nil {
		t.Fatal(err)
	}
	type opened struct {
		conn *libsql.Conn
		err  error
	}
	waiting := make(chan opened)
	for name, other := range paths {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := libsql.Open(ctx, other, libsql.Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want a wait until the deadline", name, err)
		}
		cancel()
		go func() {
			conn, err := libsql.Open(t.Context(), other, libsql.Options{})
			if err == nil {
				_, err = conn.Exec(t.Context(), "INSERT INTO t VALUES (1)")
			}
			waiting <- opened{conn, err}
		}()
	}
	closed(t, c)
	for range paths {
		next := <-waiting // one at a time: the others wait for this one's close
		if next.err != nil {
			t.Fatal(next.err)
		}
		closed(t, next.conn)
	}
	answers(t, open(t, path, libsql.Options{}), "SELECT count(*) FROM t", []any{int64(4)})
}

// Who opens a file twice learns of it, and has done no harm to the first
// connection.
func TestAWaitForOneselfEnds(t *testing.T) {
	path := file(t)
	first := open(t, path, created)
	_, err := libsql.Open(t.Context(), path, libsql.Options{Wait: 20 * time.Millisecond})
	if !errors.Is(err, database.ErrBusy) || !strings.Contains(err.Error(), "another connection of this process") {
		t.Errorf("got %v", err)
	}
	exec1(t, first, "CREATE TABLE t (a)")
	closed(t, first)
	closed(t, open(t, path, libsql.Options{Wait: time.Minute}))
}

func TestAWaitFindsTheFileThatReplacedTheOne(t *testing.T) {
	path := file(t)
	restored := path + ".restored"
	for name, value := range map[string]string{path: "old", restored: "new"} {
		c := open(t, name, created)
		exec1(t, c, "CREATE TABLE t AS SELECT '"+value+"' AS a")
		closed(t, c)
	}
	c := open(t, path, libsql.Options{})
	waiting := make(chan error)
	go func() {
		next, err := libsql.Open(t.Context(), path, libsql.Options{})
		if err == nil {
			rows, queryErr := next.Query(t.Context(), "SELECT a FROM t")
			if queryErr == nil && rows.Values[0][0] != "new" {
				queryErr = errors.New("read the file that is gone")
			}
			err = errors.Join(queryErr, next.Close())
		}
		waiting <- err
	}()
	if err := os.Rename(restored, path); err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}

func TestOpenLooksAtTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := file(t)
	if _, err := libsql.Open(ctx, path, created); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file was created")
	}
}

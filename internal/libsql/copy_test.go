package libsql_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestCopy(t *testing.T) {
	for name, wal := range journals {
		t.Run(name, func(t *testing.T) {
			path, to := file(t), filepath.Join(t.TempDir(), "copy ?#%.db")
			c := open(t, path, libsql.Options{Create: true, WAL: wal})
			exec1(t, c, "CREATE TABLE t (a)")
			exec1(t, c, "INSERT INTO t VALUES ('one'), ('two'), ('2024-01-02')")
			exec1(t, c, "DELETE FROM t WHERE a = 'one'")
			if err := libsql.Copy(t.Context(), c, to, 0o600); err != nil {
				t.Fatal(err)
			}
			exec1(t, c, "DELETE FROM t")
			copied := open(t, to, libsql.Options{ReadOnly: true})
			answers(t, copied, "SELECT rowid, a FROM t", []any{int64(2), "two"}, []any{int64(3), "2024-01-02"})
			if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got %v and error %v, want a file for this user alone", info, err)
			}
			if err := libsql.Copy(t.Context(), c, to, 0o600); !errors.Is(err, fs.ErrExist) {
				t.Errorf("got %v for a file that exists, want fs.ErrExist", err)
			}
			answers(t, copied, "SELECT count(*) FROM t", []any{int64(2)})
		})
	}
}

func TestCopyLeavesNothingBehind(t *testing.T) {
	c, to := open(t, file(t), created), filepath.Join(t.TempDir(), "copy")
	exec1(t, c, "CREATE TABLE t (a)")
	exec1(t, c, "BEGIN")
	if err := libsql.Copy(t.Context(), c, to, 0o600); err == nil {
		t.Error("a copy was made in a transaction")
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) > 0 {
		t.Errorf("got %v and error %v, want nothing left behind", left, err)
	}
	if err := libsql.Copy(t.Context(), c, filepath.Join(t.TempDir(), "nowhere", "copy"), 0o600); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v for a directory that is not there, want ErrMissing", err)
	}
}

// An application that has the database open goes on in the new content.
func TestOverwriteUnderAnApplication(t *testing.T) {
	for name, wal := range journals {
		t.Run(name, func(t *testing.T) {
			path, from := file(t), file(t)
			t.Setenv(holderThen, "INSERT INTO t (a) VALUES ('later')")
			app := startHolder(t, path, wal, "CREATE TABLE t (a, b)", "INSERT INTO t VALUES ('app', zeroblob(100000))")

			source := open(t, from, created)
			exec1(t, source, "CREATE TABLE t (a)")
			exec1(t, source, "INSERT INTO t VALUES ('restored')")
			c := open(t, path, libsql.Options{})
			version := versionOf(t, c)
			if done, err := c.Overwrite(t.Context(), source, version); err != nil || !done {
				t.Fatalf("got %v and error %v, want it done", done, err)
			}
			answers(t, c, "SELECT a FROM t", []any{"restored"})
			mode := "delete"
			if wal {
				mode = "wal"
			}
			answers(t, c, "PRAGMA journal_mode", []any{mode})
			if err := app.end(); err != nil {
				t.Fatal(err)
			}
			answers(t, c, "SELECT * FROM t", []any{"restored"}, []any{"later"})
			answers(t, c, "PRAGMA integrity_check", []any{"ok"})
		})
	}
}

func TestOverwriteChangesNothing(t *testing.T) {
	source := open(t, file(t), created)
	exec1(t, source, "CREATE TABLE other (a)")
	for name, wal := range journals {
		t.Run(name+" when somebody has committed", func(t *testing.T) {
			path := file(t)
			c := open(t, path, libsql.Options{Create: true, WAL: wal})
			exec1(t, c, "CREATE TABLE t (a)")
			version := versionOf(t, c)
			if err := startHolder(t, path, wal, "INSERT INTO t VALUES (1)").end(); err != nil {
				t.Fatal(err)
			}
			if done, err := c.Overwrite(t.Context(), source, version); err != nil || done {
				t.Errorf("got %v and error %v, want it not done", done, err)
			}
			answers(t, c, "SELECT a FROM t", []any{int64(1)})
			if done, err := c.Overwrite(t.Context(), source, versionOf(t, c)); err != nil || !done {
				t.Errorf("got %v and error %v, want it done at the second try", done, err)
			}
		})
		t.Run(name+" while somebody writes", func(t *testing.T) {
			path := file(t)
			app := startHolder(t, path, wal, "CREATE TABLE t (a)", "BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)")
			c := open(t, path, libsql.Options{BusyTimeout: 20 * time.Millisecond})
			if done, err := c.Overwrite(t.Context(), source, versionOf(t, c)); !errors.Is(err, database.ErrBusy) || done {
				t.Errorf("got %v and error %v, want ErrBusy", done, err)
			}
			answers(t, c, "SELECT a FROM t")
			if err := app.end(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func versionOf(t *testing.T, c *libsql.Conn) uint32 {
	t.Helper()
	version, err := c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return version
}

const overwriteFrom = "LIBSQL_OVERWRITE_FROM"

// A process that is killed while it overwrites leaves the one content or the
// other, whole.
func TestKilledOverwrite(t *testing.T) {
	ctx := t.Context()
	if isChild(t) {
		from := open(t, os.Getenv(overwriteFrom), libsql.Options{ReadOnly: true})
		c := open(t, os.Getenv(holderPath+"_OVERWRITTEN"), libsql.Options{})
		if err := os.WriteFile(os.Getenv(overwriteFrom)+".ready", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if done, err := c.Overwrite(ctx, from, versionOf(t, c)); err != nil || !done {
			t.Fatalf("got %v and error %v", done, err)
		}
		return
	}
	const fill = "INSERT INTO t WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT '%s', randomblob(5000) FROM n"
	from := file(t)
	source := open(t, from, created)
	exec1(t, source, "CREATE TABLE t (a, b)")
	exec1(t, source, fmt.Sprintf(fill, 1000, "new"))
	closed(t, source)
	seen := map[string]int{}
	for name, wal := range journals {
		for wait := range 8 {
			path := file(t)
			c := open(t, path, libsql.Options{Create: true, WAL: wal})
			exec1(t, c, "CREATE TABLE t (a, b)")
			exec1(t, c, fmt.Sprintf(fill, 700, "old"))
			closed(t, c)
			_ = os.Remove(from + ".ready")
			process := child(t, overwriteFrom+"="+from, holderPath+"_OVERWRITTEN="+path)
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			for _, err := os.Stat(from + ".ready"); err != nil; _, err = os.Stat(from + ".ready") {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Duration(wait*wait) * 4 * time.Millisecond)
			_ = process.Process.Kill() // it may have ended
			_ = process.Wait()
			c = open(t, path, libsql.Options{})
			answers(t, c, "PRAGMA integrity_check", []any{"ok"})
			got := fmt.Sprint(query(t, c, "SELECT a, count(*) FROM t GROUP BY a"))
			if got != "[[old 700]]" && got != "[[new 1000]]" {
				t.Errorf("%s, after %d: got %s", name, wait, got)
			}
			seen[got]++
			closed(t, c)
		}
	}
	t.Logf("left: %v", seen)
}

// A file that has come to have the name stays.
func TestPlaceNew(t *testing.T) {
	dir := t.TempDir()
	part, to := filepath.Join(dir, "a.part"), filepath.Join(dir, "a")
	for i, want := range []error{nil, fs.ErrExist} {
		if err := os.WriteFile(part, fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := libsql.PlaceNew(part, to); !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
	if got, err := os.ReadFile(to); err != nil || string(got) != "0" {
		t.Errorf("got %q and error %v, want the first content", got, err)
	}
}

// A database that is gone is not made anew beside its log, which would be thrown
// away.
func TestLogOfALostDatabase(t *testing.T) {
	for _, suffix := range []string{"-wal", "-journal"} {
		path := filepath.Join(t.TempDir(), "a.db")
		if err := os.WriteFile(path+suffix, []byte("rows"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := libsql.Open(t.Context(), path, libsql.Options{Create: true}); !errors.Is(err, database.ErrMissing) {
			t.Errorf("got error %v, want ErrMissing", err)
		}
		if got, err := os.ReadFile(path + suffix); err != nil || string(got) != "rows" {
			t.Errorf("got %q and error %v, want the log as it was", got, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want no database", err)
		}
	}
}

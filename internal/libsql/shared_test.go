package libsql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

var shared = libsql.Options{Shared: true}

// Shared connections read at the same time, beside one that is not shared, and
// nothing is lost when they write at the same time.
func TestSharedConnections(t *testing.T) {
	path := file(t)
	owner := open(t, path, libsql.Options{Create: true, WAL: true})
	exec1(t, owner, "CREATE TABLE t (a INTEGER)")
	reader := open(t, path, shared)
	exec1(t, reader, "BEGIN")
	answers(t, reader, "SELECT count(*) FROM t", []any{int64(0)})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			c, err := libsql.Open(context.Background(), path, shared)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for j := range 25 {
				if _, err := c.Exec(context.Background(), fmt.Sprintf("INSERT INTO t VALUES (%d)", i*100+j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	answers(t, reader, "SELECT count(*) FROM t", []any{int64(0)}) // its transaction began before
	exec1(t, reader, "COMMIT")
	for _, c := range []database.Conn{reader, owner} {
		answers(t, c, "SELECT count(DISTINCT a) FROM t", []any{int64(100)})
		answers(t, c, "PRAGMA quick_check", []any{"ok"})
	}
}

func TestSharedConnectionsStayInTheirFile(t *testing.T) {
	path, other := file(t), file(t)
	exec1(t, open(t, path, created), "CREATE TABLE t (a)")
	exec1(t, open(t, other, created), "CREATE TABLE secret (a)")
	c := open(t, path, shared)
	out := filepath.Join(t.TempDir(), "out.db")
	for _, sql := range []string{
		"ATTACH '" + other + "' AS other", "ATTACH 'file:" + other + "' AS other", "ATTACH ':memory:' AS other", "VACUUM INTO '" + out + "'",
	} {
		if _, err := c.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s succeeded", sql)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a copy was written")
	}
}

func TestSharedConnectionMakesNoFile(t *testing.T) {
	path := file(t)
	if _, err := libsql.Open(t.Context(), path, shared); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if _, err := libsql.Open(t.Context(), path, libsql.Options{Shared: true, Create: true}); err == nil {
		t.Error("a shared connection created a file")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there")
	}
}

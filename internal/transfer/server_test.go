package transfer_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/internal/transfer"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// open opens a namespace of its own.
func open(t *testing.T, s *sqldtest.Server, namespace string, most int64) *hrana.Conn {
	t.Helper()
	conn, err := hrana.Open(t.Context(), hrana.Options{URL: s.URL, Host: sqldtest.Host(namespace), MaxResponse: most})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return conn
}

func TestCopyFromAServer(t *testing.T) {
	s := sqldtest.Start(t)
	from := open(t, s, s.Namespace(t), 0)
	fill(t, from)
	wantCopy(t, from)
}

// Rows that do not fit into one answer together are read a few at a time.
func TestCopyOfLargeRows(t *testing.T) {
	s := sqldtest.Start(t)
	from := open(t, s, s.Namespace(t), 4<<20)
	for _, sql := range []string{
		"CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB)",
		"INSERT INTO large WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12) SELECT i, randomblob(500000) FROM n",
	} {
		_, err := from.Exec(t.Context(), sql)
		must(t, err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, transfer.Copy(t.Context(), from, path))
	copied, err := libsql.Open(t.Context(), path, libsql.Options{ReadOnly: true})
	must(t, err)
	defer copied.Close()
	rows, err := copied.Query(t.Context(), "SELECT count(*), sum(length(body)) FROM large")
	must(t, err)
	if got := rows.Values[0]; got[0] != int64(12) || got[1] != int64(12*500000) {
		t.Errorf("got %v, want 12 rows of 500,000 bytes", got)
	}
}

// What somebody writes meanwhile is not in the copy: it is of one moment.
func TestCopyIsOfOneMoment(t *testing.T) {
	s := sqldtest.Start(t)
	namespace := s.Namespace(t)
	from, other := open(t, s, namespace, 0), open(t, s, namespace, 0)
	fill(t, from)
	writing := &writing{Conn: from, write: func(ctx context.Context) error {
		_, err := other.Exec(ctx, "INSERT INTO many VALUES (-1, 'late')")
		return err
	}}
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, transfer.Copy(t.Context(), writing, path))
	if writing.writes.Load() == 0 {
		t.Fatal("nothing was written meanwhile")
	}
	copied, err := libsql.Open(t.Context(), path, libsql.Options{ReadOnly: true})
	must(t, err)
	defer copied.Close()
	rows, err := copied.Query(t.Context(), "SELECT count(*), count(*) FILTER (WHERE b = 'late') FROM many")
	must(t, err)
	if got := rows.Values[0]; got[0] != int64(1501) || got[1] != int64(0) {
		t.Errorf("got %v, want the 1501 rows of before", got)
	}
}

// writing writes past the connection before each page of rows is read.
type writing struct {
	*hrana.Conn
	write  func(context.Context) error
	writes atomic.Int32
}

func (w *writing) Query(ctx context.Context, sql string, args ...any) (database.Rows, error) {
	if strings.Contains(sql, "many") {
		if err := w.write(ctx); err != nil {
			return database.Rows{}, errors.Join(errors.New("the competing writer"), err)
		}
		w.writes.Add(1)
	}
	return w.Conn.Query(ctx, sql, args...)
}

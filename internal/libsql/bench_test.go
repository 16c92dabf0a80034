package libsql_test

import (
	"fmt"
	"testing"

	"github.com/tenantops/reconciler/internal/libsql"
)

// BenchmarkOpen is one look at a tenant of 20 tables and 20 indexes: open, one
// query, close.
func BenchmarkOpen(b *testing.B) {
	for name, wal := range journals {
		b.Run(name, func(b *testing.B) {
			path := file(b)
			c := open(b, path, libsql.Options{Create: true, WAL: wal})
			for i := range 20 {
				exec1(b, c, fmt.Sprintf("CREATE TABLE t%d (id TEXT PRIMARY KEY, a TEXT, b INTEGER)", i))
				exec1(b, c, fmt.Sprintf("CREATE INDEX i%d ON t%d (a)", i, i))
			}
			closed(b, c)
			for b.Loop() {
				c, err := libsql.Open(b.Context(), path, libsql.Options{})
				if err != nil {
					b.Fatal(err)
				}
				query(b, c, "PRAGMA schema_version")
				closed(b, c)
			}
		})
	}
}

// BenchmarkQuery reads 1,000 rows of six values each.
func BenchmarkQuery(b *testing.B) {
	c := memory(b)
	exec1(b, c, "CREATE TABLE t (a, b, c, d, e, f)")
	exec1(b, c, `INSERT INTO t WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		SELECT i, 'some text', i * 1.5, NULL, 'more text', i FROM n`)
	for b.Loop() {
		if rows := query(b, c, "SELECT * FROM t"); len(rows) != 1000 {
			b.Fatal(len(rows))
		}
	}
}

// BenchmarkExec inserts a row of six values.
func BenchmarkExec(b *testing.B) {
	c := memory(b)
	exec1(b, c, "CREATE TABLE t (a, b, c, d, e, f)")
	for b.Loop() {
		exec1(b, c, "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", int64(1), "some text", 1.5, nil, "more text", []byte{1, 2})
	}
}

package databasetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// Writer is an application that writes to a table while that is changed, and
// knows what must be in it. The table has ids, a text and a value.
type Writer struct {
	Conn  database.Conn
	Table string
	Text  string        // column
	Value string        // column
	Rows  int           // that Load puts there
	Pause time.Duration // after each write: an application does something else as well

	Writes  int           // so far
	Longest time.Duration // that one of them has taken

	random *rand.Rand
	want   map[string]any // value by id, of the rows that it has written; nil for one that it deleted
}

// Load fills the table with rows t0, t1 and so on, whose value is the number
// modulo 1,000. Every seventh row has none.
func (w *Writer) Load(t testing.TB) {
	t.Helper()
	const batch = 50_000
	for from := 0; from < w.Rows; from += batch {
		_, err := w.Conn.Exec(t.Context(), fmt.Sprintf(`INSERT INTO %s (id, %s, %s)
 WITH RECURSIVE n (i) AS (VALUES (%d) UNION ALL SELECT i + 1 FROM n WHERE i < %d)
 SELECT 't' || i, 'text ' || i, CASE WHEN i %% 7 THEN i %% 1000 END FROM n`, w.Table, w.Text, w.Value, from, min(w.Rows, from+batch)-1))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Start writes until stop is called, which returns what went wrong. A write
// that meets a lock is said again.
func (w *Writer) Start(ctx context.Context) (stop func() error) {
	w.random, w.want = rand.New(rand.NewPCG(3, 4)), map[string]any{}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.write(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func (w *Writer) write(ctx context.Context) error {
	insert := fmt.Sprintf("INTO %s (id, %s, %s) VALUES (?, 'written', ?)", w.Table, w.Text, w.Value)
	for ctx.Err() == nil {
		id, value := w.id(w.random.IntN(w.Rows*11/10)), int64(w.random.IntN(1000))
		sql, args, now := fmt.Sprintf("INSERT %s ON CONFLICT (id) DO UPDATE SET %[2]s = excluded.%[2]s", insert, w.Value), []any{id, value}, any(value)
		switch w.random.IntN(4) {
		case 0:
			sql, args, now = "DELETE FROM "+w.Table+" WHERE id = ?", []any{id}, nil
		case 1:
			sql = "REPLACE " + insert
		}
		start := time.Now()
		_, err := w.Conn.Exec(context.Background(), sql, args...) // whose end is not in doubt when the test stops it
		for errors.Is(err, database.ErrBusy) {
			_, err = w.Conn.Exec(context.Background(), sql, args...)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		w.Longest = max(w.Longest, time.Since(start))
		w.want[id] = now
		w.Writes++
		if w.Pause > 0 {
			time.Sleep(w.Pause)
		}
	}
	return nil
}

func (w *Writer) id(i int) string { return "t" + strconv.Itoa(i) }

// Compare reads every row: each has the value that it must have, as a number of
// SQLite's type REAL, and none is missing or there too much.
func (w *Writer) Compare(t testing.TB) {
	t.Helper()
	left := make(map[string]bool, w.Rows)
	for i := range w.Rows {
		left[w.id(i)] = true
	}
	for id, value := range w.want {
		left[id] = value != nil
	}
	wrong, lost := 0, 0
	query := fmt.Sprintf("SELECT id, %[1]s, typeof(%[1]s) FROM %[2]s WHERE id > ? ORDER BY id LIMIT 50000", w.Value, w.Table)
	for after := ""; ; {
		rows, err := w.Conn.Query(t.Context(), query, after)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows.Values) == 0 {
			break
		}
		for _, row := range rows.Values {
			after = row[0].(string)
			want := w.value(after)
			if fmt.Sprint(row[1]) != fmt.Sprint(want) || want != nil && row[2] != "real" || !left[after] {
				if wrong++; wrong < 10 {
					t.Errorf("row %s: got %v (%v), want %v", after, row[1], row[2], want)
				}
			}
			delete(left, after)
		}
	}
	for _, there := range left {
		if there {
			lost++
		}
	}
	if wrong > 0 || lost > 0 {
		t.Errorf("%d rows are wrong, %d are not there", wrong, lost)
	}
}

// value is what a row must have.
func (w *Writer) value(id string) any {
	want, written := w.want[id]
	i, err := strconv.Atoi(strings.TrimPrefix(id, "t"))
	if written || err != nil || i%7 == 0 {
		return want
	}
	return int64(i % 1000)
}

// FilledTo waits until a fill of conn's database has come to so many rows. It is
// false when who fills them has ended before.
func FilledTo(t testing.TB, conn database.Conn, rows int64, ended chan error) bool {
	t.Helper()
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-every.C:
		}
		found, err := conn.Query(t.Context(), "SELECT done FROM _reconciler_fill")
		if err == nil && len(found.Values) > 0 && found.Values[0][0].(int64) >= rows {
			return true
		}
	}
}

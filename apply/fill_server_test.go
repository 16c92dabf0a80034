package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/plan"
)

// fillChild, when set, makes this test binary fill the tables of a database on a
// server until somebody kills it.
const fillChild = "APPLY_FILL_CHILD"

// remoteFill is what the child does.
type remoteFill struct{ URL, Host, Plan string }

func (f remoteFill) open(t testing.TB) *hrana.Conn {
	t.Helper()
	conn, err := hrana.Open(t.Context(), hrana.Options{URL: f.URL, Host: f.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestFillInChild(t *testing.T) {
	text := os.Getenv(fillChild)
	if text == "" {
		return // only the child has something to do
	}
	var f remoteFill
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(f.Plan)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := apply.Fill(t.Context(), f.open(t), p.Staged.Fills, apply.Pace{Batch: f.batch(t)})
	if err != nil || !filled.Complete {
		t.Fatalf("got %+v, %v", filled, err)
	}
}

// batch is short where there are few rows, so that there are many batches.
func (remoteFill) batch(t testing.TB) time.Duration {
	return time.Duration(min(200, setting(t, "BACKFILL_ROWS", 20_000)/1000)) * time.Millisecond
}

// A table on a libSQL server, an application that writes to it, and a process
// that fills it and is killed: the rows that were written meanwhile are right,
// and the application never waited for long. BACKFILL_ROWS=2000000 is a table of
// some size.
func TestFillOnAServer(t *testing.T) {
	server := sqldtest.Start(t)
	rows := setting(t, "BACKFILL_ROWS", 20_000)
	at := remoteFill{URL: server.URL, Host: sqldtest.Host(server.Namespace(t)), Plan: filepath.Join(t.TempDir(), "plan.json")}
	conn := at.open(t)
	first, err := planFor(t.Context(), conn, parse(t, `{"task": {"fields": {"title": {"type": "text"}, "code": {"type": "text"}}}}`), false, nil)
	if err == nil {
		_, err = apply.Run(t.Context(), conn, first, apply.Deployment{ID: "first"})
	}
	if err != nil {
		t.Fatal(err)
	}
	conn = at.open(t)
	for from := 0; from < rows; from += 50_000 {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(`INSERT INTO task (id, title, code)
 WITH RECURSIVE n (i) AS (VALUES (%d) UNION ALL SELECT i + 1 FROM n WHERE i < %d)
 SELECT 't' || i, 'title ' || i, CASE WHEN i %% 7 THEN i %% 1000 END FROM n`, from, min(rows, from+50_000)-1))
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := planFor(t.Context(), conn, parse(t, `{"task": {"fields": {"title": {"type": "text"}, "code": {"type": "number"}}}}`), false, nil)
	if err != nil || p.Staged == nil {
		t.Fatalf("got %+v, %v", p, err)
	}
	body, err := p.Encode()
	if err := errors.Join(err, os.WriteFile(at.Plan, body, 0o600)); err != nil {
		t.Fatal(err)
	}
	app := &remoteApplication{conn: at.open(t), rows: rows, want: map[string]any{}, random: rand.New(rand.NewPCG(5, 6))}
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	go func() { wrote <- app.write(ctx) }()
	kills := at.fillThrough(t, rows)
	_, err = apply.Run(t.Context(), at.open(t), p.Swap(), apply.Deployment{ID: "second"})
	stop()
	if err := errors.Join(err, <-wrote); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, %d kills, %d writes meanwhile, the longest took %v", rows, kills, app.writes, app.longest)
	if kills < 2 || app.longest > 5*time.Second {
		t.Errorf("%d kills, the application waited for %v", kills, app.longest)
	}
	app.compare(t, at.open(t))
	if after, err := apply.Read(t.Context(), at.open(t)); err != nil || after.Master.Filling || after.Record.Last.Deployment != "second" {
		t.Errorf("afterwards: got %+v, %v", after, err)
	}
}

// fillThrough lets children fill, kills each when it has come some way, and
// returns how many it has killed.
func (f remoteFill) fillThrough(t *testing.T, rows int) (kills int) {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	look := f.open(t)
	for reached := rows / 6; ; reached += rows / 6 {
		var out strings.Builder
		child := exec.Command(os.Args[0], "-test.run=^TestFillInChild$")
		child.Env = append(os.Environ(), fillChild+"="+string(text))
		child.Stdout, child.Stderr = &out, &out
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		if kills < 4 && filledTo(t, look, int64(reached), ended) {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				return kills // it had come to its end before
			}
			kills++
			continue
		}
		if err := <-ended; err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return kills
	}
}

// filledTo waits until so many rows are filled; false when who fills them has
// ended before.
func filledTo(t *testing.T, look database.Conn, rows int64, ended chan error) bool {
	t.Helper()
	for {
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-time.After(time.Millisecond):
		}
		found, err := look.Query(t.Context(), "SELECT done FROM _reconciler_fill")
		if err == nil && len(found.Values) > 0 && found.Values[0][0].(int64) >= rows {
			return true
		}
	}
}

// remoteApplication writes to a database on a server, and knows what must be in
// it.
type remoteApplication struct {
	conn    database.Conn
	rows    int
	want    map[string]any // code by id, of the rows that it has written; nil for one that it deleted
	random  *rand.Rand
	writes  int
	longest time.Duration
}

func (a *remoteApplication) write(ctx context.Context) error {
	for ctx.Err() == nil {
		id, value := fmt.Sprint("t", a.random.IntN(a.rows*11/10)), int64(a.random.IntN(1000))
		sql, args, now := "INSERT INTO task (id, title, code) VALUES (?, 'written', ?) ON CONFLICT (id) DO UPDATE SET code = excluded.code", []any{id, value}, any(value)
		switch a.random.IntN(4) {
		case 0:
			sql, args, now = "DELETE FROM task WHERE id = ?", []any{id}, nil
		case 1:
			sql = "REPLACE INTO task (id, title, code) VALUES (?, 'written', ?)"
		}
		start := time.Now()
		_, err := a.conn.Exec(context.Background(), sql, args...)
		for errors.Is(err, database.ErrBusy) {
			_, err = a.conn.Exec(context.Background(), sql, args...)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		a.longest = max(a.longest, time.Since(start))
		a.want[id] = now
		a.writes++
	}
	return nil
}

func (a *remoteApplication) compare(t *testing.T, conn database.Conn) {
	t.Helper()
	wrong, found := 0, 0
	check := func(id string, code, kind any) {
		want, written := a.want[id]
		var i int
		if _, err := fmt.Sscanf(id, "t%d", &i); err == nil && !written && i%7 != 0 {
			want = int64(i % 1000)
		}
		if fmt.Sprint(code) != fmt.Sprint(want) || want != nil && kind != "real" {
			if wrong++; wrong < 10 {
				t.Errorf("row %s: got %v (%v), want %v", id, code, kind, want)
			}
		}
		if written {
			found++
		}
	}
	for after := ""; ; {
		rows, err := conn.Query(t.Context(), "SELECT id, code, typeof(code) FROM task WHERE id > ? ORDER BY id LIMIT 50000", after)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows.Values) == 0 {
			break
		}
		for _, row := range rows.Values {
			after = row[0].(string)
			check(after, row[1], row[2])
		}
	}
	alive := 0
	for _, want := range a.want {
		if want != nil {
			alive++
		}
	}
	if wrong > 0 || found != alive {
		t.Errorf("%d rows are wrong; %d written rows are there, want %d", wrong, found, alive)
	}
}

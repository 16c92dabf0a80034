package apply_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/databasetest"
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
	app := &databasetest.Writer{Conn: conn, Table: "task", Text: "title", Value: "code", Rows: rows}
	app.Load(t)
	p, err := planFor(t.Context(), conn, parse(t, `{"task": {"fields": {"title": {"type": "text"}, "code": {"type": "number"}}}}`), false, nil)
	if err != nil || p.Staged == nil {
		t.Fatalf("got %+v, %v", p, err)
	}
	body, err := p.Encode()
	if err := errors.Join(err, os.WriteFile(at.Plan, body, 0o600)); err != nil {
		t.Fatal(err)
	}
	app.Conn = at.open(t)
	stop := app.Start(t.Context())
	kills := at.fillThrough(t, rows)
	_, err = apply.Run(t.Context(), at.open(t), p.Swap(), apply.Deployment{ID: "second"})
	if err := errors.Join(err, stop()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, %d kills, %d writes meanwhile, the longest took %v", rows, kills, app.Writes, app.Longest)
	if kills < 2 || app.Longest > 5*time.Second {
		t.Errorf("%d kills, the application waited for %v", kills, app.Longest)
	}
	app.Conn = at.open(t)
	app.Compare(t)
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
		if kills < 4 && databasetest.FilledTo(t, look, int64(reached), ended) {
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

package database_test

import (
	"context"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
)

// far is a server that has an answer to everything but "none", and counts.
type far struct {
	database.Conn
	queries, batches int
}

func (*far) Remote() bool { return true }

func (f *far) Query(context.Context, string, ...any) (database.Rows, error) {
	f.queries++
	return database.Rows{Columns: []string{"asked alone"}}, nil
}

func (f *far) Batch(_ context.Context, steps []database.Step) ([]database.StepResult, error) {
	f.batches++
	results := make([]database.StepResult, len(steps))
	for i, s := range steps {
		results[i].Rows.Columns = []string{s.SQL}
		if s.SQL == "none" {
			results[i].Err = database.ErrConstraint
		}
	}
	return results, nil
}

func TestAheadAsksOnce(t *testing.T) {
	f := &far{}
	conn := database.Ahead(f, "a", "none", "b")
	for sql, want := range map[string]string{"a": "a", "b": "b", "none": "asked alone", "c": "asked alone"} {
		rows, err := conn.Query(t.Context(), sql)
		if err != nil || rows.Columns[0] != want {
			t.Errorf("%s: got %v %v, want %s", sql, rows.Columns, err, want)
		}
	}
	if f.batches != 1 || f.queries != 2 {
		t.Errorf("%d batches and %d queries, want 1 and 2", f.batches, f.queries)
	}
	if _, err := conn.Batch(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if rows, err := conn.Query(t.Context(), "a"); err != nil || rows.Columns[0] != "asked alone" {
		t.Errorf("after something else was run: %v %v", rows.Columns, err)
	}
	if near := database.Conn(struct{ database.Conn }{}); database.Ahead(near, "a") != near {
		t.Error("a connection to a file is wrapped")
	}
}

package apply_test

import (
	"testing"
	"time"

	"github.com/tenantops/reconciler/apply"
)

// A copy was made when the tenant was in use, or the other way round: what
// counts is whether it is suspended now.
func TestRestoreKeepsTheMark(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	conn := x.open()
	defer conn.Close()
	read := func() apply.Reading {
		t.Helper()
		seen, err := apply.Read(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	active := read()
	if _, err := apply.Suspend(t.Context(), conn, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	suspended := read()
	for _, c := range []struct {
		id       string
		replaced apply.Reading
		want     string
	}{{"r1", active, ""}, {"r2", suspended, "2026-01-02T03:04:05Z"}} {
		if _, err := apply.Restore(t.Context(), conn, apply.Restoration{ID: c.id, Replaced: c.replaced}); err != nil {
			t.Fatal(err)
		}
		if got := read().Record.Suspended; got != c.want {
			t.Errorf("%s: suspended since %q, want %q", c.id, got, c.want)
		}
	}
}

package apply_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestHoldInTheDatabase(t *testing.T) {
	x := newTenant(t)
	x.mustDeploy(account)
	conn := x.open()
	defer conn.Close()
	ctx := t.Context()
	held := func() *apply.Hold {
		t.Helper()
		seen, err := apply.Read(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		h, err := seen.Record.Hold()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if got := held(); got != nil {
		t.Errorf("before: got %+v", got)
	}
	want := &apply.Hold{Owner: "ops", Via: "cli", Reason: "it's \"42\"", SetAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, h := range []*apply.Hold{{Owner: "bo", Until: want.SetAt}, want} {
		if err := apply.SaveHold(ctx, conn, "acme", h); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h, held()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if err := apply.SaveHold(ctx, conn, "globex", nil); !errors.Is(err, apply.ErrOwnedElsewhere) {
		t.Errorf("another tenant's: got %v", err)
	}
	// What a snapshot knew of holds is older than what the database does.
	seen, err := apply.Read(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := apply.SaveHold(ctx, conn, "acme", nil); err != nil || held() != nil {
		t.Errorf("released: got %+v, error %v", held(), err)
	}
	if _, err := apply.Restore(ctx, conn, apply.Restoration{ID: "r1", Replaced: seen}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, held()); diff != "" {
		t.Errorf("restored: -want +got:\n%s", diff)
	}
	empty, err := libsql.OpenMemory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if err := apply.SaveHold(ctx, empty, "acme", want); !errors.Is(err, apply.ErrUnknownDatabase) {
		t.Errorf("without a journal: got %v", err)
	}
}

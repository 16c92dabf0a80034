package state_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/state"
)

// Rows that another process has written are seen, although those of this one
// are held in memory, and so is a row that was forgotten.
func TestObservedElsewhere(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "state.db")
	s, err := state.Open(ctx, path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	row := state.Observed{Tenant: "acme", Sync: state.Synced, Health: state.Healthy, Plan: "free", ObservedAt: time.Now()}
	check := func(plan string) {
		t.Helper()
		all, err := s.Observed(ctx)
		if err != nil || all["acme"].Plan != plan {
			t.Errorf("got %+v, %v, want plan %q", all, err, plan)
		}
		all["acme"] = state.Observed{} // the map is the caller's
	}
	if err := s.SaveFleet(ctx, "one", row); err != nil {
		t.Fatal(err)
	}
	check("free")
	other, err := libsql.Open(ctx, path, libsql.Options{Shared: true}) // as if another process had it
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec(ctx, "UPDATE observed SET plan = 'pro'"); err != nil {
		t.Fatal(err)
	}
	check("pro")
	row.Plan = "enterprise"
	if err := s.SaveObserved(ctx, row); err != nil {
		t.Fatal(err)
	}
	check("enterprise")
	before, err := s.Seen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	row.Plan = "free"
	if err := s.SaveFleet(ctx, "two", row, state.Observed{Tenant: "globex", Sync: state.Synced, Health: state.Healthy}); err != nil {
		t.Fatal(err)
	}
	check("free")
	if old, _ := before.Of("acme"); old.Plan != "enterprise" || before.Len() != 1 {
		t.Errorf("what was seen before has changed: %+v of %d", old, before.Len())
	}
	if err := s.ForgetTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	check("")
}

package reconcile_test

import (
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// The answer to a COMMIT was lost: history has the deployment as failed, and
// the tenant as one of which nothing is known, with the id of that attempt.
// The journal knows better.
func TestCommittedDeploymentIsNotLeftFailed(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.sync()
	store, err := state.Open(t.Context(), filepath.Join(w.data, "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	history, err := store.Deployments(t.Context(), "acme", 0)
	if err != nil || len(history) != 1 {
		t.Fatalf("got %d deployments, error %v", len(history), err)
	}
	seen, _, err := store.ObservedOf(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	history[0].Status, seen.Sync, seen.Health, seen.BundleDigest = protocol.DeployFailed, state.Unknown, state.Degraded, ""
	if err := store.SaveDeployment(t.Context(), history[0]); err != nil {
		t.Fatal(err)
	}
	if err := store.SaveObserved(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	w.sync()
	if got := rowsOf(t, filepath.Join(w.data, "state.db"), "SELECT status, count(*) FROM deployments GROUP BY status"); got != "ready 1" {
		t.Errorf("got deployments %q, want the one, ready", got)
	}
}

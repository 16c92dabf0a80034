package deploy_test

import (
	"testing"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/deploy"
)

// A restore is no rollback: what a rebuilt state holds back for a rolled back
// tenant is not held back for one whose journal ends with a restore.
func TestRestoreLeavesNothingBehind(t *testing.T) {
	journal := []apply.Entry{{Deployment: "a", Bundle: "1"}, {Deployment: "b", Bundle: "2"}, {Deployment: "c", Bundle: "1", BackTo: "a"}}
	if got := deploy.LeftBehind(journal); len(got) != 1 || got[0] != "2" {
		t.Errorf("got %q for a rollback, want the bundle that it left", got)
	}
	journal[2].BackTo = "snapshot:b"
	if got := deploy.LeftBehind(journal); got != nil {
		t.Errorf("got %q for a restore, want nothing", got)
	}
}

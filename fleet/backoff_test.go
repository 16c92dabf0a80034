package fleet_test

import (
	"testing"
	"time"

	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/state"
)

func TestDelay(t *testing.T) {
	for _, c := range []struct {
		reason   string
		failures int
		jitter   float64
		want     time.Duration
	}{
		{"Missing", 1, 0, 5 * time.Second},
		{"Busy", 2, 0, 10 * time.Second},
		{"PreCheckFailed", 4, 0.5, 44 * time.Second},
		{"Missing", 8, 0, 10 * time.Minute},
		{"Missing", 1 << 30, 0, 10 * time.Minute},
		{"Missing", 0, 0, 5 * time.Second},
		{"AwaitingApproval", 1, 0, time.Hour},
		{"InvalidBundle", 9, 0.5, 66 * time.Minute},
	} {
		if got := fleet.Delay(fleet.DispositionOf(c.reason), c.failures, c.jitter); got != c.want {
			t.Errorf("%s for the %dth time: got %s, want %s", c.reason, c.failures, got, c.want)
		}
	}
}

func TestProgressOf(t *testing.T) {
	for _, c := range []struct {
		name string
		row  state.Observed
		want fleet.Progress
	}{
		{"never seen", state.Observed{}, fleet.Pending},
		{"applied", state.Observed{Health: state.Healthy, Target: "v2", Tried: "v2"}, fleet.Reached},
		{"an older one applied", state.Observed{Health: state.Healthy, Target: "v1", Tried: "v1", BundleDigest: "b1"}, fleet.Pending},
		{"failed", state.Observed{Health: state.Degraded, Target: "v1", Tried: "v2"}, fleet.Failed},
		{"failed with another one", state.Observed{Health: state.Degraded, Target: "v1", Tried: "v1"}, fleet.Pending},
		{"failed after it was reached", state.Observed{Health: state.Missing, Target: "v2", Tried: "v2"}, fleet.Failed},
		{"interrupted", state.Observed{Health: state.Progressing, Reason: "Interrupted", Target: "v1", Tried: "v2"}, fleet.Pending},
		{"interrupted after it was reached", state.Observed{Health: state.Progressing, Reason: "Interrupted", Target: "v2", Tried: "v2"}, fleet.Reached},
		{"blocked", state.Observed{Health: state.Blocked, Reason: "PreCheckFailed", Tried: "v2"}, fleet.Blocked},
		{"not approved", state.Observed{Health: state.Blocked, Reason: "AwaitingApproval", Tried: "v2"}, fleet.Unapproved},
		{"waiting after it failed", state.Observed{Health: state.Progressing, Target: "v1", Tried: "v2"}, fleet.Pending},
		{"drift that is reported", state.Observed{Health: state.Healthy, Sync: state.OutOfSync, Reason: "Drift", Target: "v1", Tried: "v2"}, fleet.Reached},
		{"known from its journal", state.Observed{Health: state.Healthy, BundleDigest: "b2"}, fleet.Reached},
		{"known from its journal, with another bundle", state.Observed{Health: state.Healthy, BundleDigest: "b1"}, fleet.Pending},
	} {
		if got := fleet.ProgressOf(&c.row, "v2", "b2"); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

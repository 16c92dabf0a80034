package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/fleet"
	"github.com/tenantops/reconciler/protocol"
)

func TestGuard(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct {
		name      string
		limit     string
		removed   int
		left      int
		confirmed string
		want      string // reason; empty when the removals may begin
	}{
		{name: "nothing is removed", left: 3},
		{name: "one of a small fleet goes", removed: 1, left: 2},
		{name: "two of a small fleet wait", removed: 2, left: 18, want: "DeletionGuard"},
		{name: "the number holds in a large fleet", removed: 2, left: 998, want: "DeletionGuard"},
		{name: "a higher number lets more go", limit: "{tenants: 5, percent: 5}", removed: 5, left: 95},
		{name: "the share holds below the number", limit: "{tenants: 5, percent: 5}", removed: 5, left: 55, want: "DeletionGuard"},
		{name: "the share is one tenant at least", limit: "{tenants: 5, percent: 5}", removed: 1, left: 4},
		{name: "a number alone", limit: "{tenants: 3}", removed: 3, left: 1},
		{name: "a share alone", limit: "{percent: 50}", removed: 3, left: 2, want: "DeletionGuard"},
		{name: "zero tenants keeps every one", limit: "{tenants: 0}", removed: 1, left: 9, want: "DeletionGuard"},
		{name: "zero percent keeps every one", limit: "{percent: 0}", removed: 1, left: 9, want: "DeletionGuard"},
		{name: "an empty tree removes nothing", limit: "{percent: 100}", removed: 1, want: "NoTenants"},
		{name: "what was confirmed goes", removed: 9, left: 1, confirmed: commit},
		{name: "an empty tree can be confirmed", removed: 9, confirmed: commit},
		{name: "another commit was confirmed", removed: 9, left: 1, confirmed: strings.Repeat("a", 40), want: "DeletionGuard"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := ""
			if c.limit != "" {
				text = "deletionGuard: " + c.limit + "\n"
			}
			policy, faults := config.ParseFleet("fleet.yaml", []byte("fleet: main\n"+text))
			for _, f := range faults {
				if f.IsError() {
					t.Fatal(f)
				}
			}
			removal := fleet.Removal{Revision: commit, Left: c.left, Confirmed: c.confirmed}
			for i := range c.removed {
				removal.Tenants = append(removal.Tenants, protocol.TenantID(fmt.Sprintf("t%d", i)))
			}
			got := fleet.Guard(policy.DeletionGuard, removal)
			switch {
			case got == nil && c.want != "", got != nil && got.Reason != c.want:
				t.Fatalf("got %+v, want %q", got, c.want)
			case got != nil && !strings.Contains(got.Next, "reconciler confirm 0123456789ab"):
				t.Errorf("next step: got %q", got.Next)
			}
		})
	}
}

func TestGuardNamesWhatWouldGo(t *testing.T) {
	one := 1
	got := fleet.Guard(config.Limit{Tenants: &one}, fleet.Removal{
		Revision: "0123456789abcdef", Left: 10, Tenants: []protocol.TenantID{"acme", "globex", "hooli", "initech"},
	})
	const want = "commit 0123456789ab removes 4 tenants (acme, globex, hooli and 1 more), and deletionGuard lets 1 go at once; all are kept as they are"
	if got == nil || got.Message != want {
		t.Errorf("got %+v, want %q", got, want)
	}
}

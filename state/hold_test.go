package state_test

import (
	"testing"
	"time"

	"github.com/tenantops/reconciler/state"
)

func TestHoldCovers(t *testing.T) {
	labels := map[string]string{"tier": "canary", "region": "eu"}
	for name, c := range map[string]struct {
		hold state.Hold
		want bool
	}{
		"the fleet":                     {state.Hold{}, true},
		"the tenant":                    {state.Hold{Tenant: "acme"}, true},
		"another tenant":                {state.Hold{Tenant: "globex"}, false},
		"a label":                       {state.Hold{Labels: "tier=canary"}, true},
		"both labels":                   {state.Hold{Labels: "region=eu,tier=canary"}, true},
		"one label of another value":    {state.Hold{Labels: "region=us,tier=canary"}, false},
		"a label that the tenant lacks": {state.Hold{Labels: "zone="}, false},
		"the bundle":                    {state.Hold{Tenant: "acme", Bundle: "b1"}, true},
		"another bundle":                {state.Hold{Tenant: "acme", Bundle: "b2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.hold.Covers("acme", labels, "b1"); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestHoldExpires(t *testing.T) {
	h := state.Hold{Until: began}
	for at, want := range map[time.Time]bool{began.Add(-1): false, began: true, began.Add(1): true} {
		if got := h.Expired(at); got != want {
			t.Errorf("at %v: got %v, want %v", at, got, want)
		}
	}
	if (state.Hold{}).Expired(began) {
		t.Error("a hold without an end has expired")
	}
}

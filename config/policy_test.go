package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/config"
)

func TestStricterPolicy(t *testing.T) {
	fleet := config.Policy{
		Additive: config.Allow, Widening: config.Allow, Rewrite: config.Approve, Narrowing: config.Approve, Destructive: config.Deny,
	}
	got, looser := fleet.With(config.OwnPolicy{
		Additive: config.Approve, Rewrite: config.Deny, Narrowing: config.Approve, Destructive: config.Approve,
	})
	want := config.Policy{
		Additive: config.Approve, Widening: config.Allow, Rewrite: config.Deny, Narrowing: config.Approve, Destructive: config.Deny,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]config.Looser{{Class: "destructive", Own: config.Approve, Fleet: config.Deny}}, looser); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if same, looser := fleet.With(config.OwnPolicy{}); same != fleet || looser != nil {
		t.Errorf("without a policy of its own: got %+v, %v", same, looser)
	}
}

// Each class of a fleet's policy is one that a tenant can name.
func TestOwnPolicyHasEveryClass(t *testing.T) {
	all := config.OwnPolicy{
		Additive: config.Deny, Widening: config.Deny, Rewrite: config.Deny, Narrowing: config.Deny, Destructive: config.Deny,
	}
	got, _ := config.Policy{}.With(all)
	if want := config.Policy(all); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

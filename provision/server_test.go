package provision_test

import (
	"errors"
	"testing"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/provision/sqld"
)

// Who asks for the server of the same policy gets the same one, whose limits and
// locks hold for all. An error is not kept.
func TestSharedServer(t *testing.T) {
	opened, broken := 0, errors.New("no server")
	server := provision.Shared(func(policy config.Databases) (provision.Server, error) {
		opened++
		if policy.URLTemplate == "" {
			return nil, broken
		}
		return sqld.New(sqld.Config{Admin: "http://127.0.0.1:1", URL: policy.URLTemplate})
	})
	var seen []provision.Server
	for _, host := range []string{"a", "a", "", "a", "b", "b"} {
		policy := config.Databases{}
		if host != "" {
			policy.URLTemplate = "http://{name}." + host
		}
		s, err := server(policy)
		if host == "" {
			if !errors.Is(err, broken) {
				t.Errorf("got %v, want %v", err, broken)
			}
			continue
		}
		must(t, err)
		seen = append(seen, s)
	}
	if opened != 3 || seen[0] != seen[1] || seen[1] != seen[2] || seen[2] == seen[3] || seen[3] != seen[4] {
		t.Errorf("%d were opened: %p", opened, seen)
	}
}

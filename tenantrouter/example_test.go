package tenantrouter_test

import (
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Databases on servers are reached where Servers allows their hosts.
func ExampleConfig_servers() {
	tokens := secret.Keeper{Dir: "/etc/orders/secrets", IdentityFile: "/etc/orders/age.key"}
	_, _ = tenantrouter.New(tenantrouter.Config{
		DataDir: "/var/lib/reconciler",
		Servers: tenantrouter.Servers{
			Hosts:  []tenantrouter.Host{{Match: "*.turso.io"}},
			Secret: tokens.Token,
		},
	})
}

package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/provision/sqld"
	"github.com/tenantops/reconciler/provision/turso"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// router is the way to the databases of tenants: in files, and where state says
// that they were made. The store may be nil.
func (c *cli) router(ctx context.Context, store *state.Store) (*tenantrouter.Router, error) {
	placements, err := tenantrouter.PlacementsOf(ctx, store)
	if err != nil {
		return nil, err
	}
	return tenantrouter.New(tenantrouter.Config{
		DataDir: c.settings.Data, FileRoot: c.settings.FileRoot, Placements: placements, Servers: c.servers(),
	})
}

// databases is the server on which databases are made; the zero value for
// files.
func (c *cli) databases() provision.Databases {
	s := c.settings.Databases
	d := provision.Databases{Name: s.Name, Branches: new(provision.Branches)}
	switch s.Provider {
	case config.ServerSQLD:
		d.Server = provision.Shared(func(policy config.Databases) (provision.Server, error) { return c.sqld(policy) })
	case config.ServerTurso:
		d.Server = provision.Shared(func(policy config.Databases) (provision.Server, error) { return c.turso(policy) })
	}
	return d
}

func (c *cli) sqld(policy config.Databases) (*sqld.Server, error) {
	s := c.settings.Databases.SQLD
	client, err := c.controlClient(s.AdminURL)
	if err != nil {
		return nil, err
	}
	return sqld.New(sqld.Config{
		Client: client,
		Admin:  s.AdminURL, Key: c.secretOf(s.AdminKey), Open: s.Tokens == config.TokenNone,
		URL: cmp.Or(s.URL, strings.ReplaceAll(policy.URLTemplate, "{tenant_id}", "{name}")),
	})
}

// turso is the account that the operator's settings and fleet.yaml describe.
func (c *cli) turso(policy config.Databases) (*turso.Server, error) {
	s := c.settings.Databases.Turso
	client, err := c.controlClient(cmp.Or(s.APIURL, turso.BaseURL))
	if err != nil {
		return nil, err
	}
	made := turso.Config{
		Client: client,
		Base:   s.APIURL, Organization: cmp.Or(s.Organization, policy.OrganizationSlug), Group: "default",
		Token: c.secretOf(cmp.Or(s.APIToken, config.Secret(policy.GroupAuthToken))),
	}
	if g := policy.Group; g != nil {
		made.Group, made.Location = g.Name, g.PrimaryLocation
	}
	if l := policy.Lifecycle; l != nil && l.OnTenantCreate.Group != "" {
		made.Group = l.OnTenantCreate.Group
	}
	if policy.URLTemplate != "" {
		made.URL = func(d protocol.TursoDatabase) string {
			return strings.ReplaceAll(policy.URLTemplate, "{tenant_id}", d.Name)
		}
	}
	return turso.New(made)
}

// secretOf reads the token of a server's own API at each use; nil for no reference.
func (c *cli) secretOf(reference config.Secret) func() (string, error) {
	if reference == "" {
		return nil
	}
	return func() (string, error) { return c.secrets().Token(reference) }
}

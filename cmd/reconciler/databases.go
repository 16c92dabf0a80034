package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// place is where a tenant's database is, as a command tells it to who has the
// data directory. The zero value is a place that is not known.
type place struct {
	Path string `json:"path,omitempty"` // of a file
	// Connection is the way to a server. Its token is a reference, as git or
	// state has it, and no secret.
	Connection *protocol.TenantConnectionConfig `json:"connection,omitempty"`
}

func (p place) known() bool { return p.Path != "" || p.Connection != nil }

// placedTenant is the place of the database of one tenant.
type placedTenant struct {
	place
	tenant protocol.TenantID
	router *tenantrouter.Router // leads to servers; nil with a path
}

// open opens the database of a tenant. The router may be nil for a file.
func (p place) open(ctx context.Context, router *tenantrouter.Router, tenant protocol.TenantID, readOnly bool) (database.Conn, error) {
	if p.Connection == nil {
		return libsql.Open(ctx, p.Path, libsql.Options{ReadOnly: readOnly})
	}
	connection := p.Connection
	if placed, ok := router.Placements().Of(tenant); ok && *placed.Connection() == *connection {
		connection = nil // it is known then that the reconciler had it made
	}
	at, err := router.Locate(tenant, connection)
	switch {
	case err != nil:
		return nil, err
	case at.Remote == "":
		return nil, fmt.Errorf("%w: its URL leads to no server", database.ErrMissing)
	case readOnly:
		return router.OpenReadOnly(ctx, at)
	}
	return router.Open(ctx, at, false)
}

// tenantDatabases lists the databases below the data directory, each for the
// tenant that its name says; those that file: URLs of a fleet lead to; and those
// on servers, as the fleet or state tells, which go before a file of the same
// tenant. They are in the order of the tenants. The fleet may be nil. A state
// that cannot be read knows of none; nobody in this process has it open.
func (c *cli) tenantDatabases(ctx context.Context, fleet *bundle.Fleet) ([]placedTenant, error) {
	store, err := c.readStateIfAny(ctx)
	if err != nil {
		store = nil // whoever needs it says so
	}
	if store != nil {
		defer store.Close()
	}
	return c.databasesBy(ctx, store, fleet)
}

// databasesBy is tenantDatabases with a state that is open, or nil.
func (c *cli) databasesBy(ctx context.Context, store *state.Store, fleet *bundle.Fleet) ([]placedTenant, error) {
	entries, absent := os.ReadDir(filepath.Join(c.settings.Data, "tenants"))
	if absent != nil && !errors.Is(absent, os.ErrNotExist) {
		return nil, fmt.Errorf("list tenant databases: %w", absent)
	}
	var list []placedTenant
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".db"); ok {
			list = append(list, placedTenant{place: place{Path: filepath.Join(c.settings.Data, "tenants", e.Name())}, tenant: protocol.TenantID(id)})
		}
	}
	connections, router, err := c.connections(ctx, store, fleet)
	if err != nil {
		return nil, err
	}
	list = withConnections(list, connections, router, fleet)
	if len(list) == 0 && absent != nil {
		return nil, fmt.Errorf("no database of a tenant is known: %w, and neither state nor --repo names one elsewhere "+
			"(one that the reconciler made on a server is found again by \"reconciler tenant take\")", absent)
	}
	slices.SortStableFunc(list, func(a, b placedTenant) int { return strings.Compare(string(a.tenant), string(b.tenant)) })
	return list, nil
}

// connections returns how the databases are reached that are not below the data
// directory by their tenants' names: as git says, where a fleet was read; else
// as it said last, which state has; and where the reconciler has had them made.
func (c *cli) connections(ctx context.Context, store *state.Store, fleet *bundle.Fleet) (map[protocol.TenantID]*protocol.TenantConnectionConfig, *tenantrouter.Router, error) {
	router, err := c.router(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	connections := map[protocol.TenantID]*protocol.TenantConnectionConfig{}
	if err := recorded(ctx, store, connections); err != nil {
		return nil, nil, err
	}
	if fleet == nil {
		return connections, router, nil
	}
	for _, t := range fleet.Tenants {
		delete(connections, t.ID)
		if t.Spec.ConnectionConfig != nil {
			connections[t.ID] = t.Spec.ConnectionConfig
		} else if placed, ok := router.Placements().Of(t.ID); ok {
			connections[t.ID] = placed.Connection()
		}
	}
	return connections, router, nil
}

// recorded adds the connections that a store has: those that git said last, and
// those of databases that were made on servers. The store may be nil.
func recorded(ctx context.Context, store *state.Store, connections map[protocol.TenantID]*protocol.TenantConnectionConfig) error {
	if store == nil {
		return nil
	}
	placements, err := store.Placements(ctx)
	if err != nil {
		return err
	}
	for _, p := range placements {
		if connection := p.Connection(); connection != nil {
			connections[p.Tenant] = connection
		}
	}
	tenants, err := store.Tenants(ctx)
	for _, t := range tenants {
		if connection := t.Spec.ConnectionConfig; connection != nil {
			connections[t.ID] = connection
		}
	}
	return err
}

// withConnections adds the databases that connections lead to. A file to which
// the URL of its tenant leads is listed once, and one of a tenant that there is
// not, to which a URL leads, is that of the URL alone.
func withConnections(list []placedTenant, connections map[protocol.TenantID]*protocol.TenantConnectionConfig,
	router *tenantrouter.Router, fleet *bundle.Fleet,
) []placedTenant {
	known, named, remote := map[protocol.TenantID]bool{}, map[string]bool{}, map[protocol.TenantID]bool{}
	own := map[protocol.TenantID]string{} // what the URL of a tenant leads to
	if fleet != nil {
		for _, t := range fleet.Tenants {
			known[t.ID] = true
		}
	}
	var found []placedTenant
	for id, connection := range connections {
		at, err := router.Locate(id, connection)
		switch {
		case err == nil && at.Path != "":
			found = append(found, placedTenant{place: place{Path: at.Path}, tenant: id})
			own[id] = router.Identity(at)
			named[own[id]] = true
		case err == nil, errors.Is(err, tenantrouter.ErrHost): // whoever opens it says so
			found = append(found, placedTenant{place: place{Connection: connection}, tenant: id, router: router})
			remote[id] = true
		}
	}
	list = slices.DeleteFunc(list, func(p placedTenant) bool {
		file := router.Identity(tenantrouter.Location{Path: p.Path})
		return remote[p.tenant] || own[p.tenant] == file || !known[p.tenant] && named[file]
	})
	return append(list, found...)
}

// placeOf finds the database of a tenant that has been deployed. The fleet may
// be nil.
func (c *cli) placeOf(ctx context.Context, fleet *bundle.Fleet, id protocol.TenantID) (placedTenant, error) {
	list, err := c.tenantDatabases(ctx, fleet)
	if err != nil {
		return placedTenant{}, err
	}
	return find(list, id)
}

func find(list []placedTenant, id protocol.TenantID) (placedTenant, error) {
	at := slices.IndexFunc(list, func(p placedTenant) bool { return p.tenant == id })
	if at < 0 {
		return placedTenant{}, fmt.Errorf("%w: tenant %q has no database below the data directory, nor one on a server that state knows: "+
			"check the name, or give --repo when its tenant.yaml has a URL", database.ErrMissing, id)
	}
	list[at].Path = absolute(list[at].Path)
	return list[at], nil
}

// openTenant opens the database of a tenant to look at it: in the data
// directory, or on a server where state says so, which may be nil.
func (c *cli) openTenant(ctx context.Context, store *state.Store, tenant protocol.TenantID) (database.Conn, error) {
	list, err := c.databasesBy(ctx, store, nil)
	if err != nil {
		return nil, err
	}
	found, err := find(list, tenant)
	if err != nil {
		return nil, err
	}
	return found.open(ctx, found.router, tenant, true)
}

// absolute is a path that the daemon understands, whose working directory may
// be another one. Of none it is none.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

package provision

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Files provides databases in files of this machine, where a router finds
// them.
type Files struct{ Router *tenantrouter.Router }

// Locate implements Provider. A file that a URL names is the tenant's own.
func (f Files) Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Database, error) {
	at, err := f.Router.Locate(tenant, connection)
	if err != nil {
		return Database{}, err
	}
	return Database{Tenant: tenant, URL: at.URL(), Own: connection == nil, at: at}, nil
}

func fileURL(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// location is that of a database that Locate or List gave.
func (d Database) location() tenantrouter.Location {
	if d.at.Remote != "" {
		return d.at
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return tenantrouter.Location{} // of another provider; there is no such file
	}
	return tenantrouter.Location{Path: u.Path}
}

// Open implements Provider.
func (f Files) Open(ctx context.Context, at Database, create bool) (database.Conn, error) {
	return f.Router.Open(ctx, at.location(), create)
}

// Copy implements Provider.
func (f Files) Copy(ctx context.Context, at Database, path string) error {
	place := at.location()
	if place.Remote != "" {
		return fmt.Errorf("%w: %s", ErrOnServer, at.URL)
	}
	conn, err := f.Router.Open(ctx, place, false)
	if err != nil {
		return err
	}
	return errors.Join(libsql.Copy(ctx, conn, path, 0o600), conn.Close())
}

// Destroy implements Provider.
func (f Files) Destroy(ctx context.Context, at Database) error {
	place := at.location()
	if place.Remote != "" {
		return fmt.Errorf("%w: %s", ErrOnServer, at.URL)
	}
	return libsql.Remove(ctx, place.Path)
}

// List implements Provider.
func (f Files) List(context.Context) ([]Database, error) {
	found, err := f.Router.List()
	if err != nil {
		return nil, err
	}
	list := make([]Database, len(found))
	for i, at := range found {
		list[i] = Database{Tenant: at.Tenant, URL: fileURL(at.Path), Own: true}
	}
	return list, nil
}

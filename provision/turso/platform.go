package turso

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision/control"
)

// Platform is a Server as the protocol has it.
type Platform struct{ *Server }

var _ protocol.TursoPlatformService = Platform{}

// CreateDatabase implements protocol.TursoPlatformService. A shared schema is
// not served: the platform has given it up.
func (p Platform) CreateDatabase(ctx context.Context, o protocol.TursoDatabaseOptions) (protocol.TursoDatabase, error) {
	if o.SchemaDatabase != "" {
		return protocol.TursoDatabase{}, errors.New("turso: a schema database is not served: the reconciler keeps schemas equal")
	}
	in := *p.Server
	if o.Group != "" {
		in.config.Group = o.Group
	}
	if _, err := in.create(ctx, o.Name, o.Seed); err != nil {
		return protocol.TursoDatabase{}, err
	}
	found, err := p.Database(ctx, o.Name)
	if err == nil && found == nil {
		err = control.ErrNotFound
	}
	if err != nil {
		return protocol.TursoDatabase{}, err
	}
	return *found, nil
}

// DeleteDatabase implements protocol.TursoPlatformService.
func (p Platform) DeleteDatabase(ctx context.Context, name string) error { return p.Delete(ctx, name) }

// ListDatabases implements protocol.TursoPlatformService.
func (p Platform) ListDatabases(ctx context.Context, group string) ([]protocol.TursoDatabase, error) {
	return p.Databases(ctx, group)
}

// Database implements protocol.TursoPlatformService.
func (p Platform) Database(ctx context.Context, name string) (*protocol.TursoDatabase, error) {
	d, err := p.describe(ctx, name)
	if errors.Is(err, control.ErrNotFound) {
		return nil, nil
	}
	return &d, err
}

// RevokeTokens implements protocol.TursoPlatformService.
func (p Platform) RevokeTokens(ctx context.Context, name string) error {
	return p.invalidate(ctx, name)
}

package server

import (
	"context"
	"errors"

	"github.com/tenantops/reconciler/protocol"
)

const maxResolve = 64 << 10 // bytes; headers of a forwarded request are the longest part

// Router finds tenants. protocol.TenantRouter has this method.
type Router interface {
	ResolveTenant(ctx context.Context, session any) (*protocol.ResolvedTenantContext, error)
}

// resolveRequest asks for a tenant by its id, which the caller has made sure
// of.
type resolveRequest struct {
	TenantID protocol.TenantID `json:"tenantId"`
}

// resolve answers what is known of a tenant, for servers in other languages.
func (s *server) resolve(ctx context.Context, q resolveRequest) (*protocol.ResolvedTenantContext, error) {
	if q.TenantID == "" {
		return nil, &badRequest{errors.New("tenantId is missing")}
	}
	resolved, err := s.config.Router.ResolveTenant(ctx, q.TenantID)
	if err == nil && resolved == nil {
		err = protocol.ErrUnknownTenant
	}
	return resolved, err
}

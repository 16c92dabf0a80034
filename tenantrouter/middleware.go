package tenantrouter

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// Tenant is the tenant of a request, and the way to its database.
type Tenant struct {
	protocol.TenantRuntimeContext
	Status   protocol.TenantProvisioningStatus
	Schema   Schema            // what is deployed, to route by version
	Identity identity.Identity // how the request named it, with the claims of a token

	gateway *Gateway
	record  Record
	at      Location

	mu     sync.Mutex
	client *Client // entered with the first connection
	leases map[*Lease]struct{}
	ended  bool
}

// Conn lends a connection to the tenant's database, until its Close or the end
// of the request. The database is opened, or taken from those that are open,
// with the first; a request has the same one to its end, also when the tenant
// is suspended meanwhile.
func (t *Tenant) Conn(ctx context.Context) (*Lease, error) {
	client, err := t.enter(ctx)
	if err != nil {
		return nil, err
	}
	lease, err := client.again(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil, errors.Join(database.ErrClosed, lease.Close())
	}
	t.leases[lease] = struct{}{}
	lease.end = func() { t.forget(lease) }
	return lease, nil
}

func (t *Tenant) forget(lease *Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.leases, lease)
}

// enter opens the tenant's database for this request. The lock makes a second
// goroutine of it wait for the first.
func (t *Tenant) enter(ctx context.Context) (*Client, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil, database.ErrClosed
	}
	if t.client == nil {
		client, err := t.gateway.enter(ctx, t.record, t.at)
		if err != nil {
			return nil, err
		}
		t.client = client
	}
	return t.client, nil
}

// Exec runs one statement on a connection of its own.
func (t *Tenant) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	lease, err := t.Conn(ctx)
	if err != nil {
		return 0, err
	}
	n, err := lease.Exec(ctx, sql, args...)
	return n, errors.Join(err, lease.Close())
}

// Query runs one statement on a connection of its own and returns all its
// rows.
func (t *Tenant) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	lease, err := t.Conn(ctx)
	if err != nil {
		return Rows{}, err
	}
	rows, err := lease.Query(ctx, sql, args...)
	return rows, errors.Join(err, lease.Close())
}

// end takes back what the request still has.
func (t *Tenant) end() error {
	t.mu.Lock()
	t.ended = true
	client := t.client
	var left []*Lease
	for lease := range t.leases {
		left = append(left, lease)
	}
	t.mu.Unlock()
	var wrong []error
	for _, lease := range left {
		wrong = append(wrong, lease.Close())
	}
	if client != nil {
		wrong = append(wrong, client.leave())
	}
	return errors.Join(wrong...)
}

type contextKey struct{}

// FromContext returns the tenant of a request that Middleware has let in, or
// ErrNotRouted.
func FromContext(ctx context.Context) (*Tenant, error) {
	t, ok := ctx.Value(contextKey{}).(*Tenant)
	if !ok {
		return nil, ErrNotRouted
	}
	return t, nil
}

// Middleware lets in the requests of tenants that are served, with the tenant
// in their context, and answers all others with WriteError.
func Middleware(g *Gateway) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tenant, err := g.enterRequest(r)
			if err != nil {
				g.refuse(w, r, err)
				return
			}
			defer func() {
				if err := tenant.end(); err != nil {
					g.options.Log.Error("connection not given back", attrTenant, string(tenant.TenantID), attrErr, err)
				}
			}()
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, tenant)))
		})
	}
}

func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, _, _, _ := Answer(err)
	if status >= http.StatusInternalServerError && !errors.Is(err, ErrProvisioning) && r.Context().Err() == nil {
		g.options.Log.Error("request not routed", attrErr, err)
	}
	WriteError(w, err)
}

// enterRequest finds the tenant of a request and counts the request.
func (g *Gateway) enterRequest(r *http.Request) (*Tenant, error) {
	found, err := g.Identify(r)
	if err != nil {
		return nil, err
	}
	record, err := g.record(r.Context(), found.Tenant)
	if err != nil {
		return nil, err
	}
	if err := g.served(record); err != nil {
		return nil, err
	}
	if err := g.limits.admit(record.ID, record.Quotas); err != nil {
		return nil, err
	}
	at, err := g.options.Files.Locate(record.ID, record.Connection)
	if err != nil {
		return nil, err
	}
	return &Tenant{
		TenantRuntimeContext: protocol.TenantRuntimeContext{
			KernelContext: g.kernel, TenantID: record.ID, TenantPlan: record.Plan, TenantRegion: string(record.Region),
			TenantDBURL: at.URL(), TenantQuotas: record.Quotas,
		},
		Status: record.Status, Schema: record.Schema, Identity: found,
		gateway: g, record: record, at: at, leases: map[*Lease]struct{}{},
	}, nil
}

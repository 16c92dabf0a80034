package tenantrouter

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/tenantrouter/identity"
)

// Options say how a Gateway finds tenants, and how many databases it keeps
// open. The zero value of all but the first two means its default.
type Options struct {
	Records Records // where tenants are looked up
	Files   *Router // where their databases are
	// Identity finds the tenant of a request. Without it only what names a
	// tenant itself is resolved, and Middleware lets nobody in. Whoever made it
	// closes it.
	Identity *identity.Resolver
	// OnSuspend says what a suspended tenant keeps. Default: the protocol's. With
	// RevokeTokens its requests are refused; else with ReadOnly they are served
	// and cannot write.
	OnSuspend *protocol.TenantSuspendHook

	MaxConnections int           // tenants whose databases stay open; default 100
	PoolSize       int           // connections of one tenant; default 4
	TTL            time.Duration // that a database stays open at most; default 5 minutes, the protocol's
	IdleTime       time.Duration // that an unused one stays open; default 1 minute
	RecordTTL      time.Duration // that a record is believed before it is read again; default 1 second

	// Kernel is the process, for TenantRuntimeContext. Default: production, a
	// new instance id, the working directory and the time of Open.
	Kernel protocol.KernelContext
	Log    *slog.Logger     // default: none
	Now    func() time.Time // default: time.Now
}

// FromProtocol takes over what the protocol's configuration says of
// connections and suspension. Its strategy belongs into identity.Config.
func (o Options) FromProtocol(c protocol.TursoMultiTenantConfig) Options {
	o.MaxConnections = int(c.MaxCachedConnections)
	o.TTL = time.Duration(c.ConnectionCacheTTL) * time.Second
	if c.ConnectionCacheTTL == 0 {
		o.TTL = time.Nanosecond // not kept at all
	}
	if c.Lifecycle != nil {
		o.OnSuspend = &c.Lifecycle.OnTenantSuspend
	}
	return o
}

func (o Options) withDefaults() Options {
	def(&o.MaxConnections, 100)
	def(&o.PoolSize, 4)
	def(&o.TTL, 5*time.Minute)
	def(&o.IdleTime, time.Minute)
	def(&o.RecordTTL, time.Second)
	if o.OnSuspend == nil {
		o.OnSuspend = &protocol.TenantSuspendHook{RevokeTokens: true, ReadOnly: true}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func def[T comparable](value *T, other T) {
	var zero T
	if *value == zero {
		*value = other
	}
}

// Validate reports everything that is wrong.
func (o Options) Validate() error {
	o = o.withDefaults()
	var wrong []error
	if o.Records == nil {
		wrong = append(wrong, errors.New("a gateway needs records of tenants"))
	}
	if o.Files == nil {
		wrong = append(wrong, errors.New("a gateway needs to know where databases are"))
	}
	if o.MaxConnections < 1 || o.PoolSize < 1 {
		wrong = append(wrong, errors.New("a gateway needs at least one connection"))
	}
	if o.TTL < 0 || o.IdleTime < 0 || o.RecordTTL < 0 {
		wrong = append(wrong, errors.New("a time is negative"))
	}
	return errors.Join(wrong...)
}

// Gateway leads the requests of an application to the databases of their
// tenants. It implements protocol.TenantRouter, and may be shared.
type Gateway struct {
	options Options
	kernel  protocol.KernelContext
	records *remembered
	clients *cache
	limits  *limits

	stop    chan struct{}
	once    sync.Once
	stopped sync.WaitGroup
}

var _ protocol.TenantRouter = (*Gateway)(nil)

// Open returns a Gateway. It opens databases when they are asked for.
func Open(o Options) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("route tenants: %w", err)
	}
	o = o.withDefaults()
	kernel, err := kernelOf(o.Kernel, o.Now())
	if err != nil {
		return nil, fmt.Errorf("route tenants: %w", err)
	}
	g := &Gateway{
		options: o, kernel: kernel, stop: make(chan struct{}),
		records: &remembered{records: o.Records, ttl: o.RecordTTL, now: o.Now, lookups: map[protocol.TenantID]*lookup{}},
		limits:  &limits{now: o.Now, tenants: map[protocol.TenantID]*requests{}},
		clients: &cache{
			files: o.Files, max: o.MaxConnections, pool: o.PoolSize, ttl: o.TTL, idle: o.IdleTime, recheck: o.RecordTTL,
			now: o.Now, log: o.Log, order: list.New(), clients: map[protocol.TenantID]*list.Element{},
		},
	}
	g.stopped.Go(g.sweep)
	return g, nil
}

// sweep closes and forgets what is over, until Close.
func (g *Gateway) sweep() {
	every := max(min(g.options.TTL, g.options.IdleTime)/4, 10*time.Millisecond)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			g.clients.sweep()
			g.records.sweep()
			g.limits.sweep()
		case <-g.stop:
			return
		}
	}
}

// Close closes all databases; one that a request has in hand when that ends.
// It may be called twice.
func (g *Gateway) Close() error {
	g.once.Do(func() { close(g.stop) })
	g.stopped.Wait()
	g.clients.close()
	return nil
}

// Resolved is what is known of a tenant. The first five fields are the
// protocol's.
type Resolved struct {
	protocol.ResolvedTenantContext
	Quotas *protocol.TenantQuota `json:"quotas,omitempty"`
	Schema Schema                `json:"schema"`
}

// Resolve returns what is known of a tenant, whatever its status. An error
// matches protocol.ErrUnknownTenant where there is none.
func (g *Gateway) Resolve(ctx context.Context, tenant protocol.TenantID) (Resolved, error) {
	record, err := g.record(ctx, tenant)
	if err != nil {
		return Resolved{}, err
	}
	at, err := g.options.Files.Locate(record.ID, record.Connection)
	if err != nil {
		return Resolved{}, err
	}
	return Resolved{
		ResolvedTenantContext: protocol.ResolvedTenantContext{
			TenantID: record.ID, Plan: record.Plan, Region: record.Region, DBURL: at.URL(), Status: record.Status,
		},
		Quotas: record.Quotas, Schema: record.Schema,
	}, nil
}

// URL is the URL of a database. It holds no secret.
func (l Location) URL() string {
	if l.Remote != "" {
		return l.Remote
	}
	return (&url.URL{Scheme: "file", Path: l.Path}).String()
}

// record reads a record. What is open of a tenant that is there no more is
// closed.
func (g *Gateway) record(ctx context.Context, tenant protocol.TenantID) (Record, error) {
	record, err := g.records.tenant(ctx, tenant)
	if errors.Is(err, protocol.ErrUnknownTenant) {
		g.clients.forget(tenant)
	}
	return record, err
}

// ResolveTenant is Resolve for a session: a *http.Request whose tenant the
// identity strategies find, an identity.Identity, or a protocol.TenantID. It
// gives nil, and no error, for one that names no tenant or an unknown one.
func (g *Gateway) ResolveTenant(ctx context.Context, session any) (*protocol.ResolvedTenantContext, error) {
	var tenant protocol.TenantID
	switch s := session.(type) {
	case protocol.TenantID:
		tenant = s
	case identity.Identity:
		tenant = s.Tenant
	case *http.Request:
		found, err := g.Identify(s)
		if errors.Is(err, identity.ErrMissing) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		tenant = found.Tenant
	default:
		return nil, nil
	}
	resolved, err := g.Resolve(ctx, tenant)
	if errors.Is(err, protocol.ErrUnknownTenant) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &resolved.ResolvedTenantContext, nil
}

// Identify returns the tenant that a request names. Its errors are those of
// identity.Resolver.
func (g *Gateway) Identify(r *http.Request) (identity.Identity, error) {
	if g.options.Identity == nil {
		return identity.Identity{}, fmt.Errorf("%w: no strategy is configured", identity.ErrMissing)
	}
	return g.options.Identity.Resolve(r)
}

// TenantClient returns a *Client of a tenant that is served. A client that was
// replaced lends no more connections; ask again.
func (g *Gateway) TenantClient(ctx context.Context, tenant protocol.TenantID) (any, error) {
	record, err := g.record(ctx, tenant)
	if err == nil {
		err = g.served(record)
	}
	if err != nil {
		return nil, err
	}
	at, err := g.options.Files.Locate(record.ID, record.Connection)
	if err != nil {
		return nil, err
	}
	client, err := g.enter(ctx, record, at)
	if err != nil {
		return nil, err
	}
	return client, client.leave()
}

// enter opens the database of a tenant that is served.
func (g *Gateway) enter(ctx context.Context, record Record, at Location) (*Client, error) {
	readOnly := record.Status == protocol.TenantSuspended && g.options.OnSuspend.ReadOnly
	return g.clients.enter(ctx, record, at, readOnly)
}

// served reports why a tenant is not served.
func (g *Gateway) served(record Record) error {
	var err error
	switch record.Status {
	case protocol.TenantActive:
	case protocol.TenantSuspended:
		if g.options.OnSuspend.RevokeTokens {
			err = ErrSuspended
		}
	case protocol.TenantProvisioning:
		err = ErrProvisioning
	case protocol.TenantDestroying:
		err = ErrDestroying
	default:
		err = ErrFailed
	}
	if err != nil {
		return fmt.Errorf("tenant %q: %w", record.ID, err)
	}
	return nil
}

// InvalidateCache forgets what is known of a tenant and closes its database,
// when the requests that have it in hand have ended. The next request reads
// anew. Call it where you learn of a change before RecordTTL has passed.
func (g *Gateway) InvalidateCache(tenant protocol.TenantID) {
	g.records.forget(tenant)
	g.clients.forget(tenant)
}

// RequestsThisMinute is how many requests of a tenant this process has let in
// since the minute began, for TenantUsage.
func (g *Gateway) RequestsThisMinute(tenant protocol.TenantID) int64 {
	return g.limits.thisMinute(tenant)
}

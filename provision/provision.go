// Package provision leads tenants through their lives: it makes their
// databases, suspends and resumes them, and takes them away after a backup and
// a time of grace.
//
// Each change is an operation of steps. What a step has done is recorded before
// the next one begins, and each step may be run again, so that an operation goes
// on after a crash where it stopped. Nothing is destroyed before a backup of it
// was read back, and nothing that belongs to somebody else. DESIGN.md goes
// through the steps.
package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// Errors that a caller can match.
var (
	// ErrLegalHold says that nothing of the tenant may be destroyed.
	ErrLegalHold = errors.New("tenant is under a legal hold")
	// ErrAlive says that the tenant has not been destroyed.
	ErrAlive = errors.New("tenant is not destroyed")
	// ErrRequest says that a request asks for what there cannot be.
	ErrRequest = errors.New("request is not valid")
	// ErrKeyReused says that a key of a sign-up stands for another request.
	ErrKeyReused = errors.New("key was used for another request")
)

// Config is what a Service works with.
type Config struct {
	Store    *state.Store
	Provider Provider
	Deployer *deploy.Deployer
	Fleet    Fleet
	Backups  func(config.Backup) (Vault, error) // where backups go
	Scratch  string                             // directory of copies that are being made
	By       deploy.Doer                        // who the events name
	// Snapshots are those that an erasure takes along.
	Snapshots deploy.Snapshots
	// OnChange is told of a tenant whose connections, status or quotas are not
	// what they were. May be nil.
	OnChange func(protocol.TenantID)
	// OnPending is told that there is something that git does not say yet. May be
	// nil, and is set by NewCommitter.
	OnPending func()
	// OnStep is told of each step before it runs and after it has, when that is
	// recorded. May be nil.
	OnStep func(tenant protocol.TenantID, step string)
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default: nothing
}

// Fleet is what a Service asks about the fleet that its tenants belong to.
type Fleet interface {
	// Config returns fleet.yaml as it was read last.
	Config(ctx context.Context) (config.Fleet, error)
	// Has tells that git has something where the tenant.yaml of a new tenant would
	// be, such as that of one that is broken.
	Has(ctx context.Context, tenant protocol.TenantID) (bool, error)
	// Compose returns what a tenant with a tenant.yaml should have.
	Compose(ctx context.Context, spec bundle.TenantSpec) (Composed, error)
}

// Composed is what a tenant should have, and the deployment that brings it.
type Composed struct {
	Spec    bundle.TenantSpec // with the defaults of the fleet
	Quotas  protocol.TenantQuota
	Request deploy.Request
}

// Service carries tenants through their lives. It implements
// protocol.ProvisioningService. Its methods may be called at the same time;
// those of one tenant take turns.
type Service struct {
	Config
	tenants *locks
	signUps *sync.Mutex // one id is given once
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.OnPending == nil {
		c.OnPending = func() {}
	}
	if c.OnStep == nil {
		c.OnStep = func(protocol.TenantID, string) {}
	}
	if c.OnChange == nil {
		c.OnChange = func(protocol.TenantID) {}
	}
	return &Service{Config: c, tenants: &locks{held: map[protocol.TenantID]*held{}}, signUps: &sync.Mutex{}}
}

// As is the same service for somebody else: its events name them.
func (s *Service) As(by deploy.Doer) *Service {
	as := *s
	as.By = by
	return &as
}

// Lock keeps others from working on a tenant until the function that it
// returns is called.
func (s *Service) Lock(tenant protocol.TenantID) (unlock func()) { return s.tenants.lock(tenant) }

// locks is one lock for each tenant that somebody works on.
type locks struct {
	mu   sync.Mutex
	held map[protocol.TenantID]*held
}

type held struct {
	sync.Mutex
	users int // who has the lock, and who waits for it
}

func (l *locks) lock(tenant protocol.TenantID) func() {
	l.mu.Lock()
	h := l.held[tenant]
	if h == nil {
		h = &held{}
		l.held[tenant] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, tenant)
		}
	}
}

// tenant reads a tenant's record; one that is not known matches
// protocol.ErrUnknownTenant.
func (s *Service) tenant(ctx context.Context, id protocol.TenantID) (state.Tenant, error) {
	t, err := s.Store.Tenant(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		err = fmt.Errorf("%w %q", protocol.ErrUnknownTenant, id)
	}
	return t, err
}

// event is one of this service about a tenant.
func (s *Service) event(kind string, t state.Tenant, reason, detail string) state.Event {
	return state.Event{
		At: s.Now(), Actor: s.By.Actor, Via: s.By.Via, Kind: kind, Tenant: t.ID, Revision: t.Revision, Reason: reason, Detail: detail,
	}
}

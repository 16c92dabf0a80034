package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
)

// source reads what tenants are to be that git does not have yet. It
// implements provision.Fleet.
type source struct {
	*Reconciler
	mu     sync.Mutex // one draft at a time: they share the cache
	drafts *bundle.Cache
	commit string // that config was read from
	config config.Fleet
}

// Config implements provision.Fleet.
func (s *source) Config(ctx context.Context) (config.Fleet, error) {
	commit, err := s.Repo.Resolve(ctx, "")
	if err != nil {
		return config.Fleet{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commit == commit.Hash {
		return s.config, nil
	}
	_, c, err := s.draft(ctx, commit, bundle.TenantSpec{ID: "a", Name: "A", Apps: []bundle.AppRef{}})
	if err == nil {
		s.commit, s.config = commit.Hash, c
	}
	return c, err
}

// Has implements provision.Fleet.
func (s *source) Has(ctx context.Context, tenant protocol.TenantID) (bool, error) {
	commit, err := s.Repo.Resolve(ctx, "")
	if err != nil {
		return false, err
	}
	tree, err := s.Repo.Tree(ctx, commit.Hash)
	if err != nil {
		return false, err
	}
	switch _, err := fs.Stat(tree, path.Join("tenants", string(tenant))); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return true, err
	}
}

// Compose implements provision.Fleet.
func (s *source) Compose(ctx context.Context, spec bundle.TenantSpec) (provision.Composed, error) {
	commit, err := s.Repo.Resolve(ctx, "")
	if err != nil {
		return provision.Composed{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, c, err := s.draft(ctx, commit, spec)
	if err != nil {
		return provision.Composed{}, err
	}
	f := reading{commit: commit, loaded: &bundle.Fleet{Config: c}}
	return provision.Composed{Spec: t.Spec, Quotas: c.QuotasOf(t.Spec.Plan, t.Spec.Quotas), Request: s.request(f, t)}, nil
}

// draft composes a tenant at a commit, from the text that git will have.
func (s *source) draft(ctx context.Context, commit gitrepo.Commit, spec bundle.TenantSpec) (*bundle.Tenant, config.Fleet, error) {
	tree, err := s.Repo.Tree(ctx, commit.Hash)
	if err != nil {
		return nil, config.Fleet{}, err
	}
	text, err := bundle.Write(spec, s.config)
	if err != nil {
		return nil, config.Fleet{}, err
	}
	options := BundleOptions(ctx, s.Repo)
	options.Revision, options.Cache = commit.Hash, s.drafts
	return bundle.Draft(tree, protocol.TenantID(spec.ID), text, options)
}

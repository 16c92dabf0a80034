package reconcile

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
)

// Verified is what the queries of a tenant's apps say to its database as it is.
type Verified struct {
	ID      protocol.TenantID
	Queries []bundle.Verification
	Failed  []deploy.FailedQuery
	Err     error // why they were not asked
}

// Verify asks the queries of a revision in the databases of the selected
// tenants, in order of id, and writes nothing: neither to a tenant nor to state.
// A database that the revision was not deployed to is asked as it is.
func (r *Reconciler) Verify(ctx context.Context, s Selection) (gitrepo.Commit, []Verified, error) {
	f, err := r.read(ctx, s)
	if err != nil {
		return f.commit, nil, err
	}
	all := make([]Verified, len(f.tenants))
	var group errgroup.Group
	group.SetLimit(r.workers(f.loaded.Config.Rollout))
	for i, t := range f.tenants {
		group.Go(func() error {
			all[i] = Verified{ID: t.ID}
			all[i].Err = r.verify(ctx, f, t, &all[i])
			return nil
		})
	}
	_ = group.Wait() // what is wrong is in the answers
	return f.commit, all, ctx.Err()
}

func (r *Reconciler) verify(ctx context.Context, f reading, t *bundle.Tenant, v *Verified) error {
	switch {
	case t.Desired == nil:
		return &invalidTenant{faults: t.Faults}
	case f.shared[t.ID] != nil:
		return f.shared[t.ID]
	case len(t.Desired.Verify) == 0:
		return nil
	}
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return err
	}
	conn, err := r.Router.OpenReadOnly(ctx, at)
	if err != nil {
		return fmt.Errorf("open tenant %q: %w", t.ID, err)
	}
	v.Queries, v.Failed = t.Desired.Verify, deploy.Verify(ctx, conn, t.Desired.Verify)
	return conn.Close()
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// Ahead is a fleet that is not on the followed branch yet.
type Ahead struct {
	Commit gitrepo.Commit // that the deployments would be of
	Base   *bundle.Fleet  // what the branch has
	Fleet  *bundle.Fleet  // what it would have
	// Tenants are those of Fleet to look at, by id.
	Tenants []protocol.TenantID
}

// PlanAhead says what a pass would do to tenants if the branch had another
// fleet. It writes to no tenant.
//
// Tenants whose database is as their last deployment left it, with equal
// fingerprints and digests, need the same plan: one of them is looked at, and
// the others are opened only where their rows have a say in it.
func (r *Reconciler) PlanAhead(ctx context.Context, a Ahead) (Report, error) {
	f, err := r.readAhead(ctx, a)
	if err != nil {
		return Report{Status: state.Failed}, err
	}
	look := lookahead{Reconciler: r, base: reading{loaded: a.Base, observed: f.observed}, seen: map[string]*likeness{}}
	report, err := r.each(ctx, queue{reading: f, tenants: f.tenants, limit: r.workers(f.loaded.Config.Rollout), work: look.tenant})
	report.finish()
	return report, err
}

// RequestFor is what a pass over another fleet would ask of one of its tenants.
func (r *Reconciler) RequestFor(a Ahead, t *bundle.Tenant) deploy.Request {
	return r.request(reading{commit: a.Commit, loaded: a.Fleet}, t)
}

// LookAt opens the database of a tenant read-only. One that a pass would make is
// an empty one in memory.
func (r *Reconciler) LookAt(ctx context.Context, t *bundle.Tenant) (database.Conn, error) {
	at, err := r.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return nil, err
	}
	return r.openToLook(ctx, at, true)
}

// Provider copies and branches the databases of tenants. Nil without a store.
func (r *Reconciler) Provider() provision.Provider {
	if r.life == nil {
		return nil
	}
	return r.provider((&source{Reconciler: r, drafts: bundle.NewCache()}).Config)
}

func (r *Reconciler) readAhead(ctx context.Context, a Ahead) (reading, error) {
	f := reading{commit: a.Commit, loaded: a.Fleet, now: r.Now()}
	f.shared, _ = r.shared(a.Fleet.Tenants, located{})
	if err := r.lookUp(ctx, &f); err != nil {
		return f, err
	}
	for _, id := range a.Tenants {
		if t := f.tenant(id); t != nil {
			f.tenants = append(f.tenants, t)
		}
	}
	return f, nil
}

// lookahead remembers what tenants that are alike need.
type lookahead struct {
	*Reconciler
	base reading

	mu   sync.Mutex
	seen map[string]*likeness
}

// likeness is what the first of several tenants that are alike led to.
type likeness struct {
	once   sync.Once
	tenant Tenant
	shared bool // the others need not be looked at
}

func (l *lookahead) tenant(ctx context.Context, f reading, t *bundle.Tenant) Tenant {
	key := l.key(f, t)
	if key == "" {
		return l.planTenant(ctx, f, t)
	}
	l.mu.Lock()
	alike := l.seen[key]
	if alike == nil {
		alike = &likeness{}
		l.seen[key] = alike
	}
	l.mu.Unlock()
	first := false
	alike.once.Do(func() {
		first, alike.tenant = true, l.planTenant(ctx, f, t)
		alike.shared = rowsHaveNoSay(alike.tenant)
	})
	switch {
	case first:
		return alike.tenant
	case !alike.shared:
		return l.planTenant(ctx, f, t)
	}
	done := alike.tenant
	done.ID, done.Plan, done.Faults, done.bundle = t.ID, string(t.Spec.Plan), t.Faults, digestOf(t)
	return done
}

// rowsHaveNoSay tells that what a tenant needs does not depend on its rows:
// they stand in no pre-check's way, no statement reads them, and no quota counts
// them.
func rowsHaveNoSay(t Tenant) bool {
	made := t.Result.Plan
	if made == nil || len(made.PreChecks) > 0 || len(t.Result.Quotas) > 0 || len(t.Result.Differences) > 0 {
		return false
	}
	for _, s := range made.Steps {
		if s.Copies {
			return false
		}
	}
	var policy *deploy.PolicyError
	return t.Result.Err == nil || errors.As(t.Result.Err, &policy)
}

// key stands for all that a tenant's plan depends on, as far as it is known
// without opening its database; empty where it has to be opened.
func (l *lookahead) key(f reading, t *bundle.Tenant) string {
	if t.Desired == nil || f.shared[t.ID] != nil || f.suspended(t) {
		return ""
	}
	if _, held := l.hold(t); held {
		return ""
	}
	request := l.request(f, t)
	if (request.Quotas.Limits != protocol.TenantQuota{}) {
		return ""
	}
	at, err := l.Router.Locate(t.ID, t.Spec.ConnectionConfig)
	if err != nil {
		return ""
	}
	was, ok := l.standing(t, at)
	if !ok {
		return ""
	}
	owner := request.Owner
	owner.Tenant = ""
	return fmt.Sprintf("%s\x00%s\x00%s\x00%+v\x00%+v\x00%q", was, t.Desired.Digest, t.Desired.VerifyDigest, request.Policy, owner, request.Apps.Named)
}

// standing is what is known of a tenant's database: that there is none, or that
// it is as the last deployment left it, by the rule that lets a pass leave it
// alone.
func (l *lookahead) standing(t *bundle.Tenant, at tenantrouter.Location) (string, bool) {
	row, known := l.base.observed.of(t.ID)
	stamp, err := l.Router.Stamp(at)
	if err != nil {
		return "", false
	}
	if stamp == "" && row.BundleDigest == "" && row.Deployment == "" {
		return "new", true
	}
	was := l.base.tenant(t.ID)
	if !known || was == nil || was.Desired == nil || row.Fingerprint == "" || row.AppliedDigest == "" || row.BundleDigest == t.Desired.Digest {
		return "", false
	}
	if row.Sync != state.Synced || row.Health != state.Healthy || row.Reason != "" || !row.PurgeAt.IsZero() && !l.Now().Before(row.PurgeAt) {
		return "", false
	}
	request := l.request(l.base, was)
	if row.InputDigest != inputDigest(request, l.base.policyText(was, request.Policy), at, stamp) {
		return "", false
	}
	return strings.Join([]string{row.Fingerprint, row.AppliedDigest, row.BundleDigest, request.Owner.Fleet, request.Owner.Environment}, " "), true
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// ErrUnknownTenant says that a tenant that was asked for is not in git.
var ErrUnknownTenant = errors.New("no such tenant in this revision")

// reading is a revision that has been read.
type reading struct {
	commit   gitrepo.Commit
	loaded   *bundle.Fleet
	common   common
	observed *known                                // nil without state
	seen     map[protocol.TenantID]*state.Observed // of the tenants that the pass has come to
	gone     map[protocol.TenantID]bool            // those of which nothing is left to observe
	tags     map[string]string                     // commits that tags were deployed from
	asked    map[string]string                     // tags that were asked for, and where they are; empty for one that is not there
	tenants  []*bundle.Tenant                      // those selected
	shared   map[protocol.TenantID]*sharedError
	gate     *gate                              // nil for a pass that only looks
	waiting  *Removal                           // why nothing is removed
	records  map[protocol.TenantID]state.Tenant // see record
	now      time.Time                          // when it was read
	slice    time.Duration                      // see deploy.Request
	past     bool                               // it was asked for, and is not what the branch says
	leapt    bool                               // see clock
}

// revision resolves and loads a revision, and reads what state has of it.
// Whatever goes wrong here concerns the whole fleet, and nothing is done to any
// tenant.
func (r *Reconciler) revision(ctx context.Context, s Selection) (reading, error) {
	f := reading{now: r.Now()}
	var err error
	f.commit, err = r.Repo.Resolve(ctx, s.Revision)
	stands := err != nil && away(err) && s.Revision == "" && r.loaded.fleet != nil
	if stands { // a local repository that is gone; what was read of it stands
		f.commit, f.loaded, f.asked = r.loaded.head, r.loaded.fleet, r.loaded.asked
	} else if err != nil {
		return f, err
	}
	f.seen, f.gone = map[protocol.TenantID]*state.Observed{}, map[protocol.TenantID]bool{}
	if r.Store != nil {
		f.observed, err = r.known(ctx)
		if err == nil {
			f.tags, err = r.Store.Tags(ctx)
		}
		if err != nil {
			return f, err
		}
		if err := r.readHolds(ctx); err != nil {
			return f, err
		}
	}
	if stands {
		return f, nil
	}
	err = r.load(ctx, &f)
	if errors.Is(err, bundle.ErrNoTenants) && f.observed.len() > 0 {
		err = r.emptied(ctx, &f, s, err)
	}
	return f, err
}

// read is revision for those who do something with its tenants.
func (r *Reconciler) read(ctx context.Context, s Selection) (reading, error) {
	f, err := r.revision(ctx, s)
	if err != nil {
		return f, err
	}
	f.common = commonOf(f.loaded.Config)
	policy := SnapshotPolicy(f.loaded.Config)
	r.snapshots.Store(&policy)
	r.approval.Store(&f.loaded.Config.Approval)
	f.shared, r.located = r.shared(f.loaded.Tenants, r.located.recent(f.now, r.Look))
	f.tenants = f.loaded.Tenants
	if len(s.Tenants) > 0 {
		if f.tenants, err = selected(f.loaded.Tenants, s.Tenants); err != nil {
			return f, err
		}
	}
	if r.OnRead != nil {
		r.OnRead(len(f.tenants))
	}
	return f, nil
}

func selected(all []*bundle.Tenant, ids []protocol.TenantID) ([]*bundle.Tenant, error) {
	var chosen []*bundle.Tenant
	for _, t := range all {
		if slices.Contains(ids, t.ID) {
			chosen = append(chosen, t)
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(chosen, func(t *bundle.Tenant) bool { return t.ID == id }) {
			return nil, fmt.Errorf("%w: %q", ErrUnknownTenant, id)
		}
	}
	return chosen, nil
}

// lastRevision is the commit that the fleet was last brought to.
func (r *Reconciler) lastRevision(ctx context.Context) (string, error) {
	last, _, err := r.Store.LastPass(ctx)
	return last.Revision, err
}

// removed lists tenants that were deployed once and are not in git any more.
func removed(f reading, s Selection) []protocol.TenantID {
	if len(s.Tenants) > 0 {
		return nil
	}
	var gone []protocol.TenantID
	var unseen atomic.Int64
	inParallel(len(f.loaded.Tenants), func(i int) {
		if f.observed.peek(f.loaded.Tenants[i].ID) == &noRow {
			unseen.Add(1)
		}
	})
	if len(f.loaded.Tenants)-int(unseen.Load()) == f.observed.len() {
		return nil // nearly always, and 10,000 are not searched for
	}
	for id := range f.observed.tenants() {
		if f.tenant(id) == nil {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	return gone
}

// tenant finds a tenant of the revision, nil when it has none of that id.
func (f reading) tenant(id protocol.TenantID) *bundle.Tenant { return find(f.loaded.Tenants, id) }

// find finds a tenant among some by id, nil when it is none of them.
func find(tenants []*bundle.Tenant, id protocol.TenantID) *bundle.Tenant {
	at, found := slices.BinarySearchFunc(tenants, id, func(t *bundle.Tenant, id protocol.TenantID) int {
		return strings.Compare(string(t.ID), string(id))
	})
	if !found {
		return nil
	}
	return tenants[at]
}

// before is the row of a tenant as it was before the pass, or as that has written
// it since; zero for one without.
func (f reading) before(id protocol.TenantID) state.Observed {
	row, _ := f.observed.of(id)
	return row
}

// peek is what is known of a tenant by now, as known has it.
func (f reading) peek(id protocol.TenantID) *state.Observed {
	if row, ok := f.seen[id]; ok {
		return row
	}
	return f.observed.peek(id)
}

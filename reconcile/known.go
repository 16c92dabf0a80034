package reconcile

import (
	"context"
	"iter"
	"maps"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// known is what is observed of every tenant: as it was before a pass, and as the
// pass has written it since. The nil known is of nobody.
type known struct {
	before state.Seen
	saved  map[protocol.TenantID]*state.Observed
	more   int // tenants of saved that had no row before
}

func (r *Reconciler) known(ctx context.Context) (*known, error) {
	seen, err := r.Store.Seen(ctx)
	return &known{before: seen, saved: map[protocol.TenantID]*state.Observed{}}, err
}

// of returns a tenant's row, and whether there is one.
func (k *known) of(id protocol.TenantID) (state.Observed, bool) {
	if k == nil {
		return state.Observed{}, false
	}
	if row, ok := k.saved[id]; ok {
		return *row, true
	}
	return k.before.Of(id)
}

// noRow is what is known of a tenant of which nothing is.
var noRow state.Observed

// peek returns a tenant's row, or noRow, to be read only, and without its
// revisions: 10,000 are asked several questions in each pass.
func (k *known) peek(id protocol.TenantID) *state.Observed {
	if k == nil {
		return &noRow
	}
	if row, ok := k.saved[id]; ok {
		return row
	}
	if row := k.before.Peek(id); row != nil {
		return row
	}
	return &noRow
}

// save takes note of a row that is written.
func (k *known) save(row state.Observed) {
	if _, ok := k.of(row.Tenant); !ok {
		k.more++
	}
	k.saved[row.Tenant] = &row
}

// len is how many tenants have a row.
func (k *known) len() int {
	if k == nil {
		return 0
	}
	return k.before.Len() + k.more
}

// tenants are those that have a row, in no order.
func (k *known) tenants() iter.Seq[protocol.TenantID] {
	return func(yield func(protocol.TenantID) bool) {
		if k == nil {
			return
		}
		for id := range k.before.Tenants() {
			if !yield(id) {
				return
			}
		}
		for id := range maps.Keys(k.saved) {
			if _, twice := k.before.Of(id); !twice && !yield(id) {
				return
			}
		}
	}
}

// loaded is the revision that was loaded last, and all that the load depended
// on: the same again is the same fleet.
type loaded struct {
	commit string            // empty for none
	head   gitrepo.Commit    // the commit
	tags   map[string]string // that state had
	asked  map[string]string // that the repository was asked for, and where they were
	fleet  *bundle.Fleet
}

// load reads the tree of a revision, or remembers it.
func (r *Reconciler) load(ctx context.Context, f *reading) error {
	if l := r.loaded; l.commit == f.commit.Hash && maps.Equal(l.tags, f.tags) && r.tagsStand(ctx, l.asked) {
		f.loaded, f.asked = l.fleet, l.asked
		return nil
	}
	tree, err := r.Repo.Tree(ctx, f.commit.Hash)
	if err != nil {
		return err
	}
	f.asked = map[string]string{}
	options := BundleOptions(ctx, r.Repo)
	options.Revision, options.Versions, options.Cache = f.commit.Hash, f.tags, r.cache
	options.Version = noting(f.asked, options.Version)
	f.loaded, err = bundle.Load(tree, options)
	r.loaded = loaded{}
	if err == nil && ctx.Err() == nil {
		r.loaded = loaded{f.commit.Hash, f.commit, f.tags, f.asked, f.loaded}
	}
	return err
}

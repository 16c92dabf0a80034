package preview

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
)

const (
	fleetFile = "fleet.yaml"
	maxFaults = 200 // that a report lists: more help nobody
)

// load reads base and the merge result, the latter by its own fleet.yaml, for
// its faults, and by that of base, for the plans.
func (r *run) load(ctx context.Context, merged gitrepo.Merged) error {
	base, err := r.Reconcile.Repo.Tree(ctx, r.base.Hash)
	if err != nil {
		return err
	}
	options := reconcile.BundleOptions(ctx, r.Reconcile.Repo)
	options.Cache = r.Cache
	if r.Reconcile.Store != nil {
		if options.Versions, err = r.Reconcile.Store.Tags(ctx); err != nil {
			return err
		}
	}
	options.Revision = r.base.Hash
	var wrong []bundle.Fault
	if r.before, wrong, err = loadAny(base, options); err != nil || wrong != nil {
		r.stop("fleet.yaml of the base revision is wrong, and no preview goes by it")
		return err
	}
	options.Revision = r.head.Hash
	if r.own, wrong, err = loadAny(merged.Tree, options); err != nil || wrong != nil {
		r.faults(wrong)
		r.stop("fleet.yaml is wrong after the merge, and then nothing would be deployed")
		return err
	}
	r.faults(r.own.Faults)
	if r.after = r.own; !equalFiles(base, merged.Tree, fleetFile) {
		if r.after, wrong, err = loadAny(ruled{merged.Tree, base}, options); wrong != nil {
			r.stop("the merge result does not go with the fleet.yaml of base, which a preview goes by")
		}
	}
	return err
}

// loadAny loads a tree that may have no tenant. Where nothing goes by it, faults
// says why.
func loadAny(tree fs.FS, o bundle.Options) (fleet *bundle.Fleet, faults []bundle.Fault, err error) {
	fleet, err = bundle.Load(tree, o)
	var invalid *bundle.InvalidError
	switch {
	case errors.As(err, &invalid):
		return fleet, invalid.Faults, nil
	case errors.Is(err, bundle.ErrNoTenants):
		return fleet, nil, nil
	}
	return fleet, nil, err
}

// faults reports what base does not have.
func (r *run) faults(after []bundle.Fault) {
	type fault struct{ file, code, message string } // lines move
	had := map[fault]bool{}
	for _, f := range r.before.Faults {
		had[fault{f.File, f.Code, f.Message}] = true
	}
	for _, f := range config.SortFaults(slices.Clone(after)) {
		switch {
		case had[fault{f.File, f.Code, f.Message}]:
			if f.IsError() {
				r.report.Inherited++
			}
		case len(r.report.Faults) == maxFaults:
			r.report.More++
		default:
			r.report.Faults = append(r.report.Faults, f)
		}
	}
	slices.SortStableFunc(r.report.Faults, func(a, b bundle.Fault) int { return severity(a) - severity(b) })
}

// severity puts errors first.
func severity(f bundle.Fault) int {
	if f.IsError() {
		return 0
	}
	return 1
}

func equalFiles(a, b *gitrepo.Tree, name string) bool {
	one, errA := a.Hash(name)
	other, errB := b.Hash(name)
	if errA != nil || errB != nil {
		return errors.Is(errA, fs.ErrNotExist) && errors.Is(errB, fs.ErrNotExist)
	}
	return one == other
}

// ruled is a tree with the fleet.yaml of another one. It embeds neither: whatever
// a Tree learns to do would be done past of.
type ruled struct{ tree, rules *gitrepo.Tree }

func (t ruled) of(name string) *gitrepo.Tree {
	if name == fleetFile {
		return t.rules
	}
	return t.tree
}

func (t ruled) Open(name string) (fs.File, error)          { return t.of(name).Open(name) }
func (t ruled) ReadFile(name string) ([]byte, error)       { return t.of(name).ReadFile(name) }
func (t ruled) ReadDir(name string) ([]fs.DirEntry, error) { return t.of(name).ReadDir(name) }
func (t ruled) Stat(name string) (fs.FileInfo, error)      { return t.of(name).Stat(name) }
func (t ruled) Hash(name string) (string, error)           { return t.of(name).Hash(name) }

func (t ruled) ReadFileMax(name string, limit int64) ([]byte, error) {
	return t.of(name).ReadFileMax(name, limit)
}

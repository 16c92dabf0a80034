package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// The files that a tree is known by.
const (
	fleetFile    = "fleet.yaml"
	appsDir      = "apps"
	appFile      = "app.yaml"
	tenantsDir   = "tenants"
	tenantFile   = "tenant.yaml"
	manifestFile = "bundle.yaml"
)

// Load reads a tree. Its error is of the tree as a whole, and then nothing may
// be changed on account of it: one matching ErrInvalid for a fleet.yaml that
// is broken, ErrNoTenants, beside which the fleet has its policy and nobody
// else, or what kept tenants/ from being read. What is
// wrong with an app or a tenant is in the faults of those it concerns.
func Load(fsys fs.FS, o Options) (*Fleet, error) {
	l := newLoader(fsys, o)
	if err := l.folders(); err != nil {
		return nil, err
	}
	wrong := l.readFleet()
	switch err := l.readTenants(); {
	case err == nil || len(wrong) > 0:
	case errors.Is(err, ErrNoTenants):
		return l.fleet, err
	default:
		return nil, err
	}
	l.misnamed()
	l.databases()
	l.unusedApps()
	l.emptyWaves()
	for _, t := range l.fleet.Tenants {
		if config.HasErrors(t.Faults) {
			t.Desired = nil
		}
	}
	l.fleet.Faults = config.SortFaults(l.fleet.Faults)
	if len(wrong) > 0 { // first of all: nobody is deployed on account of it
		return nil, &InvalidError{Faults: slices.Concat(wrong, l.fleet.Faults)}
	}
	l.session.close()
	return l.fleet, nil
}

// loader reads one tree.
type loader struct {
	tree    tree
	options Options
	cache   *Cache
	session *session
	fleet   *Fleet
	apps    map[string]*app          // of the tree
	tags    map[string]resolution    // of other versions
	sets    map[string]*appSet       // by the ids of the parts of the apps named
	lists   map[string]*appSet       // the same by what tenants say, where nothing is wrong with it
	alone   map[bareSet]*composition // of tenants that bring nothing of their own
	told    map[*composition]bool    // that tenants of this load have; their faults are among the fleet's
}

func newLoader(fsys fs.FS, o Options) *loader {
	if o.Cache == nil {
		o.Cache = NewCache()
	}
	return &loader{
		tree: tree{FS: fsys}, options: o, cache: o.Cache, session: o.Cache.open(),
		fleet: &Fleet{Versions: map[string]string{}, revision: o.Revision}, apps: map[string]*app{}, tags: map[string]resolution{},
		sets: map[string]*appSet{}, lists: map[string]*appSet{}, alone: map[bareSet]*composition{}, told: map[*composition]bool{},
	}
}

// tell adds faults to the tenant and to the fleet.
func (l *loader) tell(t *Tenant, faults ...Fault) {
	if len(faults) > 0 {
		t.Faults = config.SortFaults(slices.Concat(t.Faults, faults))
		l.fleet.Faults = append(l.fleet.Faults, faults...)
	}
}

// folders refuses a tree whose apps or tenants are somewhere else.
func (l *loader) folders() error {
	for _, name := range []string{appsDir, tenantsDir} {
		if info, err := l.tree.Stat(name); err == nil && !info.IsDir() {
			return &InvalidError{Faults: []Fault{l.tree.notAFile(name)}}
		}
	}
	return nil
}

// readFleet reads fleet.yaml. When that has errors it returns its faults, and
// the defaults stand in for what it says, so that the rest is checked as well.
func (l *loader) readFleet() []Fault {
	var data []byte
	if _, err := l.tree.Stat(fleetFile); !errors.Is(err, fs.ErrNotExist) {
		var fault *Fault
		if data, fault = l.tree.read(fleetFile); fault != nil {
			l.fleet.Config, _ = config.ParseFleet(fleetFile, nil)
			return []Fault{*fault}
		}
	}
	fleet, faults := config.ParseFleet(fleetFile, data)
	if config.HasErrors(faults) {
		l.fleet.Config, _ = config.ParseFleet(fleetFile, nil)
		return faults
	}
	l.fleet.Config, l.fleet.Faults = fleet, faults
	return nil
}

func (l *loader) readTenants() error {
	hash, found := l.tree.hash(tenantsDir), l.session.before.tenants
	var err error
	if !found.hashed() || found.hash != hash {
		found, err = l.discover(tenantsDir, hash, 0, found)
	}
	if _, there := l.tree.Stat(tenantsDir); errors.Is(there, fs.ErrNotExist) {
		return ErrNoTenants
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", tenantsDir, err)
	}
	l.session.used.tenants = found
	places := found.all(nil)
	if len(places) == 0 {
		return ErrNoTenants
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.dir, b.dir) })
	tenants, before := make([]*Tenant, len(places)), l.again()
	for i, entry := range l.entries(places) {
		if tenants[i] = before.take(places[i].dir, entry, l.told); tenants[i] == nil {
			tenants[i] = l.tenant(places[i].dir, entry)
		}
	}
	l.session.used.made = made{l.fleet.Config, tenants}
	l.fleet.Tenants = slices.Clone(tenants)
	l.twice()
	return nil
}

// entries reads the directories of tenants, as many at a time as there are
// processors.
func (l *loader) entries(places []place) []*tenantEntry {
	entries := make([]*tenantEntry, len(places))
	var unread []int
	for i, p := range places {
		switch {
		case p.broken != nil:
			entries[i] = brokenTenant(*p.broken)
		case p.at.entry != nil && p.at.hash != "": // as it was read before
			entries[i] = p.at.entry
		default:
			unread = append(unread, i)
		}
	}
	// Few goroutines for many tenants: the stack of each has to grow once.
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(unread)) {
		group.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(unread); n = int(next.Add(1)) - 1 {
				i := unread[n]
				places[i].at.entry = l.readTenant(places[i].dir)
				entries[i] = places[i].at.entry
			}
		})
	}
	group.Wait() // what is wrong is among the faults of the entries
	return entries
}

// twice sorts tenants by id. One id in two directories is an error for both,
// which become one tenant.
func (l *loader) twice() {
	if !slices.IsSortedFunc(l.fleet.Tenants, byID) {
		slices.SortStableFunc(l.fleet.Tenants, byID)
	}
	kept := l.fleet.Tenants[:0]
	for _, t := range l.fleet.Tenants {
		if len(kept) == 0 || kept[len(kept)-1].ID != t.ID {
			kept = append(kept, t)
			continue
		}
		copied := *kept[len(kept)-1] // other loads may have it too
		first := &copied
		kept[len(kept)-1] = first
		for _, at := range []*Tenant{first, t} {
			l.tell(first, at.document.Error([]any{"id"}, codeTenantTwice,
				fmt.Sprintf("tenant %q is in %s and in %s", t.ID, first.Dir, t.Dir), "remove one of them"))
		}
		first.Faults = config.SortFaults(slices.Concat(first.Faults, t.Faults))
	}
	l.fleet.Tenants = kept
}

func byID(a, b *Tenant) int { return cmp.Compare(a.ID, b.ID) }

// misnamed adds a broken tenant for a directory whose tenant.yaml has another
// id: the tenant of that name must not count as removed.
func (l *loader) misnamed() {
	right, added := l.fleet.Tenants, map[protocol.TenantID]bool{}
	for _, t := range right {
		id := protocol.TenantID(path.Base(t.Dir))
		if id == t.ID || added[id] {
			continue
		}
		if _, known := slices.BinarySearchFunc(right, &Tenant{ID: id}, byID); !known {
			added[id] = true
			l.fleet.Tenants = append(l.fleet.Tenants, &Tenant{ID: id, Dir: t.Dir, Spec: t.Spec, Faults: t.Faults, document: t.document})
		}
	}
	if len(added) > 0 {
		slices.SortFunc(l.fleet.Tenants, byID)
	}
}

// databases finds databases that several tenants lead to.
func (l *loader) databases() {
	first := map[string]*Tenant{}
	for _, t := range l.fleet.Tenants {
		if t.Spec.ConnectionConfig == nil {
			continue
		}
		at := address(t.Spec.ConnectionConfig.URL)
		other := first[at]
		switch {
		case other == nil:
			first[at] = t
		case other.Dir != t.Dir: // else it is one file under two names
			l.sameDatabase(other, t)
			l.sameDatabase(t, other)
		}
	}
}

func (l *loader) sameDatabase(t, other *Tenant) {
	l.tell(t, t.document.Error([]any{"connectionConfig", "url"}, codeURLShared,
		fmt.Sprintf("this is the database of tenant %q as well", other.ID), "give each tenant a database of its own"))
}

// unusedApps reads the apps that no tenant uses, for their faults.
func (l *loader) unusedApps() {
	entries, err := l.tree.ReadDir(appsDir)
	if err != nil {
		return // no apps, or tenants that use one say so
	}
	for _, e := range entries {
		if isOther(e) {
			l.fleet.Faults = append(l.fleet.Faults, l.tree.notAFile(path.Join(appsDir, e.Name())))
		}
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && l.apps[e.Name()] == nil {
			if a := l.app(e.Name()); a != nil {
				l.fleet.Faults = append(l.fleet.Faults, l.options.composeAll([]*part{a.part}, a.faults, false).faults...)
			}
		}
	}
}

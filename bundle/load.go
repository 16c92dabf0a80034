package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

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

// maxTenantDepth is how deep below tenants/ a tenant may be.
const maxTenantDepth = 16

// Load reads a tree. Its error is of the tree as a whole, and then nothing may
// be changed on account of it: one matching ErrInvalid for a fleet.yaml that
// is broken, ErrNoTenants, or what kept tenants/ from being read. What is
// wrong with an app or a tenant is in the faults of those it concerns.
func Load(fsys fs.FS, o Options) (*Fleet, error) {
	if o.Cache == nil {
		o.Cache = NewCache()
	}
	l := &loader{
		tree: tree{FS: fsys}, options: o, cache: o.Cache, session: o.Cache.open(),
		fleet: &Fleet{Versions: map[string]string{}}, ids: map[protocol.TenantID]*Tenant{},
		urls: map[string][]*Tenant{}, told: map[*composition]bool{}, apps: map[string]*app{},
	}
	if err := l.readFleet(); err != nil {
		return nil, err
	}
	if err := l.readTenants(); err != nil {
		return nil, err
	}
	l.shared()
	l.unusedApps()
	l.session.close()
	for _, t := range l.fleet.Tenants {
		t.Faults = config.SortFaults(t.Faults)
		if config.HasErrors(t.Faults) {
			t.Desired = nil
		}
	}
	slices.SortFunc(l.fleet.Tenants, func(a, b *Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	l.fleet.Faults = config.SortFaults(l.fleet.Faults)
	return l.fleet, nil
}

// loader reads one tree.
type loader struct {
	tree    tree
	options Options
	cache   *Cache
	session *session
	fleet   *Fleet
	ids     map[protocol.TenantID]*Tenant
	urls    map[string][]*Tenant
	apps    map[string]*app // by name, and by name@version
	told    map[*composition]bool
}

// hash names the content of a file or directory, where the tree can.
func (t tree) hash(name string) string {
	if named, ok := t.FS.(interface{ Hash(string) (string, error) }); ok {
		if hash, err := named.Hash(name); err == nil {
			return hash
		}
	}
	return ""
}

// tell adds faults to the tenant and to the fleet.
func (l *loader) tell(t *Tenant, faults ...Fault) {
	t.Faults = append(t.Faults, faults...)
	l.fleet.Faults = append(l.fleet.Faults, faults...)
}

func (l *loader) readFleet() error {
	_, err := fs.Stat(l.tree, fleetFile)
	var data []byte
	switch {
	case errors.Is(err, fs.ErrNotExist):
	default:
		var fault *Fault
		if data, fault = l.tree.read(fleetFile); fault != nil {
			return &InvalidError{Faults: []Fault{*fault}}
		}
	}
	fleet, faults := config.ParseFleet(fleetFile, data)
	if config.HasErrors(faults) {
		return &InvalidError{Faults: faults}
	}
	l.fleet.Config, l.fleet.Faults = fleet, faults
	return nil
}

// place is a directory below tenants/ that is, or was meant to be, a tenant's.
type place struct {
	dir    string
	broken bool // it has definitions and no tenant.yaml
}

func (l *loader) readTenants() error {
	places, err := l.discover(tenantsDir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoTenants
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", tenantsDir, err)
	}
	if len(places) == 0 {
		return ErrNoTenants
	}
	for _, p := range places {
		l.tenant(p)
	}
	return nil
}

// discover finds the tenants of a directory, at any depth.
func (l *loader) discover(dir string, depth int) ([]place, error) {
	if depth > maxTenantDepth {
		return nil, fmt.Errorf("%s is more than %d directories deep", dir, maxTenantDepth)
	}
	var failed error
	places := remember(l.session, "places", dir, l.tree.hash(dir), func() []place {
		found, err := l.discoverNow(dir, depth)
		failed = err
		return found
	})
	return places, failed
}

func (l *loader) discoverNow(dir string, depth int) ([]place, error) {
	entries, err := fs.ReadDir(l.tree, dir)
	if err != nil {
		return nil, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	switch {
	case dir != tenantsDir && has(tenantFile):
		return []place{{dir: dir}}, nil
	case dir != tenantsDir && (has(manifestFile) || has(compiledFile) ||
		slices.ContainsFunc(forms[:], func(f struct{ dir, key, word string }) bool { return has(f.dir) })):
		return []place{{dir: dir, broken: true}}, nil
	}
	var places []place
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		below, err := l.discover(path.Join(dir, e.Name()), depth+1)
		if err != nil {
			return nil, err
		}
		places = append(places, below...)
	}
	return places, nil
}

// shared finds databases that several tenants lead to.
func (l *loader) shared() {
	for url, tenants := range l.urls {
		for _, t := range tenants {
			if len(tenants) > 1 {
				other := tenants[0]
				if other == t {
					other = tenants[1]
				}
				l.tell(t, t.document.Error([]any{"connectionConfig", "url"}, codeURLShared,
					fmt.Sprintf("%s is the database of tenant %q as well", redacted(url), other.ID), "give each tenant a database of its own"))
			}
		}
	}
}

// redacted is a URL without what may be secret in it.
func redacted(url string) string {
	url, _, _ = strings.Cut(url, "?")
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		if _, host, has := strings.Cut(rest, "@"); has {
			rest = host
		}
		return scheme + "://" + rest
	}
	return url
}

// unusedApps reads the apps that no tenant uses, for their faults.
func (l *loader) unusedApps() {
	entries, err := fs.ReadDir(l.tree, appsDir)
	if err != nil {
		return // no apps, or tenants that use one say so
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && l.apps[e.Name()] == nil {
			if a := l.app(e.Name()); a != nil {
				l.fleet.Faults = append(l.fleet.Faults, composeAll([]*part{a.part}, a.faults).faults...)
			}
		}
	}
}

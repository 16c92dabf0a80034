package bundle

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
)

// maxTenantDepth is how deep below tenants/ a tenant may be.
const maxTenantDepth = 16

// directory is a directory below tenants/ that was looked at: a tenant's, or
// one that holds others.
type directory struct {
	hash     string // empty where the tree has none
	places   []place
	children []child      // by name
	entry    *tenantEntry // of a tenant's, once it was read
}

// child is a directory below another one.
type child struct {
	name string
	*directory
}

// named finds a child among those from a name on, which it returns: names are
// asked for in their order.
func named(children []child, name string) (*directory, []child) {
	for len(children) > 0 && children[0].name < name {
		children = children[1:]
	}
	if len(children) == 0 || children[0].name != name {
		return nil, children
	}
	return children[0].directory, children[1:]
}

// place is a directory that is, or was meant to be, a tenant's.
type place struct {
	dir    string
	broken *Fault     // why nothing of it can be read
	at     *directory // nil for one that is broken
}

// all appends the places of the directory and of those below it.
func (d *directory) all(places []place) []place {
	places = append(places, d.places...)
	for _, child := range d.children {
		places = child.all(places)
	}
	return places
}

// hashed tells that a directory was looked at before, and when it had which hash.
func (d *directory) hashed() bool { return d != nil && d.hash != "" }

// discover finds the tenants of a directory, at any depth. One below it that has
// the hash it had before is not looked at again.
func (l *loader) discover(dir, hash string, depth int, before *directory) (*directory, error) {
	d := &directory{hash: hash}
	if depth > maxTenantDepth {
		return nil, fmt.Errorf("%s is more than %d directories deep", dir, maxTenantDepth)
	}
	entries, err := l.tree.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if p, ok := l.placeOf(dir, entries); ok && depth > 0 {
		if p.broken == nil {
			p.at = d
		}
		d.places = append(d.places, p)
		return d, nil
	}
	var old []child
	if before != nil {
		old = before.children
		d.children = make([]child, 0, len(old)+1)
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case isOther(e):
			name := path.Join(dir, e.Name())
			f := l.tree.notAFile(name)
			d.places = append(d.places, place{dir: name, broken: &f})
		case e.IsDir():
			var found *directory
			found, old = named(old, e.Name())
			if !found.hashed() || !l.tree.has(dir, e, found.hash) { // of 10,000 nearly all have
				if found, err = l.discover(path.Join(dir, e.Name()), l.tree.hashOf(dir, e), depth+1, found); err != nil {
					return nil, err
				}
			}
			d.children = append(d.children, child{e.Name(), found})
		}
	}
	return d, nil
}

// placeOf reports whether a directory is a tenant's. One that has anything of a
// tenant but its tenant.yaml has lost it, and is no removed one.
func (l *loader) placeOf(dir string, entries []fs.DirEntry) (place, bool) {
	left := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == tenantFile && e.Type().IsRegular():
			return place{dir: dir}, true
		case name == tenantFile && isOther(e):
			f := l.tree.notAFile(path.Join(dir, name))
			return place{dir: dir, broken: &f}, true
		case name == tenantFile,
			slices.Contains([]string{manifestFile, compiledFile, "tenant.yml", "tenant.json"}, name),
			e.IsDir() && isForm(name) && !l.holdsTenants(path.Join(dir, name)):
			left = name
		}
	}
	if left == "" {
		return place{}, false
	}
	return lost(dir, path.Join(dir, tenantFile), codeTenantBroken,
		fmt.Sprintf("the directory has %s and no file %s", left, tenantFile), "put it back, or remove the whole directory"), true
}

// holdsTenants reports whether a directory that is named like one of
// definitions holds tenants instead.
func (l *loader) holdsTenants(dir string) bool {
	entries, _ := l.tree.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() || e.Name() == tenantFile })
}

func lost(dir, file, code, message, next string) place {
	f := config.FileError(file, code, message, next)
	return place{dir: dir, broken: &f}
}

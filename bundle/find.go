package bundle

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// FindTenant returns the directory of a tenant: one of its name with a
// tenant.yaml, at any depth. It returns where a new one belongs, and false, when
// there is none.
func FindTenant(fsys fs.FS, id protocol.TenantID) (dir string, found bool, err error) {
	usual := path.Join(tenantsDir, string(id))
	if _, err := fs.Stat(fsys, path.Join(usual, tenantFile)); err == nil {
		return usual, true, nil
	}
	dir = usual
	err = fs.WalkDir(fsys, tenantsDir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case name == tenantsDir && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case strings.HasPrefix(d.Name(), "."), strings.Count(name, "/") > maxTenantDepth:
			return fs.SkipDir
		}
		switch _, err := fs.Stat(fsys, path.Join(name, tenantFile)); {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it may hold tenants
		case err != nil:
			return err
		case d.Name() != string(id):
			return fs.SkipDir
		}
		dir, found = name, true
		return fs.SkipAll
	})
	return dir, found, err
}

// TenantFile is the path of the tenant.yaml of a directory.
func TenantFile(dir string) string { return path.Join(dir, tenantFile) }

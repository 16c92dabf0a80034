package provision

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/protocol"
)

// What an Edit finds in git.
var (
	// ErrInGit says that git has the tenant already.
	ErrInGit = errors.New("tenant is in git already")
	// ErrNotInGit says that git does not have the tenant.
	ErrNotInGit = errors.New("tenant is not in git")
)

// Edit is what becomes of a tenant's directory in git: one of New, Remove, and
// words that are set.
type Edit struct {
	Tenant protocol.TenantID
	New    *bundle.TenantSpec
	Remove bool
	Status protocol.TenantProvisioningStatus // empty to leave it
	Plan   protocol.TenantPlan               // likewise
}

// Files returns the files that the edit changes in a tree, by path, as
// gitrepo.Change has them. It is empty where the tree says it already. Errors
// match ErrInGit or ErrNotInGit, or say why only a person can change the file.
func (e Edit) Files(tree fs.FS, c config.Fleet) (map[string][]byte, error) {
	dir, found, err := bundle.FindTenant(tree, e.Tenant)
	if err != nil {
		return nil, fmt.Errorf("look for tenant %q: %w", e.Tenant, err)
	}
	file := bundle.TenantFile(dir)
	switch {
	case e.New != nil && found:
		return nil, fmt.Errorf("%w: %s", ErrInGit, file)
	case e.New != nil:
		text, err := bundle.Write(*e.New, c)
		return map[string][]byte{file: text}, err
	case !found:
		return nil, fmt.Errorf("%w: %q", ErrNotInGit, e.Tenant)
	case e.Remove:
		return map[string][]byte{dir: nil}, nil
	}
	return e.words(tree, file)
}

func (e Edit) words(tree fs.FS, file string) (map[string][]byte, error) {
	before, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, err
	}
	text := before
	for _, word := range []struct{ key, value string }{{"provisioningStatus", string(e.Status)}, {"plan", string(e.Plan)}} {
		if word.value == "" {
			continue
		}
		if text, err = bundle.Edit(text, word.key, word.value); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if string(text) == string(before) {
		return nil, nil
	}
	return map[string][]byte{file: text}, nil
}

package tenantrouter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// Found is a database in the directory of those that the reconciler keeps, and
// the tenant that its name says.
type Found struct {
	Tenant protocol.TenantID
	Location
}

// List returns the databases in the directory of those that the reconciler
// keeps, by name, whoever made them.
func (r *Router) List() ([]Found, error) {
	entries, err := os.ReadDir(r.tenants)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list tenant databases: %w", err)
	}
	var found []Found
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".db"); ok && !e.IsDir() {
			found = append(found, Found{protocol.TenantID(id), Location{Path: filepath.Join(r.tenants, e.Name())}})
		}
	}
	return found, nil
}

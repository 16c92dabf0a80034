// Package tenantrouter leads from a tenant to its database: which one it is,
// whether it may be opened or created, and whether it has been touched.
package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
)

// ErrNotServed says that a tenant's connection is of a kind that this
// reconciler cannot reach yet.
var ErrNotServed = errors.New("connection is not served yet")

// ErrOutside says that a file URL leads outside the directories that the
// operator allows.
var ErrOutside = errors.New("file is outside the data directory and the file root")

// Config says where tenant databases may be.
type Config struct {
	DataDir  string // databases without a URL are below its tenants directory
	FileRoot string // file URLs may also lead here; empty for nowhere else
}

// Router finds tenant databases. It holds no state and may be shared.
type Router struct{ config Config }

// New returns a Router. The data directory gets its tenants directory.
func New(c Config) (*Router, error) {
	for _, dir := range []*string{&c.DataDir, &c.FileRoot} {
		if *dir == "" {
			continue
		}
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("locate tenant databases: %w", err)
		}
		*dir = absolute
	}
	return &Router{config: c}, nil
}

// Location is where a tenant's database is.
type Location struct{ Path string }

// Locate returns where the database of a tenant is. connection is nil for a
// tenant whose database the reconciler keeps itself.
func (r *Router) Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Location, error) {
	if connection == nil {
		return Location{Path: filepath.Join(r.config.DataDir, "tenants", string(tenant)+".db")}, nil
	}
	address, isFile := strings.CutPrefix(connection.URL, "file:")
	if !isFile {
		scheme, _, _ := strings.Cut(connection.URL, ":")
		return Location{}, fmt.Errorf("%w: tenant %q has a %s URL; use a file: URL or leave connectionConfig out", ErrNotServed, tenant, scheme)
	}
	address, query, _ := strings.Cut(address, "?")
	if query != "" {
		return Location{}, fmt.Errorf("tenant %q: a file URL takes no parameters", tenant)
	}
	path, err := url.PathUnescape(strings.TrimPrefix(address, "//"))
	if err != nil {
		return Location{}, fmt.Errorf("tenant %q: read file URL: %w", tenant, err)
	}
	return r.inside(tenant, path)
}

// inside accepts a path that stays below the data directory or the file root
// after its links are followed.
func (r *Router) inside(tenant protocol.TenantID, path string) (Location, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.config.DataDir, path)
	}
	path = filepath.Clean(path)
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return Location{}, fmt.Errorf("tenant %q: its directory: %w", tenant, err)
	}
	resolved := filepath.Join(directory, filepath.Base(path))
	if target, err := filepath.EvalSymlinks(resolved); err == nil {
		resolved = target
	}
	for _, root := range []string{r.config.DataDir, r.config.FileRoot} {
		if root == "" {
			continue
		}
		if real, err := filepath.EvalSymlinks(root); err == nil && strings.HasPrefix(resolved, real+string(filepath.Separator)) {
			return Location{Path: resolved}, nil
		}
	}
	return Location{}, fmt.Errorf("%w: tenant %q at %s; move it, or start with --file-root", ErrOutside, tenant, path)
}

// Open opens a tenant's database for writing. create allows a missing file to
// be made; without it a missing file gives database.ErrMissing.
func (r *Router) Open(ctx context.Context, at Location, create bool) (database.Conn, error) {
	if create {
		if err := os.MkdirAll(filepath.Dir(at.Path), 0o700); err != nil {
			return nil, fmt.Errorf("make the tenants directory: %w", err)
		}
	}
	return libsql.Open(ctx, at.Path, libsql.Options{Create: create, WAL: true})
}

// OpenReadOnly opens a tenant's database to look at it.
func (r *Router) OpenReadOnly(ctx context.Context, at Location) (database.Conn, error) {
	return libsql.Open(ctx, at.Path, libsql.Options{ReadOnly: true})
}

// Stamp tells two states of a database file apart without opening it: equal
// stamps mean that nobody has committed in between. It is empty when there is
// no file.
func (r *Router) Stamp(at Location) (string, error) {
	file, err := os.Stat(at.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at the database file: %w", err)
	}
	stamp := fmt.Sprintf("%d %d", file.Size(), file.ModTime().UnixNano())
	if wal, err := os.Stat(at.Path + "-wal"); err == nil && wal.Size() > 0 {
		stamp += fmt.Sprintf(" %d %d", wal.Size(), wal.ModTime().UnixNano())
	}
	return stamp, nil
}

package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/tenantops/reconciler/apply"
	"github.com/tenantops/reconciler/protocol"
)

// ErrNoSnapshot says that a tenant has no snapshot of an id, or several.
var ErrNoSnapshot = errors.New("no such snapshot")

// Snapshots is a directory of copies of tenants' databases, a file for each:
// <tenant>/<id>.db. Other files in it are nobody's business. Without a
// directory there are none.
type Snapshots struct{ Dir string }

// Snapshot is a copy of a tenant's database.
type Snapshot struct {
	Tenant  protocol.TenantID
	ID      string // of the deployment, or the restore, that it was taken for
	Path    string
	Size    int64     // in bytes
	TakenAt time.Time // when that began
}

func (s Snapshots) path(tenant protocol.TenantID, id string) string {
	return filepath.Join(s.Dir, string(tenant), id+extension)
}

const extension = ".db"

// List returns the snapshots of a tenant, or of all for an empty one: by
// tenant, and each tenant's oldest first.
func (s Snapshots) List(tenant protocol.TenantID) ([]Snapshot, error) {
	tenants := []string{string(tenant)}
	var err error
	if tenant == "" {
		if tenants, err = names(s.Dir); err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
	}
	var found []Snapshot
	for _, tenant := range tenants {
		files, err := names(filepath.Join(s.Dir, tenant))
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		for _, file := range files {
			at, ok := s.snapshot(protocol.TenantID(tenant), file)
			if !ok {
				continue
			}
			info, err := os.Stat(at.Path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // somebody has just removed it
			}
			if err != nil {
				return nil, fmt.Errorf("list snapshots: %w", err)
			}
			at.Size = info.Size()
			found = append(found, at)
		}
	}
	return found, nil
}

// names lists a directory in byte order. What is no directory, or not there,
// has none.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list, err
}

// snapshot reads a file's name. An id is a UUIDv7, which says when it was
// made; anything else was put there by somebody else.
func (s Snapshots) snapshot(tenant protocol.TenantID, file string) (Snapshot, bool) {
	id, isCopy := strings.CutSuffix(file, extension)
	parsed, err := uuid.Parse(id)
	if !isCopy || err != nil || parsed.Version() != 7 || parsed.String() != id {
		return Snapshot{}, false
	}
	return Snapshot{
		Tenant: tenant, ID: id, Path: s.path(tenant, id),
		TakenAt: time.Unix(parsed.Time().UnixTime()),
	}, true
}

// Find returns the snapshot of a tenant whose id begins so. Its errors match
// ErrNoSnapshot.
func (s Snapshots) Find(tenant protocol.TenantID, id string) (Snapshot, error) {
	all, err := s.List(tenant)
	if err != nil {
		return Snapshot{}, err
	}
	found := slices.DeleteFunc(all, func(at Snapshot) bool { return !strings.HasPrefix(at.ID, strings.ToLower(id)) })
	switch {
	case len(found) == 0 || id == "":
		return Snapshot{}, fmt.Errorf("%w: tenant %q has none that begins with %q; see reconciler snapshots", ErrNoSnapshot, tenant, id)
	case len(found) > 1:
		return Snapshot{}, fmt.Errorf("%w: %d of tenant %q begin with %q; give more of the id", ErrNoSnapshot, len(found), tenant, id)
	}
	return found[0], nil
}

// remove removes the file, which may have gone already.
func (s Snapshot) remove() error {
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove snapshot: %w", err)
	}
	return nil
}

// RemoveAll removes the snapshots of a tenant and returns those that are gone,
// also with an error.
func (s Snapshots) RemoveAll(tenant protocol.TenantID) ([]Snapshot, error) {
	if s.Dir == "" || tenant == "" {
		return nil, nil
	}
	all, err := s.List(tenant)
	if err == nil {
		err = s.removeParts(tenant)
	}
	for i := 0; err == nil && i < len(all); i++ {
		if err = all[i].remove(); err != nil {
			return all[:i], err
		}
	}
	return all, err
}

// removeParts removes the copies of a tenant that a process which died has left
// unfinished: one process works on the directory, and on a tenant one worker.
func (s Snapshots) removeParts(tenant protocol.TenantID) error {
	dir := filepath.Join(s.Dir, string(tenant))
	files, err := names(dir)
	for _, file := range files {
		if strings.Contains(file, apply.PartSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, file)))
		}
	}
	if err != nil {
		return fmt.Errorf("remove unfinished snapshots: %w", err)
	}
	return nil
}

// Package tenantrouter leads from a tenant to its database: which one it is,
// whether it may be opened or created, whether another tenant has the same, and
// whether it has been touched.
package tenantrouter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/internal/reason"
	"github.com/tenantops/reconciler/protocol"
)

// ErrNotServed says that a tenant's connection is of a kind that this
// reconciler cannot reach yet.
var ErrNotServed = errors.New("connection is not served yet")

// ErrOutside says that a file URL leads outside the directories that the
// operator allows, or to a file of the reconciler's own.
var ErrOutside = errors.New("no place for a tenant's database")

// LocationError says why a tenant has no place for its database. It matches ErrNotServed, ErrOutside, database.ErrMissing or ErrPermission, and
// has a reason in one word and the next step, for a status.
type LocationError struct {
	Tenant       protocol.TenantID
	Err          error
	reason, next string
}

func (e *LocationError) Error() string { return fmt.Sprintf("tenant %q: %v", e.Tenant, e.Err) }
func (e *LocationError) Unwrap() error { return e.Err }

// Reason is the word for programs.
func (e *LocationError) Reason() string { return e.reason }

// Next is the next step, for people.
func (e *LocationError) Next() string { return e.next }

// Config says where tenant databases may be.
type Config struct {
	DataDir  string // databases without a URL are below its tenants directory
	FileRoot string // file URLs may also lead here; empty for nowhere else
	// Placements are the databases that were made on servers. May be nil.
	Placements *Placements
	Servers    Servers // that databases may be on; of the zero value, none
}

// Router finds tenant databases. It holds no state and may be shared.
type Router struct {
	config  Config
	tenants string // directory of databases without a URL
}

// New returns a Router. Neither directory has to exist yet.
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
	return &Router{config: c, tenants: filepath.Join(c.DataDir, "tenants")}, nil
}

// Location is where a tenant's database is: in a file, or on a server.
type Location struct {
	Path   string // of a file; empty for a server
	Remote string // URL of a database on a server, without secrets; empty for a file

	host  int           // of Remote, among Servers.Hosts
	token config.Secret // of Remote

	placed protocol.TenantID // whose database the reconciler had made there; empty for others
}

// Name is the path or the URL. It holds no secret.
func (l Location) Name() string {
	if l.Remote != "" {
		return l.Remote
	}
	return l.Path
}

// Locate returns where the database of a tenant is. connection is nil for a
// tenant whose database the reconciler keeps itself. A path of a file URL has
// its links followed, and is relative to the data directory.
//
// Its errors are LocationErrors. One matches database.ErrMissing for a directory
// that is not there: that of a volume that is not mounted must not be made on
// the one below.
func (r *Router) Locate(tenant protocol.TenantID, connection *protocol.TenantConnectionConfig) (Location, error) {
	if placed := r.config.Placements.connection(tenant); connection == nil && placed != nil {
		at, err := r.remote(tenant, placed)
		at.placed = tenant
		return at, err
	}
	if connection == nil {
		return Location{Path: r.tenants + string(filepath.Separator) + string(tenant) + ".db"}, nil
	}
	switch scheme, _, _ := strings.Cut(connection.URL, ":"); scheme {
	case "file":
	case "libsql", "https", "http":
		return r.remote(tenant, connection)
	default:
		return Location{}, &LocationError{
			Tenant: tenant, Err: fmt.Errorf("%w: it has a %s URL", ErrNotServed, scheme),
			reason: reason.NotServed, next: "use a file:, libsql:, https: or http: URL, or leave connectionConfig out",
		}
	}
	path, err := bundle.FilePath(connection.URL)
	if err != nil {
		return Location{}, &LocationError{
			Tenant: tenant, Err: fmt.Errorf("%w: its URL %w", ErrOutside, err),
			reason: reason.InvalidURL, next: "correct connectionConfig.url",
		}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.config.DataDir, path)
	}
	resolved, wrong := r.inside(path)
	if wrong != nil {
		wrong.Tenant = tenant
		return Location{}, wrong
	}
	return Location{Path: resolved}, nil
}

// DataDir is the data directory, and FileRoot the other one that databases may
// be in; absolute, FileRoot may be empty.
func (r *Router) DataDir() string { return r.config.DataDir }

// FileRoot is documented with DataDir.
func (r *Router) FileRoot() string { return r.config.FileRoot }

// Placements are the databases that were made on servers; nil for none.
func (r *Router) Placements() *Placements { return r.config.Placements }

// inside accepts a path that stays below the data directory or the file root
// after its links are followed.
func (r *Router) inside(path string) (string, *LocationError) {
	resolved, err := follow(path)
	if err != nil {
		return "", unreachable(err)
	}
	data, err := follow(r.config.DataDir)
	if err != nil {
		return "", unreachable(err)
	}
	name, inData := below(data, resolved)
	inRoot := false
	if root, err := follow(r.config.FileRoot); r.config.FileRoot != "" && err == nil {
		_, inRoot = below(root, resolved)
	}
	directory := filepath.Dir(resolved)
	switch {
	case !inData && !inRoot:
		err := fmt.Errorf("%w: %s is outside the data directory and the file root", ErrOutside, path)
		return "", &LocationError{Err: err, reason: reason.OutsideDirectory, next: "move it, or start with --file-root"}
	case inData && isOwn(name):
		err := fmt.Errorf("%w: %s is where the reconciler keeps its own", ErrOutside, path)
		return "", &LocationError{Err: err, reason: reason.OutsideDirectory, next: "give it another name"}
	case inData && (directory == data || directory == filepath.Join(data, "tenants")):
		return resolved, nil // both are made where they are missing
	}
	if _, err := os.Stat(directory); err != nil {
		return "", unreachable(err)
	}
	return resolved, nil
}

// unreachable is a directory that cannot be looked into.
func unreachable(err error) *LocationError {
	if errors.Is(err, fs.ErrPermission) {
		return &LocationError{
			Err: fmt.Errorf("%w: %w", database.ErrPermission, err), reason: reason.PermissionDenied,
			next: "let the reconciler's user read and write the file and its directory",
		}
	}
	return &LocationError{
		Err: fmt.Errorf("%w: %w", database.ErrMissing, err), reason: reason.Missing, next: "mount the volume, or make the directory",
	}
}

// follow resolves the links of a path as far as it exists. A link that leads
// to nothing is an error: what a file made through it would be is not known.
func follow(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return resolved, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is a link that leads to nothing", path)
	}
	directory, err := follow(filepath.Dir(path))
	return filepath.Join(directory, filepath.Base(path)), err
}

// below returns the path of a file relative to a directory that holds it.
func below(dir, path string) (string, bool) {
	return strings.CutPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// isOwn reports whether a name below the data directory is one that the
// reconciler has for itself.
func isOwn(name string) bool {
	first, _, _ := strings.Cut(name, string(filepath.Separator))
	switch first {
	case "state.db", "lock", "reconciler.sock", "git", "snapshots", "backups", "scratch":
		return true
	}
	return strings.HasPrefix(first, "state.db.") // one that was set aside
}

// Identity is equal for locations that lead to one database: to one file, whatever symbolic or
// hard links lead there, also where that does not exist yet. It is a key for
// comparing and means nothing to another process.
func (r *Router) Identity(at Location) string {
	if at.Remote != "" {
		return r.config.Servers.identity(at)
	}
	if key, ok := inode(at.Path); ok {
		return key
	}
	path, err := follow(at.Path)
	if err != nil {
		path = filepath.Clean(at.Path)
	}
	if key, ok := inode(filepath.Dir(path)); ok {
		return key + "/" + filepath.Base(path)
	}
	return path
}

// IsFile tells that what Identity gave for a file is one that exists.
func IsFile(identity string) bool { return !strings.Contains(identity, "/") }

func inode(path string) (string, bool) {
	stat, err := look(path)
	if err != nil {
		return "", false
	}
	return string(strconv.AppendUint(append(strconv.AppendUint(make([]byte, 0, 40), stat.Dev, 10), ':'), stat.Ino, 10)), true
}

// look is os.Stat for those who look at every file of a fleet: it makes nothing
// that is thrown away again.
func look(path string) (stat syscall.Stat_t, err error) {
	for {
		if err = syscall.Stat(path, &stat); !errors.Is(err, syscall.EINTR) {
			return stat, err
		}
	}
}

// Open opens a tenant's database for writing. create allows a missing file to
// be made; without it a missing file gives database.ErrMissing.
//
// A database on a server is never made here, and is not reached before the
// first statement: that it is not there is an error of that, database.ErrAway.
func (r *Router) Open(ctx context.Context, at Location, create bool) (database.Conn, error) {
	if at.Remote != "" {
		return r.connect(ctx, at, false)
	}
	if create {
		if err := os.MkdirAll(r.tenants, 0o700); err != nil {
			return nil, fmt.Errorf("make the tenants directory: %w", err)
		}
	}
	return libsql.Open(ctx, at.Path, libsql.Options{Create: create, WAL: true})
}

// OpenReadOnly opens a tenant's database to look at it.
func (r *Router) OpenReadOnly(ctx context.Context, at Location) (database.Conn, error) {
	if at.Remote != "" {
		return r.connect(ctx, at, true)
	}
	return libsql.Open(ctx, at.Path, libsql.Options{ReadOnly: true})
}

// openShared opens one of several connections to a tenant's database, for an
// application.
func (r *Router) openShared(ctx context.Context, at Location, readOnly bool) (database.Conn, error) {
	if at.Remote != "" {
		return r.connect(ctx, at, readOnly)
	}
	return libsql.Open(ctx, at.Path, libsql.Options{Shared: true, ReadOnly: readOnly})
}

// Stamp tells two states of a database file apart without opening it: equal
// stamps mean that nobody has committed in between. It costs less than the
// file's header, whose schema cookie says less: a cookie can come back, does not
// move with rows, and is out of date while a write-ahead log holds the newer
// page. It is empty when there is no file. That of a database on a server moves
// with time alone, see Servers.Look.
func (r *Router) Stamp(at Location) (string, error) {
	if at.Remote != "" {
		return r.config.Servers.look(at), nil
	}
	stamp, err := r.StampOfFile(at)
	if wal, err := look(at.Path + "-wal"); err == nil && stamp != "" && wal.Size > 0 {
		stamp += " " + stampOf(wal)
	}
	return stamp, err
}

// StampOfFile is the Stamp that a database will have when what is in its log is
// in its file and the log is gone.
func (r *Router) StampOfFile(at Location) (string, error) {
	file, err := look(at.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: %w", database.ErrPermission, err)
	}
	if err != nil {
		return "", fmt.Errorf("look at the database file: %w", &fs.PathError{Op: "stat", Path: at.Path, Err: err})
	}
	return stampOf(file), nil
}

// stampOf tells two states of a file apart. Its inode and the time of its last
// change of any kind, which nobody can set, are among what it says: a copy that
// was put in its place with the old times is another file.
func stampOf(file syscall.Stat_t) string {
	stamp := make([]byte, 0, 80)
	for i, n := range [...]int64{file.Size, file.Mtim.Nano(), int64(file.Ino), file.Ctim.Nano()} {
		if i > 0 {
			stamp = append(stamp, ' ')
		}
		stamp = strconv.AppendInt(stamp, n, 10)
	}
	return string(stamp)
}

package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/libsql"
)

// Vault keeps backups: a directory, later an object store. Names have slashes
// between their parts, and a name that is there is replaced as a whole.
type Vault interface {
	// Put keeps what a reader gives, durably, and returns its URL.
	Put(ctx context.Context, name string, content io.Reader) (url string, err error)
	// Open reads what a URL of Put leads to. It gives an error matching
	// fs.ErrNotExist when there is nothing.
	Open(ctx context.Context, url string) (io.ReadCloser, error)
	// Remove removes it. That it is not there is no error.
	Remove(ctx context.Context, url string) error
}

// Directory is a Vault in a directory of this machine.
type Directory struct{ Path string }

// Directories returns what Config.Backups is for file: URLs: a relative one
// leads into dataDir, and an absolute one must lead into it or below root, which
// may be empty. So a repository can name no other place of this machine.
func Directories(dataDir, root string) func(config.Backup) (Vault, error) {
	return func(b config.Backup) (Vault, error) {
		rest, isFile := strings.CutPrefix(b.To, "file:")
		if !isFile {
			scheme, _, _ := strings.Cut(b.To, ":")
			return nil, fmt.Errorf("backup.to: backups to %s: are not served yet (use a file: URL)", scheme)
		}
		path, err := url.PathUnescape(strings.TrimPrefix(rest, "//"))
		if err != nil || path == "" || strings.ContainsRune(path, 0) {
			return nil, fmt.Errorf("backup.to: %q is no file: URL (write file:backups or file:///var/backups)", b.To)
		}
		for i, dir := range []*string{&dataDir, &root} {
			if *dir == "" && i == 1 {
				continue
			}
			if *dir, err = filepath.Abs(*dir); err != nil {
				return nil, fmt.Errorf("backup.to: %w", err)
			}
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dataDir, path)
		}
		path = filepath.Clean(path)
		for _, own := range []string{"tenants", "git", "snapshots", "scratch"} {
			if within(filepath.Join(dataDir, own), path) {
				return nil, fmt.Errorf("backup.to: %s is where the reconciler keeps its own (give the backups a directory)", path)
			}
		}
		if path == dataDir || !within(dataDir, path) && (root == "" || !within(root, path)) {
			return nil, fmt.Errorf("backup.to: %s is outside the data directory and the file root (move it, or start with --file-root)", path)
		}
		return Directory{Path: path}, nil
	}
}

// within tells that a clean path is a directory or below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// Put implements Vault.
func (d Directory) Put(_ context.Context, name string, content io.Reader) (string, error) {
	path := filepath.Join(d.Path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep backup: %w", err)
	}
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep backup: %w", err)
	}
	_, err = io.Copy(part, content)
	err = errors.Join(err, part.Sync(), part.Close())
	if err == nil {
		err = libsql.Place(part.Name(), path)
	}
	if err == nil { // the directory may be new
		err = libsql.SyncDirectory(filepath.Dir(filepath.Dir(path)))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("keep backup: %w", err), removeFile(part.Name()))
	}
	return fileURL(path), nil
}

// Open implements Vault.
func (d Directory) Open(_ context.Context, at string) (io.ReadCloser, error) {
	path, err := d.pathOf(at)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Remove implements Vault.
func (d Directory) Remove(_ context.Context, at string) error {
	path, err := d.pathOf(at)
	if err != nil {
		return err
	}
	if err := removeFile(path); err != nil {
		return fmt.Errorf("remove backup: %w", err)
	}
	return libsql.SyncDirectory(filepath.Dir(path))
}

// pathOf is that of a URL of Put. The directory that backups go to may have
// been another one then.
func (d Directory) pathOf(at string) (string, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return "", fmt.Errorf("backup %q is not in a directory of this machine", at)
	}
	return u.Path, nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

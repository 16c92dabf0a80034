package gitrepo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Tree is the content of one commit as a read-only file system; it implements
// fs.ReadDirFS, fs.ReadFileFS and fs.StatFS and may be used by several
// goroutines. Directories are listed by name; every time is the commit's.
//
// What is neither a file nor a directory is listed with its type and cannot be
// opened: a symbolic link (fs.ModeSymlink) and a submodule (fs.ModeIrregular)
// give an error that matches ErrNotFile. Damaged objects match ErrCorrupt.
type Tree struct {
	repo    *Repo
	objects reader
	root    object.TreeEntry
	time    time.Time

	mu   sync.Mutex
	dirs map[plumbing.Hash][]object.TreeEntry // read so far; they never change
}

// Tree returns the content of a commit by its full hash, as Resolve and Fetch
// give it. Errors match ErrNoRef for a commit that is not there.
func (r *Repo) Tree(ctx context.Context, hash string) (*Tree, error) {
	c, err := r.exact(hash)
	if err != nil {
		return nil, r.failure(ctx, "read tree "+hash+" of", err)
	}
	t, err := r.treeAt(c, c.TreeHash, r.objects)
	return t, r.failure(ctx, "read tree "+hash+" of", err)
}

// Open opens a file or directory. Files are read whole.
func (t *Tree) Open(name string) (fs.File, error) {
	e, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if e.Mode == filemode.Dir {
		list, err := t.list("open", name, e)
		return &openDir{info: t.info(e, 0), list: list}, err
	}
	content, err := t.content("open", name, e, maxObject)
	if err != nil {
		return nil, err
	}
	return &openFile{t.info(e, int64(len(content))), bytes.NewReader(content)}, nil
}

// ReadFile returns a file's content, which belongs to the caller. One of more than
// 256 MiB matches ErrTooLarge, as from Open.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	return t.content("read", name, e, maxObject)
}

// ReadFileMax is ReadFile of a file with at most limit bytes. A larger one gives
// an error that matches ErrTooLarge and is not read.
func (t *Tree) ReadFileMax(name string, limit int64) ([]byte, error) {
	e, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	return t.content("read", name, e, limit)
}

// ReadDir lists a directory by name.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	return t.list("readdir", name, e)
}

// Stat describes a file or directory without reading a file's content.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return t.stat(name, e)
}

// Hash returns the object id of a file's content or of a directory's tree, in
// hex: two paths with equal ids have equal content. "." is the whole commit's.
func (t *Tree) Hash(name string) (string, error) {
	e, err := t.find("hash", name)
	if err != nil {
		return "", err
	}
	return e.Hash.String(), nil
}

// find walks to the entry of a path.
func (t *Tree) find(op, name string) (object.TreeEntry, error) {
	if !fs.ValidPath(name) {
		return object.TreeEntry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at := t.root
	if name == "." {
		return at, nil
	}
	for element := range strings.SplitSeq(name, "/") {
		entries, err := t.entries(at)
		if err != nil {
			return object.TreeEntry{}, t.failure(op, name, err)
		}
		i, found := slices.BinarySearchFunc(entries, element, func(e object.TreeEntry, name string) int {
			return strings.Compare(e.Name, name)
		})
		if !found {
			return object.TreeEntry{}, t.failure(op, name, fs.ErrNotExist)
		}
		at = entries[i]
	}
	return at, nil
}

// entries reads a directory; what is none has no entries.
func (t *Tree) entries(dir object.TreeEntry) ([]object.TreeEntry, error) {
	if dir.Mode != filemode.Dir {
		return nil, nil
	}
	t.mu.Lock()
	entries, ok := t.dirs[dir.Hash]
	t.mu.Unlock()
	if ok {
		return entries, nil
	}
	entries, err := t.objects.tree(dir.Hash)
	if err == nil {
		t.mu.Lock()
		t.dirs[dir.Hash] = entries
		t.mu.Unlock()
	}
	return entries, err
}

func (t *Tree) list(op, name string, e object.TreeEntry) ([]fs.DirEntry, error) {
	if e.Mode != filemode.Dir {
		return nil, t.failure(op, name, errors.New("not a directory"))
	}
	entries, err := t.entries(e)
	if err != nil {
		return nil, t.failure(op, name, err)
	}
	list, lines := make([]fs.DirEntry, len(entries)), make([]dirEntry, len(entries))
	for i, entry := range entries {
		lines[i] = dirEntry{t, name, entry}
		list[i] = &lines[i]
	}
	return list, nil
}

func (t *Tree) content(op, name string, e object.TreeEntry, limit int64) ([]byte, error) {
	switch e.Mode {
	case filemode.Symlink:
		return nil, t.failure(op, name, fmt.Errorf("%w: symbolic links are not followed, commit a copy instead", ErrNotFile))
	case filemode.Submodule:
		return nil, t.failure(op, name, fmt.Errorf("%w: submodules are not read, commit the files instead", ErrNotFile))
	case filemode.Dir:
		return nil, t.failure(op, name, errors.New("is a directory"))
	}
	blob, err := t.objects.object(e.Hash, limit)
	if err != nil {
		return nil, t.failure(op, name, err)
	}
	if blob.Type() != plumbing.BlobObject {
		return nil, t.failure(op, name, fmt.Errorf("%w: object %s is a %s, not a file", ErrCorrupt, e.Hash, blob.Type()))
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	content := make([]byte, blob.Size())
	_, err = io.ReadFull(r, content)
	return content, err
}

// stat describes an entry. Only a blob has a size.
func (t *Tree) stat(name string, e object.TreeEntry) (fs.FileInfo, error) {
	if !e.Mode.IsRegular() && e.Mode != filemode.Executable {
		return t.info(e, 0), nil
	}
	size, err := t.objects.size(e.Hash)
	if err != nil {
		return nil, t.failure("stat", name, err)
	}
	return t.info(e, size), nil
}

// failure names the path, and the repository too when it is at fault.
func (t *Tree) failure(op, name string, err error) error {
	if !anyOf(err, fs.ErrNotExist, ErrNotFile, ErrTooLarge) {
		err = t.repo.failure(context.Background(), "read", err)
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (t *Tree) info(e object.TreeEntry, size int64) fileInfo {
	return fileInfo{e.Name, modeOf(e.Mode), size, t.time}
}

func modeOf(mode filemode.FileMode) fs.FileMode {
	switch mode {
	case filemode.Dir:
		return fs.ModeDir | 0o555
	case filemode.Symlink:
		return fs.ModeSymlink | 0o444
	case filemode.Submodule:
		return fs.ModeIrregular | 0o444
	case filemode.Executable:
		return 0o555
	}
	return 0o444
}

// dirEntry is one line of a listing; Info looks up the size.
type dirEntry struct {
	tree  *Tree
	dir   string
	entry object.TreeEntry
}

func (d *dirEntry) Name() string      { return d.entry.Name }
func (d *dirEntry) IsDir() bool       { return d.entry.Mode == filemode.Dir }
func (d *dirEntry) Type() fs.FileMode { return modeOf(d.entry.Mode).Type() }
func (d *dirEntry) Info() (fs.FileInfo, error) {
	return d.tree.stat(path.Join(d.dir, d.Name()), d.entry)
}
func (d *dirEntry) String() string { return fs.FormatDirEntry(d) }

// Hash is Tree.Hash of the entry.
func (d *dirEntry) Hash() string { return d.entry.Hash.String() }

// HasHash tells that Hash is the one given, for less than making it.
func (d *dirEntry) HasHash(hash string) bool {
	var bytes plumbing.Hash
	if len(hash) != hex.EncodedLen(len(bytes)) {
		return false
	}
	_, err := hex.Decode(bytes[:], []byte(hash))
	return err == nil && bytes == d.entry.Hash
}

type fileInfo struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return i.time }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) String() string     { return fs.FormatFileInfo(i) }

// openFile reads, seeks and reads at an offset.
type openFile struct {
	info fileInfo
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info fileInfo
	list []fs.DirEntry // what ReadDir has not given yet
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.list)
	} else if len(d.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	list := d.list[:n:n]
	d.list = d.list[n:]
	return list, nil
}

package applifecycle

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Grafted is a tree with files of its own in place of, or beside, those of
// another: what a repository would be after a change that nobody has made yet.
// Directories on the way to a file are there with it.
type Grafted struct {
	Base   fs.FS             // may be nil
	Files  map[string][]byte // by path
	Hidden []string          // directories of Base that are not there
}

var _ fs.ReadDirFS = Grafted{}

// Open implements fs.FS.
func (g Grafted) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if text, ok := g.Files[name]; ok {
		return &grown{Reader: bytes.NewReader(text), info: grownInfo{path.Base(name), int64(len(text))}}, nil
	}
	if g.hasGrown(name) {
		return &grown{Reader: bytes.NewReader(nil), info: grownInfo{path.Base(name), -1}}, nil
	}
	if g.Base == nil || g.hidden(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return g.Base.Open(name)
}

// ReadFile implements fs.ReadFileFS.
func (g Grafted) ReadFile(name string) ([]byte, error) {
	if text, ok := g.Files[name]; ok {
		return bytes.Clone(text), nil
	}
	if g.Base == nil || g.hidden(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadFile(g.Base, name)
}

// Lstat implements fs.ReadLinkFS, so that links of Base stay what they are.
func (g Grafted) Lstat(name string) (fs.FileInfo, error) {
	_, file := g.Files[name]
	if !file && !g.hasGrown(name) && g.Base != nil && !g.hidden(name) {
		return fs.Lstat(g.Base, name)
	}
	f, err := g.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// ReadLink implements fs.ReadLinkFS.
func (g Grafted) ReadLink(name string) (string, error) {
	if g.Base == nil || g.hidden(name) {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadLink(g.Base, name)
}

// ReadDir implements fs.ReadDirFS.
func (g Grafted) ReadDir(name string) ([]fs.DirEntry, error) {
	entries := map[string]fs.DirEntry{}
	var failed error
	if g.Base != nil && !g.hidden(name) {
		base, err := fs.ReadDir(g.Base, name)
		failed = err
		for _, e := range base {
			if !g.hidden(path.Join(name, e.Name())) {
				entries[e.Name()] = e
			}
		}
	}
	if !g.hasGrown(name) && (failed != nil || g.Base == nil || g.hidden(name)) {
		if failed == nil {
			failed = &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
		}
		return nil, failed
	}
	for file, text := range g.Files {
		rest, inside := strings.CutPrefix(file, name+"/")
		if name == "." {
			rest, inside = file, true
		}
		if !inside {
			continue
		}
		size := int64(len(text))
		child, _, deeper := strings.Cut(rest, "/")
		if deeper {
			size = -1
		}
		entries[child] = fs.FileInfoToDirEntry(grownInfo{child, size})
	}
	list := make([]fs.DirEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// hasGrown tells that a directory holds files of the graft.
func (g Grafted) hasGrown(dir string) bool {
	for file := range g.Files {
		if dir == "." || strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	return false
}

func (g Grafted) hidden(name string) bool {
	return slices.ContainsFunc(g.Hidden, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
}

// grown is an open file or directory of the graft. A directory is read by
// ReadDir of the tree.
type grown struct {
	io.Reader
	info grownInfo
}

func (f *grown) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *grown) Close() error               { return nil }

// grownInfo describes a file of the graft; a directory has no size.
type grownInfo struct {
	name string
	size int64
}

func (i grownInfo) Name() string       { return i.name }
func (i grownInfo) Size() int64        { return max(0, i.size) }
func (i grownInfo) IsDir() bool        { return i.size < 0 }
func (i grownInfo) ModTime() time.Time { return time.Time{} }
func (i grownInfo) Sys() any           { return nil }

// Mode implements fs.FileInfo.
func (i grownInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o500
	}
	return 0o400
}

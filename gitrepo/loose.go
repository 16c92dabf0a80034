package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	gitsync "github.com/go-git/go-git/v5/utils/sync"
)

// maxHeader is as long as the header of an object may be: MAX_HEADER_LEN of
// git's object-file.c.
const maxHeader = 32

// errUnlike is of a file that is like no object that git writes. It is handed to
// nobody else: go-git would read all of it, however much comes out.
var errUnlike = errors.New("no object that git writes")

// looseFile is an open object that has a file of its own, as what a repository
// got last often does. What follows its header is not read yet.
type looseFile struct {
	kind    plumbing.ObjectType
	size    int64 // as the header has it; not negative
	content gitsync.ZLibReader
	file    *os.File
}

// openLoose opens the file of an object; without one it gives fs.ErrNotExist.
func (s *store) openLoose(h plumbing.Hash) (*looseFile, error) {
	if s.loose == "" {
		return nil, fs.ErrNotExist
	}
	name := h.String()
	file, err := os.Open(filepath.Join(s.loose, name[:2], name[2:]))
	if err != nil {
		return nil, err
	}
	content, err := gitsync.GetZlibReader(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	o := &looseFile{content: content, file: file}
	if err := o.header(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *looseFile) close() {
	gitsync.PutZlibReader(o.content)
	_ = o.file.Close() // it was read only
}

// header reads "TYPE SIZE" and a NUL.
func (o *looseFile) header() error {
	var text [maxHeader]byte
	for i := range text {
		if _, err := io.ReadFull(o.content.Reader, text[i:i+1]); err != nil {
			return err
		}
		if text[i] != 0 {
			continue
		}
		kind, size, _ := strings.Cut(string(text[:i]), " ")
		bytes, wrong := strconv.ParseUint(size, 10, 63)
		var err error
		o.size = int64(bytes)
		if o.kind, err = plumbing.ParseObjectType(kind); err != nil || wrong != nil || o.kind.IsDelta() {
			return fmt.Errorf("%w: it begins with %q", errUnlike, text[:i])
		}
		return nil
	}
	return fmt.Errorf("%w: its header has no end", errUnlike)
}

// readLoose reads an object that has a file of its own. It does not read one that
// is too large, as go-git would, and takes half as long.
func (s *store) readLoose(h plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	o, err := s.openLoose(h)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if o.size > limit {
		return nil, tooLarge(o.size, limit)
	}
	var content bytes.Buffer
	content.Grow(int(min(o.size, int64(cacheSize))) + bytes.MinRead)
	if _, err := content.ReadFrom(io.LimitReader(o.content.Reader, o.size+1)); err != nil {
		return nil, err
	}
	if int64(content.Len()) > o.size {
		return nil, fmt.Errorf("%w: it has more than the %d bytes that it tells of", errUnlike, o.size)
	}
	obj := &plumbing.MemoryObject{}
	obj.SetType(o.kind)
	if _, err := obj.Write(content.Bytes()); err != nil {
		return nil, err
	}
	if obj.Hash() != h {
		return nil, errOtherHash
	}
	return obj, nil
}

// looseSize is the size of an object that has a file of its own; without one it
// is fs.ErrNotExist. EncodedObjectSize leaves such a file open until the garbage
// collector comes by, which is thousands of them in a repository as large.
func (s *store) looseSize(h plumbing.Hash) (int64, error) {
	o, err := s.openLoose(h)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err != nil {
		return 0, damaged(h, err)
	}
	defer o.close()
	return o.size, nil
}

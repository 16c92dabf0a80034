package libsql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tenantops/reconciler/internal/database"
)

// fileID is a file's identity, whatever path, symbolic or hard link leads to
// it.
type fileID struct {
	device, inode uint64
}

// claimed holds the files on which this process has a connection. It belongs
// to the process because the locks that it protects do: POSIX drops all locks
// of a process on a file when any of its descriptors on it is closed
// (sqlite.org/howtocorrupt.html, section 2.2).
var claimed = struct {
	sync.Mutex
	files map[fileID]chan struct{} // closed when the connection is
}{files: map[fileID]chan struct{}{}}

// claim is the right of one connection to a file.
type claim struct {
	id     fileID
	fresh  bool // the file holds nothing yet
	shared bool // others may have it too, and nothing is given back
}

// claimFile waits until no other connection of this process has the file, but no
// longer than wait: whoever waits may be the one who has to close it. With
// create it makes a missing one, empty, which is a valid empty database. It
// looks at the file and never opens an existing one.
func claimFile(ctx context.Context, path string, create bool, wait time.Duration) (claim, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		c, busy, err := tryClaim(path, create)
		if err != nil || busy == nil {
			return c, err
		}
		select {
		case <-busy: // the path may lead to another file by now: look again
		case <-over.C:
			return claim{}, fmt.Errorf("%w: another connection of this process has had it open for %v; it has to be closed first", database.ErrBusy, wait)
		case <-ctx.Done():
			return claim{}, fmt.Errorf("wait for this process's other connection to close: %w", ctx.Err())
		}
	}
}

// tryClaim returns what to wait for when the file is taken. The file is made
// under the lock, so that its descriptor is closed before anyone locks it.
func tryClaim(path string, create bool) (claim, <-chan struct{}, error) {
	claimed.Lock()
	defer claimed.Unlock()
	c, err := identify(path)
	if create && errors.Is(err, database.ErrMissing) {
		if err := LeftAlone(path); err != nil {
			return claim{}, nil, err
		}
		if err := makeFile(path, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return claim{}, nil, systemFault(err)
		}
		c, err = identify(path)
	}
	if err != nil {
		return claim{}, nil, err
	}
	if busy, taken := claimed.files[c.id]; taken {
		return claim{}, busy, nil
	}
	claimed.files[c.id] = make(chan struct{})
	return c, nil, nil
}

// LeftAlone refuses what a database that is gone has left beside its file, with an
// error that matches database.ErrMissing: it may hold rows, which SQLite throws away
// where an empty file takes the place, and reads into any other.
func LeftAlone(path string) error {
	for _, suffix := range []string{"-wal", "-journal"} {
		info, err := os.Stat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0:
		case err != nil:
			return systemFault(err)
		default:
			return fmt.Errorf("%w, and its log %s%s is there, which may have rows of it (move the log away first)",
				database.ErrMissing, path, suffix)
		}
	}
	return nil
}

// release lets the next connection have the file.
func (c claim) release() {
	if c.shared {
		return
	}
	claimed.Lock()
	defer claimed.Unlock()
	close(claimed.files[c.id])
	delete(claimed.files, c.id)
}

func identify(path string) (claim, error) {
	info, err := os.Stat(path)
	if err != nil {
		return claim{}, systemFault(err)
	}
	if !info.Mode().IsRegular() {
		return claim{}, fmt.Errorf("%w: it is a %s", database.ErrNotADB, kind(info))
	}
	stat := info.Sys().(*syscall.Stat_t)
	id := fileID{device: uint64(stat.Dev), inode: stat.Ino}
	return claim{id: id, fresh: info.Size() == 0}, nil
}

func kind(info fs.FileInfo) string {
	if info.IsDir() {
		return "directory"
	}
	return "special file"
}

func makeFile(path string, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return file.Close()
}

package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Watch signals that a ref of a local repository may have moved: a commit, a
// push, a checkout, a pack-refs. Signals that nobody has taken yet become one.
// The channel is closed when ctx ends or the repository is closed. It is a
// hint, so poll too: events on a network file system may not arrive.
//
// The channel is nil, which blocks for ever, for a remote repository.
func (r *Repo) Watch(ctx context.Context) (<-chan struct{}, error) {
	if r.at.remote != "" {
		return nil, nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, r.failure(ctx, "watch", err)
	}
	w := watch{Watcher: watcher, gitDir: r.gitDir, refs: filepath.Join(r.commonDir, "refs"), signal: make(chan struct{}, 1)}
	if err := w.add(r.gitDir, r.commonDir); err != nil {
		return nil, r.failure(ctx, "watch", errors.Join(err, watcher.Close()))
	}
	r.watchers.Go(func() { w.run(ctx, r.closed) })
	return w.signal, nil
}

type watch struct {
	*fsnotify.Watcher
	gitDir, refs string
	signal       chan struct{}
}

// add watches the directories that hold HEAD and packed-refs, and all below refs.
func (w *watch) add(dirs ...string) error {
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil {
			return exhausted(dir, err)
		}
	}
	return w.addRefs(w.refs)
}

// addRefs watches a directory of refs and those below it. One that is gone
// again is no error: git removes empty ones.
func (w *watch) addRefs(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = w.Add(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exhausted(path, err)
		}
		return nil
	})
}

func exhausted(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%s: no inotify watch is left, raise fs.inotify.max_user_watches: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func (w *watch) run(ctx, closed context.Context) {
	defer close(w.signal)
	defer w.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-closed.Done():
			return
		case event := <-w.Events:
			if !w.concerns(event) {
				continue
			}
			if event.Has(fsnotify.Create) && filepath.Dir(event.Name) != w.gitDir {
				_ = w.addRefs(event.Name) // the poll makes up for a failure
			}
		case _, open := <-w.Errors: // events were lost
			if !open {
				return
			}
		}
		select {
		case w.signal <- struct{}{}:
		default:
		}
	}
}

// concerns reports whether an event can mean that a ref moved. Git writes a
// new value to a .lock file and renames it, which is the event that counts.
func (w *watch) concerns(event fsnotify.Event) bool {
	if strings.HasSuffix(event.Name, ".lock") || event.Op == fsnotify.Chmod {
		return false
	}
	switch filepath.Base(event.Name) {
	case "HEAD", "packed-refs":
		return true
	}
	return strings.HasPrefix(event.Name, w.refs)
}

package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// errNoMergeTree says that there is no git that merges without a worktree.
var errNoMergeTree = errors.New("git 2.38 or newer is needed")

// Bounds of what git may make of a merge.
const (
	maxMergedBytes = 256 << 20 // of new objects, as they are stored
	maxOutput      = 4 << 20
)

// mergeTree lets git merge two commits (git-merge-tree(1)). Objects that it
// makes go to a directory that is removed, and are kept in memory.
func (r *Repo) mergeTree(ctx context.Context, base, head string, into *layer) (root plumbing.Hash, conflicts []string, err error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return root, nil, errNoMergeTree
	}
	dir, err := os.MkdirTemp("", "reconciler-merge-")
	if err != nil {
		return root, nil, fmt.Errorf("make a directory for the merge: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out, clean, err := r.runMergeTree(ctx, git, dir, base, head)
	if err != nil {
		return root, nil, err
	}
	lines := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	if !fullHash.MatchString(lines[0]) {
		return root, nil, fmt.Errorf("git merge-tree answered %q", oneLine(lines[0]))
	}
	if !clean {
		conflicts = slices.Compact(slices.Sorted(slices.Values(lines[1:])))
		return root, conflicts, nil
	}
	return plumbing.NewHash(lines[0]), nil, into.take(dir)
}

// runMergeTree tells whether the merge is clean beside what git printed.
func (r *Repo) runMergeTree(ctx context.Context, git, dir, base, head string) (out []byte, clean bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, git, "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null",
		"merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
	command.Env = append(environment(), "GIT_DIR="+r.gitDir, "GIT_OBJECT_DIRECTORY="+dir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES="+listed(filepath.Join(r.commonDir, "objects")))
	stdout, stderr := &bounded{most: maxOutput}, &bounded{most: 4096}
	command.Stdout, command.Stderr = stdout, stderr
	err = command.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case err == nil:
		return stdout.Bytes(), true, nil
	case ended && exit.ExitCode() == 1:
		return stdout.Bytes(), false, nil
	case ended && exit.ExitCode() == 129, !ended: // it knows no such option, or does not run
		return nil, false, errNoMergeTree
	}
	return nil, false, fmt.Errorf("git merge-tree: %w: %s", err, oneLine(stderr.String()))
}

// environment is that of the process without what would change what git does, and
// without the secrets, which it does not need.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_") || strings.HasPrefix(v, "RECONCILER_")
	})
	return append(env, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_TERMINAL_PROMPT=0")
}

// listed writes a path as an element of a list of paths (git(1)).
func listed(path string) string {
	if strings.ContainsAny(path, ":\"\n") {
		return strconv.Quote(path)
	}
	return path
}

// bounded is a buffer that refuses to grow beyond a size.
type bounded struct {
	bytes.Buffer
	most int
}

func (b *bounded) Write(text []byte) (int, error) {
	if b.Len()+len(text) > b.most {
		return 0, errors.New("git says too much")
	}
	return b.Buffer.Write(text)
}

var looseObject = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{38}$`)

// take adds the objects that git has written, each to a file of its own, to
// those in memory.
func (l *layer) take(dir string) error {
	var size int64
	dot := l.own.files.Filesystem()
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if name = filepath.ToSlash(name); err != nil || !looseObject.MatchString(name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); size > maxMergedBytes {
			return fmt.Errorf("the merge makes more than %d MiB of new objects", maxMergedBytes>>20)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := dot.Create("objects/" + name)
		if err == nil {
			_, err = f.Write(content)
			err = errors.Join(err, f.Close())
		}
		l.owns[plumbing.NewHash(strings.Replace(name, "/", "", 1))] = true
		return err
	})
}

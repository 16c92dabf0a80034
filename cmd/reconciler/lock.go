package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock is the hold of one process on a data directory: flock(2) on DIR/lock,
// which the system gives up when the process ends, however it ends. The file
// names the process, for people, and stays.
type lock struct{ file *os.File }

// heldError says that another process works on the data directory.
type heldError struct {
	dir  string
	pid  int  // 0 when the file does not say
	deaf bool // it takes no commands
}

func (e *heldError) Error() string {
	holder := "another process"
	if e.pid > 0 {
		holder = fmt.Sprintf("process %d", e.pid)
	}
	if e.deaf {
		return fmt.Sprintf("data directory %s is in use by %s, which takes no commands: wait until it has ended", e.dir, holder)
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop it, or give another --data", e.dir, holder)
}

// acquire locks a data directory, or gives a heldError at once.
func acquire(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &heldError{dir: dir, pid: holder(dir)}
	}
	if err == nil {
		err = sign(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &lock{file}, nil
}

// acquireSoon locks a data directory, waiting for a command that holds it for
// some milliseconds, such as a hold while the daemon is started.
func acquireSoon(dir string) (*lock, error) {
	for giveUp := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		l, err := acquire(dir)
		var held *heldError
		if !errors.As(err, &held) || time.Now().After(giveUp) {
			return l, err
		}
	}
}

// sign writes this process's id into the lock file.
func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("lock data directory: %w", err)
	}
	if _, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("lock data directory: %w", err)
	}
	return nil
}

// holder reads the process id in the lock file, 0 when there is none.
func holder(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "lock"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text))) // 0 while the holder is writing it
	return pid
}

func (l *lock) release() error { return l.file.Close() }

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// SetAside renames a state file that cannot be read, so that Open can create a
// new one, and returns its new name: path with ".broken-N" appended, N being
// the lowest number that is free. Its write-ahead log goes with it. No process
// may have the file open.
func SetAside(path string) (string, error) {
	aside, err := freeName(path)
	if err != nil {
		return "", fmt.Errorf("set state %q aside: %w", path, err)
	}
	// The database goes first: SQLite discards a log without its database,
	// but would read a database without its log as whole.
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("set state aside: %w", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("set state aside: %w", err)
		}
	}
	return aside, nil
}

func freeName(path string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.broken-%d", path, n)
		switch _, err := os.Lstat(name); {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil
		case err != nil:
			return "", err
		}
	}
}

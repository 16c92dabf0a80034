package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tenantops/reconciler/internal/libsql"
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
	// The database goes first: Open sets a log without its database aside, but
	// SQLite would read a database without its log as whole.
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("set state aside: %w", err)
	}
	return aside, renameLog(path, aside)
}

func renameLog(path, aside string) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set state aside: %w", err)
		}
	}
	return nil
}

// setLogAside renames the log of a state file that is gone, as SetAside does where
// it dies in the middle: it may have rows, and is neither read into a new file nor
// thrown away.
func setLogAside(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || libsql.LeftAlone(path) == nil {
		return nil // who opens it finds what is wrong with it
	}
	aside, err := freeName(path)
	if err != nil {
		return fmt.Errorf("set the log of state %q aside: %w", path, err)
	}
	return renameLog(path, aside)
}

// freeName is a name that neither a file that was set aside has, nor the log of one.
func freeName(path string) (string, error) {
	for n := 1; ; n++ {
		name, free := fmt.Sprintf("%s.broken-%d", path, n), true
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			switch _, err := os.Lstat(name + suffix); {
			case err == nil:
				free = false
			case !errors.Is(err, fs.ErrNotExist):
				return "", err
			}
		}
		if free {
			return name, nil
		}
	}
}

package libsql

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tenantops/reconciler/internal/database"
)

// Remove removes the database in a file, with its journal or log, once no
// connection of this process has it open. The file itself goes last: as long as
// there is anything of the database, it can be found by its name. A file that
// is not there is no error; what it left beside it goes too.
func Remove(ctx context.Context, path string) error {
	file, err := claimFile(ctx, path, false, defaultWait)
	if err != nil && !errors.Is(err, database.ErrMissing) {
		return fmt.Errorf("remove database %q: %w", path, err)
	}
	if err == nil {
		defer file.release()
	}
	for _, part := range []string{"-shm", "-wal", "-journal", ""} {
		if err := remove(path + part); err != nil {
			return fmt.Errorf("remove database %q: %w", path, systemFault(err))
		}
	}
	err = SyncDirectory(filepath.Dir(path))
	if errors.Is(err, database.ErrMissing) {
		return nil // nor is its directory there
	}
	return err
}

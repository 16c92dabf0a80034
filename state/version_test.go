package state_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/state"
)

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, open(t, path).Close())
	conn := connect(t, path)
	_, err := conn.Exec(t.Context(), "PRAGMA user_version = 99")
	must(t, err)
	must(t, conn.Close())

	for _, readOnly := range []bool{false, true} {
		_, err := state.Open(t.Context(), path, state.Options{ReadOnly: readOnly})
		if !errors.Is(err, state.ErrVersion) || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("read-only %v: got %v, want ErrVersion and the version", readOnly, err)
		}
	}
	if got := ask(t, connect(t, path), "PRAGMA user_version"); got != int64(99) {
		t.Errorf("version: got %v, want 99", got)
	}
}

func TestReadOnlyStoreDoesNotMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	must(t, connect(t, path).Close())

	_, err := state.Open(t.Context(), path, state.Options{ReadOnly: true})
	if !errors.Is(err, state.ErrVersion) || !strings.Contains(err.Error(), "reconciler sync") {
		t.Errorf("got %v, want ErrVersion and the next step", err)
	}
	conn := connect(t, path)
	if got := ask(t, conn, "SELECT count(*) FROM sqlite_master"); got != int64(0) {
		t.Errorf("tables: got %v, want none", got)
	}
	must(t, conn.Close())
	must(t, open(t, path).Close())
	s, err := state.Open(t.Context(), path, state.Options{ReadOnly: true})
	must(t, err)
	must(t, s.Close())
}

package state_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
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

// A file of each version before this one is brought up to date and keeps its rows.
func TestOlderSchemaIsMigrated(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	for version := 1; version < len(files); version++ {
		path := filepath.Join(t.TempDir(), "state.db")
		conn := connect(t, path)
		for n, file := range files[:version] {
			text, err := os.ReadFile(file)
			must(t, err)
			statements, err := database.Split(string(text))
			must(t, err)
			for _, sql := range append(statements, fmt.Sprintf("PRAGMA user_version = %d", n+1)) {
				_, err := conn.Exec(t.Context(), sql)
				must(t, err)
			}
		}
		_, err := conn.Exec(t.Context(), "INSERT INTO bundles (digest, body) VALUES ('d', x'00')")
		must(t, err)
		must(t, conn.Close())

		must(t, open(t, path).Close())
		conn = connect(t, path)
		if got := ask(t, conn, "PRAGMA user_version"); got != int64(len(files)) {
			t.Errorf("version %d: is %v now, want %d", version, got, len(files))
		}
		if got := ask(t, conn, "SELECT count(*) FROM bundles"); got != int64(1) {
			t.Errorf("version %d: %v rows are left, want 1", version, got)
		}
		must(t, conn.Close())
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

// What a file of the first version knows of events is read as before.
func TestOldEventsAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	conn := connect(t, path)
	text, err := os.ReadFile("migrations/0001_history.sql")
	must(t, err)
	statements, err := database.Split(string(text))
	must(t, err)
	for _, sql := range append(statements, "PRAGMA user_version = 1",
		"INSERT INTO events (at, actor, via, kind, tenant, revision, author, reason, detail)"+
			" VALUES ('2026-03-04T05:06:07.000Z', 'ada', 'cli', 'held', 'acme', '', '', 'why', '')") {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	must(t, conn.Close())

	got, err := open(t, path).Events(t.Context(), state.EventQuery{})
	must(t, err)
	want := []state.Event{{At: began, Actor: "ada", Via: "cli", Kind: state.EventHeld, Tenant: "acme", Reason: "why"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A tenant that an earlier version left interrupted is no problem in this one.
func TestInterruptedTenantIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	was := state.Observed{Tenant: "acme", Sync: state.Unknown, Health: state.Degraded, Reason: "Interrupted", Target: "v1", Tried: "v2"}
	failed := state.Observed{Tenant: "globex", Sync: state.Unknown, Health: state.Degraded, Reason: "Busy", Target: "v1", Tried: "v2"}
	must(t, s.SaveObserved(t.Context(), was, failed))
	must(t, s.Close())
	text, err := os.ReadFile("migrations/0013_interrupted.sql")
	must(t, err)
	conn := connect(t, path)
	statements, err := database.Split(string(text))
	must(t, err)
	for _, sql := range statements {
		_, err := conn.Exec(t.Context(), sql)
		must(t, err)
	}
	must(t, conn.Close())

	got, err := open(t, path).Observed(t.Context())
	must(t, err)
	was.Health = state.Progressing
	if diff := cmp.Diff(map[protocol.TenantID]state.Observed{"acme": was, "globex": failed}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

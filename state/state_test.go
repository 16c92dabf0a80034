package state_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/state/statetest"
)

func TestMain(m *testing.M) {
	if role, path := os.Getenv("STATE_TEST_CHILD"), os.Getenv("STATE_TEST_PATH"); role != "" {
		if err := children[role](context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestStore(t *testing.T) {
	statetest.Exercise(t, func(ctx context.Context, dir string, o state.Options) (statetest.Store, error) {
		return state.Open(ctx, filepath.Join(dir, "state.db"), o)
	})
}

func TestStoreWorksAfterAnUnfinishedCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	conn := connect(t, path) // an empty file, without WAL
	must(t, conn.Close())
	must(t, open(t, path).Close())
	conn = connect(t, path)
	if got := ask(t, conn, "PRAGMA journal_mode"); got != "wal" {
		t.Errorf("journal mode: got %v, want wal", got)
	}
}

func open(t testing.TB, path string) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), path, state.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// connect opens the file beside the store, which must be closed.
func connect(t testing.TB, path string) database.Conn {
	t.Helper()
	conn, err := libsql.Open(t.Context(), path, libsql.Options{Create: true})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return conn
}

// ask returns the one value that a query answers with.
func ask(t testing.TB, conn database.Conn, sql string) any {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	must(t, err)
	return rows.Values[0][0]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// deployment is the nth of a tenant.
func deployment(tenant protocol.TenantID, n int, status protocol.DeployStatus) state.Deployment {
	return state.Deployment{
		ID:           fmt.Sprintf("0193a2b4-%04x-7000-8000-000000000000", n),
		Tenant:       tenant,
		Revision:     strings.Repeat("c", 40),
		Author:       "Ada",
		AuthorEmail:  "ada@example.com",
		Subject:      "crm: add a field",
		BundleDigest: digest("bundle"), PreviousBundle: digest("previous"), PlanDigest: digest("plan"),
		FromFingerprint: digest("from"), ToFingerprint: digest("to"),
		Status: status,
		Transitions: []state.Transition{
			{Status: protocol.DeployMigrating, At: began}, {Status: status, At: began.Add(time.Second)},
		},
		Statements: 1, StatementTimes: []time.Duration{time.Millisecond}, Duration: time.Second,
		StartedAt: began.Add(time.Duration(n) * time.Minute),
	}
}

// observation is a row as a healthy tenant has it.
func observation(tenant protocol.TenantID, message string) state.Observed {
	return state.Observed{
		Tenant: tenant, Sync: state.Synced, Health: state.Healthy, Message: message,
		Revision: strings.Repeat("c", 40), AppliedRevision: strings.Repeat("c", 40),
		DesiredDigest: digest("bundle"), BundleDigest: digest("bundle"), InputDigest: digest("input"),
		Fingerprint: digest("to"), SchemaDigest: digest("schema"), AppliedDigest: digest("applied"),
		Deployment: "0193a2b4-0000-7000-8000-000000000000", Plan: "pro", ObservedAt: began,
	}
}

// digest is as long as a real one.
func digest(of string) string {
	return (of + strings.Repeat("0", 64))[:64]
}

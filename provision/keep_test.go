package provision_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/state"
)

// State of another day says that a removal is old, of a database that was in use
// since, or that is another customer's of the same id: its time of grace begins
// when it is read-only.
func TestRemovalIsAsOldAsTheMark(t *testing.T) {
	for name, open := range everywhere {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			must(t, w.DestroyTenant(t.Context(), acme))
			removed, err := w.Store.Tenant(t.Context(), acme)
			must(t, err)
			// It was put back, and state is that of the day before.
			back := removed
			must(t, w.Resume(t.Context(), &back, "git has the tenant again"))
			must(t, w.write(acme))
			must(t, w.Store.SaveLifecycle(t.Context(), acme, removed.Lifecycle))

			w.now = w.now.Add(100 * time.Hour)
			must(t, w.DestroyTenant(t.Context(), acme))
			if got := w.rows(acme); got != 1 {
				t.Fatalf("got %d rows, want 1", got)
			}
			if err := w.write(acme); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("got error %v of a write, want ErrReadOnly", err)
			}
			w.now = w.now.Add(71 * time.Hour)
			must(t, w.DestroyTenant(t.Context(), acme))
			if got := w.rows(acme); got != 1 {
				t.Fatalf("got %d rows within the time of grace, want 1", got)
			}
			w.now = w.now.Add(2 * time.Hour)
			must(t, w.DestroyTenant(t.Context(), acme))
			if err := w.write(acme); !errors.Is(err, database.ErrMissing) {
				t.Errorf("got error %v, want ErrMissing", err)
			}
			w.wantBackups(acme, 0, 1)
		})
	}
}

// A database with tables and without a journal, of a tenant that nothing was deployed
// to, was there before the tenant. It stays, and is not made read-only either.
func TestDatabaseThatWasThereStays(t *testing.T) {
	for name, open := range lasting {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			w.look(acme, func(conn database.Conn) {
				ours, err := conn.Query(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '\\_reconciler%' ESCAPE '\\'")
				must(t, err)
				for _, row := range ours.Values {
					_, err := conn.Exec(t.Context(), "DROP TABLE "+row[0].(string))
					must(t, err)
				}
			})
			must(t, w.Store.SaveObserved(t.Context(), state.Observed{Tenant: acme, Sync: state.OutOfSync, Health: state.Blocked}))
			w.gone(acme)
			must(t, w.write(acme))
		})
	}
}

// State that was lost, or rebuilt, does not know a tenant, which is alive.
func TestNothingIsErasedOfWhatIsThere(t *testing.T) {
	for name, lose := range map[string]func(w *world, id protocol.TenantID) error{
		"its database is there": func(w *world, id protocol.TenantID) error { return w.Store.ForgetTenant(w.t.Context(), id) },
		"state was rebuilt": func(w *world, id protocol.TenantID) error {
			at, err := w.Provider.Locate(id, nil)
			return errors.Join(err, w.Provider.Destroy(w.t.Context(), at), w.Store.ForgetTenant(w.t.Context(), id),
				w.Store.SaveObserved(w.t.Context(), state.Observed{Tenant: id, Sync: state.Unknown, Health: state.Healthy}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := onFiles(t)
			acme := w.provision("acme")
			snapshot := filepath.Join(w.data, "snapshots", string(acme), "01a227be-3a86-778c-b94f-c00ce2a159c0.db")
			must(t, errors.Join(os.MkdirAll(filepath.Dir(snapshot), 0o700), os.WriteFile(snapshot, nil, 0o600)))
			must(t, w.Store.SaveBackup(t.Context(), state.Backup{ID: "old", Tenant: acme, URL: "file:///nowhere/old.db", TakenAt: w.now}))
			must(t, lose(w, acme))
			if _, err := w.Erase(t.Context(), acme, w.fleet.config.Backup, "asked"); !errors.Is(err, provision.ErrAlive) {
				t.Errorf("got error %v, want ErrAlive", err)
			}
			w.now = w.now.Add(1000 * time.Hour) // a backup of a former tenant of the id has its time
			_ = w.Expire(t.Context(), w.fleet.config.Backup)
			if _, err := os.Stat(snapshot); err != nil {
				t.Errorf("the snapshot is gone: %v", err)
			}
		})
	}
}

// The backup of a database that nobody wrote to in its time of grace is kept as
// long as one that is taken when it is destroyed.
func TestRetentionBeginsWithTheDestruction(t *testing.T) {
	w := onFiles(t)
	w.fleet.config.Backup.Retention = "80h"
	acme := w.provision("acme")
	must(t, w.write(acme))
	must(t, w.DestroyTenant(t.Context(), acme))
	w.now = w.now.Add(73 * time.Hour)
	must(t, w.DestroyTenant(t.Context(), acme))
	w.now = w.now.Add(79 * time.Hour)
	must(t, w.Expire(t.Context(), w.fleet.config.Backup))
	w.wantBackups(acme, 1)
	w.now = w.now.Add(2 * time.Hour)
	must(t, w.Expire(t.Context(), w.fleet.config.Backup))
	if b := must1(w.Store.Backups(t.Context(), acme))(t); len(b) != 1 || b[0].ErasedAt.IsZero() {
		t.Errorf("got backups %+v, want one that is erased", b)
	}
}

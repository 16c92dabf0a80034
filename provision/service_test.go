package provision_test

import (
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/contracttest"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/state"
)

// Where databases of tests are: everywhere, and where they outlast a process.
var (
	lasting    = map[string]func(testing.TB) *world{"files": onFiles, "sqld": onSQLD, "turso": onTurso}
	everywhere = map[string]func(testing.TB) *world{"files": onFiles, "memory": inMemory, "sqld": onSQLD, "turso": onTurso}
)

func TestContract(t *testing.T) {
	for name, open := range everywhere {
		t.Run(name, func(t *testing.T) {
			contracttest.Provisioning(t, func(t testing.TB) contracttest.ProvisioningFixture {
				w := open(t)
				return contracttest.ProvisioningFixture{
					Service: w.Service,
					Write:   func(_ testing.TB, tenant protocol.TenantID) error { return w.write(tenant) },
					Plan: func(t testing.TB, tenant protocol.TenantID) protocol.TenantPlan {
						plan, err := w.PlanOf(t.Context(), tenant)
						must(t, err)
						return plan
					},
				}
			})
		})
	}
}

// A tenant that is destroyed is suspended and backed up at once, waits, and is
// gone after its time of grace; the backup has its rows.
func TestDestroy(t *testing.T) {
	for name, open := range everywhere {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			for range 3 {
				must(t, w.write(acme))
			}
			must(t, w.DestroyTenant(t.Context(), acme))
			if err := w.write(acme); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("got error %v of a write, want ErrReadOnly", err)
			}
			w.now = w.now.Add(71 * time.Hour)
			must(t, w.DestroyTenant(t.Context(), acme))
			if got := w.rows(acme); got != 3 {
				t.Errorf("got %d rows before the time of grace is over, want 3", got)
			}
			w.now = w.now.Add(2 * time.Hour)
			must(t, w.DestroyTenant(t.Context(), acme))
			if err := w.write(acme); !errors.Is(err, database.ErrMissing) {
				t.Errorf("got error %v, want ErrMissing", err)
			}
			if _, err := w.TenantStatus(t.Context(), acme); !errors.Is(err, protocol.ErrUnknownTenant) {
				t.Errorf("got error %v, want ErrUnknownTenant", err)
			}
			want := []string{"deployed", "provisioned", "removed", "backed_up", "destroyed"}
			if got := w.kinds(acme); !slices.Equal(got, want) {
				t.Errorf("got events %q, want %q", got, want)
			}
			w.wantBackups(acme, 3)
		})
	}
}

// An event has the time at which it was done, so that a destruction comes after
// the backup that it waited for.
func TestTimesOfEvents(t *testing.T) {
	w := onFiles(t)
	w.OnStep = func(protocol.TenantID, string) { w.now = w.now.Add(time.Second) } // each step takes time
	acme := w.provision("acme")
	w.fleet.config.GraceHours = 0
	must(t, w.DestroyTenant(t.Context(), acme))
	events, err := w.Store.Events(t.Context(), state.EventQuery{Tenant: acme}) // newest first
	must(t, err)
	for i, e := range events[1:] {
		if later := events[i]; later.At.Before(e.At) {
			t.Errorf("%s at %s comes after %s at %s", later.Kind, later.At, e.Kind, e.At)
		}
	}
	if events[0].Kind != state.EventDestroyed {
		t.Errorf("got %s, want the destruction last", events[0].Kind)
	}
}

// wantBackups checks that there is a backup for each number of rows.
func (w *world) wantBackups(tenant protocol.TenantID, rows ...int64) {
	w.t.Helper()
	backups, err := w.Store.Backups(w.t.Context(), tenant)
	must(w.t, err)
	if len(backups) != len(rows) {
		w.t.Fatalf("got backups %+v, want %d", backups, len(rows))
	}
	for i, b := range backups {
		at, err := url.Parse(b.URL)
		must(w.t, err)
		conn, err := libsql.Open(w.t.Context(), at.Path, libsql.Options{ReadOnly: true})
		must(w.t, err)
		found, err := conn.Query(w.t.Context(), "SELECT count(*) FROM customer")
		must(w.t, err)
		must(w.t, conn.Close())
		if found.Values[0][0] != rows[i] || b.Actor != "ada" || len(b.SHA256) != 64 || b.Size == 0 {
			w.t.Errorf("backup %+v: has %v rows, want %d", b, found.Values[0][0], rows[i])
		}
	}
}

// What is written past the mark is in a second backup.
func TestWritesAfterTheBackupAreBackedUp(t *testing.T) {
	w := onFiles(t)
	acme := w.provision("acme")
	must(t, w.write(acme))
	must(t, w.DestroyTenant(t.Context(), acme))
	w.look(acme, func(conn database.Conn) { // a connection that does not heed the mark
		_, err := conn.Exec(t.Context(), "INSERT INTO customer (id, name) VALUES ('late', 'Bo')")
		must(t, err)
	})
	w.now = w.now.Add(100 * time.Hour)
	must(t, w.DestroyTenant(t.Context(), acme))
	w.wantBackups(acme, 1, 2)
}

func TestNothingIsDestroyedWithoutABackup(t *testing.T) {
	w := onFiles(t)
	acme := w.provision("acme")
	must(t, w.write(acme))
	must(t, os.WriteFile(filepath.Join(w.data, "backups"), nil, 0o600)) // where a directory should be
	w.fleet.config.GraceHours = 0
	if err := w.DestroyTenant(t.Context(), acme); err == nil {
		t.Error("a backup that cannot be kept is no error")
	}
	if got := w.rows(acme); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
	must(t, os.Remove(filepath.Join(w.data, "backups")))
	must(t, w.DestroyTenant(t.Context(), acme))
	w.wantBackups(acme, 1)
}

func TestLegalHold(t *testing.T) {
	w := onFiles(t)
	acme := w.provision("acme")
	must(t, w.write(acme))
	held, err := w.Store.Tenant(t.Context(), acme)
	must(t, err)
	held.Spec.LegalHold = &bundle.LegalHold{Reason: "case 7"}
	must(t, w.Store.SaveTenants(t.Context(), held))
	must(t, w.DestroyTenant(t.Context(), acme))
	w.now = w.now.Add(1000 * time.Hour)
	must(t, w.DestroyTenant(t.Context(), acme))
	must(t, w.Expire(t.Context(), w.fleet.config.Backup))
	if got := w.rows(acme); got != 1 {
		t.Errorf("got %d rows, want 1", got)
	}
	w.wantBackups(acme, 1)
	if _, err := w.Erase(t.Context(), acme, w.fleet.config.Backup, "asked"); !errors.Is(err, provision.ErrLegalHold) {
		t.Errorf("got error %v, want ErrLegalHold", err)
	}
	held.Spec.LegalHold = nil
	must(t, w.Store.SaveTenants(t.Context(), held))
	must(t, w.DestroyTenant(t.Context(), acme))
	if _, err := w.TenantStatus(t.Context(), acme); !errors.Is(err, protocol.ErrUnknownTenant) {
		t.Errorf("got error %v, want ErrUnknownTenant", err)
	}
}

func TestBackupsExpireAndAreErased(t *testing.T) {
	w := onFiles(t)
	w.fleet.config.GraceHours = 0
	acme, globex := w.provision("acme"), w.provision("globex")
	if _, err := w.Erase(t.Context(), acme, w.fleet.config.Backup, "asked"); !errors.Is(err, provision.ErrAlive) {
		t.Errorf("got error %v, want ErrAlive", err)
	}
	for _, id := range []protocol.TenantID{acme, globex} {
		must(t, w.DestroyTenant(t.Context(), id))
	}
	erased, err := w.Erase(t.Context(), acme, w.fleet.config.Backup, "article 17")
	must(t, err)
	if len(erased.Backups) != 1 {
		t.Errorf("got %+v, want one backup", erased)
	}
	w.now = w.now.Add(29 * 24 * time.Hour)
	must(t, w.Expire(t.Context(), w.fleet.config.Backup))
	w.wantBackups(globex, 0)
	w.now = w.now.Add(48 * time.Hour)
	must(t, w.Expire(t.Context(), w.fleet.config.Backup))
	for id, why := range map[protocol.TenantID]string{acme: "article 17", globex: "its retention of 30d is over"} {
		b, err := w.Store.Backups(t.Context(), id)
		must(t, err)
		if len(b) != 1 || b[0].EraseReason != why || b[0].ErasedBy != "ada" || b[0].ErasedAt.IsZero() || len(b[0].SHA256) != 64 {
			t.Errorf("record of %s: got %+v", id, b)
		}
		at, err := url.Parse(b[0].URL)
		must(t, err)
		if _, err := os.Stat(at.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("backup of %s: %v, want it gone", id, err)
		}
	}
}

// A database that somebody else has taken over is neither marked, nor copied,
// nor destroyed: another tenant, another fleet or another environment.
func TestDatabaseOfSomebodyElseStays(t *testing.T) {
	for key, value := range map[string]string{"tenant": "globex", "fleet": "other", "environment": "dev"} {
		w := onFiles(t)
		acme := w.takenOver(key, value)
		w.wantBackups(acme)
		orphans, err := w.Orphans(t.Context())
		must(t, err)
		if len(orphans) != 1 || orphans[0].Kind != "database" || orphans[0].Tenant != acme {
			t.Errorf("%s: got orphans %+v, want the database", key, orphans)
		}
	}
}

// A database that has come in the place of the tenant's, under its name, stays
// too.
func TestDatabaseInItsPlaceStays(t *testing.T) {
	for name, open := range lasting {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			w.look(acme, func(conn database.Conn) {
				for _, table := range []string{"_reconciler_journal", "_reconciler_meta"} {
					_, err := conn.Exec(t.Context(), "DROP TABLE "+table)
					must(t, err)
				}
			})
			must(t, w.write(acme))
			must(t, w.SuspendTenant(t.Context(), acme))
			w.gone(acme)
			w.wantBackups(acme)
			w.look(acme, func(conn database.Conn) {
				rows, err := conn.Query(t.Context(), "SELECT count(*) FROM customer")
				if err != nil || rows.Values[0][0] != int64(1) {
					t.Errorf("got %v, %v; want the database with its row", rows.Values, err)
				}
			})
		})
	}
}

// takenOver destroys a tenant whose database is somebody else's by now, who goes
// on using it.
func (w *world) takenOver(key, value string) protocol.TenantID {
	w.t.Helper()
	acme := w.provision("acme")
	must(w.t, w.write(acme))
	w.look(acme, func(conn database.Conn) {
		_, err := conn.Exec(w.t.Context(), "UPDATE _reconciler_meta SET value = ? WHERE key = ?", value, key)
		must(w.t, err)
	})
	w.gone(acme)
	must(w.t, w.write(acme))
	return acme
}

// gone destroys a tenant whose database stays, and makes sure that on a server
// another one of its id does not get it. Tests find it as before.
func (w *world) gone(tenant protocol.TenantID) {
	w.t.Helper()
	w.fleet.config.GraceHours = 0
	hosted, onServer := w.Provider.(*provision.Hosted)
	if !onServer {
		must(w.t, w.DestroyTenant(w.t.Context(), tenant))
		return
	}
	placed, _ := hosted.Router.Placements().Of(tenant)
	must(w.t, w.DestroyTenant(w.t.Context(), tenant))
	if err := hosted.Place(w.t.Context(), tenant, false); !errors.Is(err, control.ErrExists) {
		w.t.Errorf("got %v for the next tenant of the id, want that the name is taken", err)
	}
	hosted.Router.Placements().Put(placed)
}

// A new customer never gets what an earlier one of the same name has left.
func TestSignUpDoesNotInherit(t *testing.T) {
	w := onFiles(t)
	acme := w.provision("acme")
	must(t, w.write(acme))
	must(t, w.Store.ForgetTenant(t.Context(), acme)) // as when state is lost
	r, err := w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
	must(t, err)
	if r.Status != protocol.TenantFailed || !strings.Contains(r.Error, "tenant orphans") {
		t.Errorf("got %+v, want a failure that names the orphan", r)
	}
}

func TestIDs(t *testing.T) {
	w := onFiles(t)
	seen := map[protocol.TenantID]bool{}
	for _, org := range []string{"org_42", "org-42", "ORG 42", "größe", "数", strings.Repeat("long", 40), "a/../b", "-", "taken"} {
		id := w.provision(org)
		if seen[id] || len(id) > 63 || id == "taken" {
			t.Errorf("%q: got id %q, which is taken or too long", org, id)
		}
		seen[id] = true
		if again := w.provision(org); again != id {
			t.Errorf("%q: got %q and then %q", org, id, again)
		}
	}
}

func TestKeyOfASignUp(t *testing.T) {
	w := onFiles(t)
	acme := protocol.TenantProvisioningRequest{OrgID: "acme", Plan: protocol.PlanPro}
	first, err := w.SignUp(t.Context(), "key-1", acme)
	must(t, err)
	again, err := w.SignUp(t.Context(), "key-1", acme)
	must(t, err)
	if again.TenantID != first.TenantID {
		t.Errorf("got %q and then %q", first.TenantID, again.TenantID)
	}
	acme.Plan = protocol.PlanFree
	if _, err := w.SignUp(t.Context(), "key-1", acme); !errors.Is(err, provision.ErrKeyReused) {
		t.Errorf("got error %v, want ErrKeyReused", err)
	}
	for _, r := range []protocol.TenantProvisioningRequest{
		{},
		{OrgID: "x", Plan: "gold"},
		{OrgID: "x", AdminEmail: "nobody"},
		{OrgID: strings.Repeat("x", 300)},
		{OrgID: "x", DisplayName: "a\nb"},
		{OrgID: "x\x00"},
		{OrgID: "x", Metadata: map[string]any{"a": []any{"\x00"}}},
	} {
		if _, err := w.SignUp(t.Context(), "", r); !errors.Is(err, provision.ErrRequest) {
			t.Errorf("%+v: got error %v, want ErrRequest", r, err)
		}
	}
}

func TestVaultStaysWhereTheOperatorAllows(t *testing.T) {
	data, root := t.TempDir(), t.TempDir()
	open := provision.Directories(data, root)
	for to, ok := range map[string]bool{
		"file:backups": true, "file://" + root + "/b": true, "file:" + data + "/x/y": true,
		"file:///etc": false, "file:../out": false, "file:.": false, "file:tenants": false, "file:snapshots/x": false, "file:git": false,
		"s3://bucket": false, "file:": false, "backups": false, "file:a%00b": false,
	} {
		c := onFiles(t).fleet.config.Backup
		c.To = to
		if _, err := open(c); (err == nil) != ok {
			t.Errorf("%s: got error %v", to, err)
		}
	}
	vault := provision.Directory{Path: filepath.Join(data, "v")}
	at, err := vault.Put(t.Context(), "acme/one.db", strings.NewReader("first"))
	must(t, err)
	_, err = vault.Put(t.Context(), "acme/one.db", strings.NewReader("second"))
	must(t, err)
	content, err := vault.Open(t.Context(), at)
	must(t, err)
	defer content.Close()
	if text, err := io.ReadAll(content); string(text) != "second" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	for range 2 {
		must(t, vault.Remove(t.Context(), at))
	}
}

func TestPendingGoesBeforeGit(t *testing.T) {
	w := onFiles(t)
	acme := w.provision("acme")
	in, err := w.Store.Tenant(t.Context(), acme)
	must(t, err)
	if !in.PendingCommit() || in.Pending != "" {
		t.Errorf("got %+v, want one that is not in git", in)
	}
	in.Revision = "aaaa"
	must(t, w.Store.SaveTenants(t.Context(), in))
	must(t, w.SuspendTenant(t.Context(), acme))
	must(t, w.MigrateTenantPlan(t.Context(), acme, protocol.PlanPro))
	got, err := w.Store.Tenant(t.Context(), acme)
	must(t, err)
	if !got.Awaits(state.PendingStatus) || !got.Awaits(state.PendingPlan) || got.Awaits(state.PendingRemoval) {
		t.Errorf("got pending %q", got.Pending)
	}
}

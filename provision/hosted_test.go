package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/hrana"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/provision/sqld"
	"github.com/tenantops/reconciler/provision/turso"
	"github.com/tenantops/reconciler/provision/turso/tursotest"
	"github.com/tenantops/reconciler/secret"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// onSQLD is a world whose databases are made on a real libSQL server.
func onSQLD(t testing.TB) *world {
	behind := sqldtest.Start(t)
	server, err := sqld.New(sqld.Config{Admin: behind.Admin, URL: "http://{name}.sqld.test"})
	must(t, err)
	return onServer(t, behind, server)
}

// onTurso has the double of the platform in front of it.
func onTurso(t testing.TB) *world {
	w, _ := onPlatform(t)
	return w
}

// onPlatform returns also what opens another group of the platform.
func onPlatform(t testing.TB) (*world, func(group string) provision.Server) {
	behind := sqldtest.Start(t)
	platform := tursotest.Open(t, tursotest.Options{Admin: behind.Admin, Host: sqldtest.Host})
	in := func(group string) provision.Server {
		server, err := turso.New(turso.Config{
			Base: platform.URL, Organization: "acme", Group: group, Token: func() (string, error) { return tursotest.Token, nil },
			URL: func(d protocol.TursoDatabase) string { return "http://" + d.Hostname },
		})
		must(t, err)
		return server
	}
	return onServer(t, behind, in("default")), in
}

// onServer is a world on a server. Names of databases have a prefix of their own,
// since tests share what is behind.
func onServer(t testing.TB, behind *sqldtest.Server, server provision.Server) *world {
	t.Helper()
	data, prefix := t.TempDir(), behind.Namespace(t)
	keeper := secret.Keeper{IdentityFile: identityFile(t)}
	return openWith(t, data, nil, func(w *world, store *state.Store) provision.Provider {
		placements, err := tenantrouter.PlacementsOf(t.Context(), store)
		must(t, err)
		router, err := tenantrouter.New(tenantrouter.Config{
			DataDir: data, Placements: placements, Servers: tenantrouter.Servers{
				Hosts: []tenantrouter.Host{{Match: "*.sqld.test", Address: behind.URL}}, Secret: keeper.Resolve,
			},
		})
		must(t, err)
		hosted := &provision.Hosted{
			Files: provision.Files{Router: router}, Store: store, Secrets: keeper, Fleet: w.fleet.Config,
			Databases: provision.Databases{
				Branches: new(provision.Branches),
				Name:     prefix + "-{tenant_id}", Server: func(config.Databases) (provision.Server, error) { return server, nil },
			},
		}
		hosted.Confirm()
		return hosted
	})
}

func identityFile(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	path := filepath.Join(t.TempDir(), "age.key")
	must(t, os.WriteFile(path, []byte(identity.String()+"\n"), 0o600))
	return path
}

var hosts = map[string]func(testing.TB) *world{"sqld": onSQLD, "turso": onTurso}

func (w *world) hosted() *provision.Hosted { return w.Provider.(*provision.Hosted) }

// connect opens a tenant's database with a token, past the reconciler.
func (w *world) connect(tenant protocol.TenantID, token string) database.Conn {
	w.t.Helper()
	p, there := w.hosted().Router.Placements().Of(tenant)
	if !there {
		w.t.Fatalf("tenant %q has no placement", tenant)
	}
	conn, err := hrana.Open(w.t.Context(), hrana.Options{
		URL: sqldtest.Start(w.t).URL, Host: strings.TrimPrefix(p.URL, "http://"), Token: token,
	})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, conn.Close()) })
	return conn
}

// token is the one that is recorded, decrypted.
func (w *world) token(tenant protocol.TenantID) string {
	w.t.Helper()
	p, _, err := w.Store.Placement(w.t.Context(), tenant)
	must(w.t, err)
	if !strings.HasPrefix(p.Token, "$age:") {
		w.t.Fatalf("got token %q in state, want an encrypted one", p.Token)
	}
	token, err := w.hosted().Secrets.Resolve(config.Secret(p.Token))
	must(w.t, err)
	return token
}

// What another fleet has taken over on a server is left alone, with its tokens:
// it is written to with the one of before.
func TestHostedDatabaseOfSomebodyElseStays(t *testing.T) {
	for name, on := range hosts {
		t.Run(name, func(t *testing.T) { on(t).takenOver("fleet", "other") })
	}
}

// A database that is gone from its server is made anew when somebody asks for
// it, and not while it is there.
func TestRecreateOnServer(t *testing.T) {
	for name, on := range hosts {
		t.Run(name, func(t *testing.T) {
			w := on(t)
			acme := w.provision("acme")
			must(t, w.write(acme))
			if err := w.Recreate(t.Context(), acme, "lost"); !errors.Is(err, provision.ErrThere) {
				t.Errorf("got %v for a database that is there, want ErrThere", err)
			}
			p, _, err := w.Store.Placement(t.Context(), acme)
			must(t, err)
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			must(t, server.Delete(t.Context(), p.Name))
			w.fleet.config.Databases.Lifecycle = &protocol.TenantLifecycle{}
			var unmade *provision.UnmadeError
			if err := w.Recreate(t.Context(), acme, "lost"); !errors.As(err, &unmade) {
				t.Errorf("got %v where no database is made, want an UnmadeError", err)
			}
			if status, err := w.TenantStatus(t.Context(), acme); err != nil || status != protocol.TenantActive {
				t.Errorf("got %v, %v; want nothing changed", status, err)
			}
			w.fleet.config.Databases.Lifecycle = nil
			must(t, w.Recreate(t.Context(), acme, "lost"))
			w.provision("acme")
			must(t, w.write(acme))
			if n := w.rows(acme); n != 1 {
				t.Errorf("got %d rows in the new database, want 1", n)
			}
		})
	}
}

// moved is a server that is configured later, with databases of the same names.
type moved struct{ provision.Server }

func (m moved) Find(ctx context.Context, name string) (control.Database, error) {
	d, err := m.Server.Find(ctx, name)
	d.URL = strings.Replace(d.URL, ".sqld.test", ".moved.sqld.test", 1)
	return d, err
}

// nowhere is one that has none of them.
type nowhere struct{ provision.Server }

func (nowhere) Find(context.Context, string) (control.Database, error) {
	return control.Database{}, control.ErrNotFound
}

func (nowhere) Delete(context.Context, string) error { return nil }

// Once another server is configured nothing is done to its databases on account
// of tenants whose databases were made elsewhere, until somebody says that they
// have moved there.
func TestAnotherServer(t *testing.T) {
	for name, on := range hosts {
		t.Run(name, func(t *testing.T) {
			w := on(t)
			acme := w.provision("acme")
			must(t, w.write(acme))
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			w.hosted().Server = func(config.Databases) (provision.Server, error) { return moved{server}, nil }
			w.fleet.config.GraceHours = 0
			at, err := w.Provider.Locate(acme, nil)
			must(t, err)
			_, rotated := w.hosted().Rotate(t.Context(), at)
			_, branched := w.hosted().Branch(t.Context(), at)
			for doing, err := range map[string]error{
				"rotate": rotated, "branch": branched, "block": w.hosted().Block(t.Context(), at, true), "destroy": w.hosted().Destroy(t.Context(), at),
			} {
				var elsewhere *provision.ElsewhereError
				if !errors.As(err, &elsewhere) || elsewhere.Reason() == "" || elsewhere.Next() == "" {
					t.Errorf("%s: got %v, want an ElsewhereError", doing, err)
				}
			}
			w.hosted().Server = func(config.Databases) (provision.Server, error) { return nowhere{server}, nil }
			var elsewhere *provision.ElsewhereError
			if err := w.hosted().Destroy(t.Context(), at); !errors.As(err, &elsewhere) {
				t.Errorf("got %v from a server that does not know it, want an ElsewhereError", err)
			}
			if n := w.rows(acme); n != 1 {
				t.Errorf("got %d rows, want 1", n)
			}
			w.hosted().Server = func(config.Databases) (provision.Server, error) { return moved{server}, nil }
			_, err = w.Take(t.Context(), acme, "moved")
			must(t, err)
			must(t, w.SuspendTenant(t.Context(), acme))
			must(t, w.ResumeTenant(t.Context(), acme))
			must(t, w.DestroyTenant(t.Context(), acme))
		})
	}
}

// A database that somebody has made anew on the platform under the tenant's name
// is not the tenant's, whatever is in it: it is neither rotated nor blocked nor
// destroyed, until somebody says that it is the tenant's.
func TestMadeAnew(t *testing.T) {
	w, in := onPlatform(t)
	acme := w.provision("acme")
	placed, _ := w.hosted().Router.Placements().Of(acme)
	at, err := w.Provider.Locate(acme, nil)
	must(t, err)
	platform := in("default")
	must(t, platform.Delete(t.Context(), placed.Name))
	_, err = platform.Create(t.Context(), placed.Name)
	must(t, err)
	token, err := platform.Token(t.Context(), placed.Name)
	must(t, err)
	theirs := w.connect(acme, token)
	_, err = theirs.Exec(t.Context(), "CREATE TABLE theirs (x)")
	must(t, err)
	_, rotated := w.hosted().Rotate(t.Context(), at)
	for doing, err := range map[string]error{
		"rotate": rotated, "block": w.hosted().Block(t.Context(), at, true), "destroy": w.hosted().Destroy(t.Context(), at),
	} {
		var taken *provision.NameTakenError
		if !errors.As(err, &taken) || !strings.Contains(err.Error(), "made it anew") {
			t.Errorf("%s: got %v, want that another has the name", doing, err)
		}
	}
	must(t, w.SuspendTenant(t.Context(), acme))
	w.gone(acme)
	if _, err = theirs.Exec(t.Context(), "INSERT INTO theirs VALUES (1)"); err != nil {
		t.Errorf("the other database has gone, or takes no more rows: %v", err)
	}
}

// The tenant of a database that was made anew is given it by who knows that it is
// the tenant's.
func TestTakeWhatWasMadeAnew(t *testing.T) {
	w, in := onPlatform(t)
	acme := w.provision("acme")
	placed, _ := w.hosted().Router.Placements().Of(acme)
	must(t, in("default").Delete(t.Context(), placed.Name))
	_, err := in("default").Create(t.Context(), placed.Name)
	must(t, err)
	_, err = w.Take(t.Context(), acme, "it was put back from a backup")
	must(t, err)
	must(t, w.SuspendTenant(t.Context(), acme))
	must(t, w.ResumeTenant(t.Context(), acme))
	if now, _ := w.hosted().Router.Placements().Of(acme); now.ServerID == "" || now.ServerID == placed.ServerID {
		t.Errorf("got the id %q of the database, was %q", now.ServerID, placed.ServerID)
	}
}

// A rotation cuts off who has the old token, and the router follows.
func TestRotate(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme, beta := w.provision("acme"), w.provision("beta")
			stolen := w.token(acme)
			_, err := w.connect(acme, stolen).Query(t.Context(), "SELECT 1")
			must(t, err)
			rotated, err := w.Rotate(t.Context(), acme, "laptop lost")
			must(t, err)
			if rotated.CutOff == "" || w.token(acme) == stolen {
				t.Errorf("got %+v, want a new token and who is cut off", rotated)
			}
			if _, err := w.connect(acme, stolen).Query(t.Context(), "SELECT 1"); !errors.Is(err, database.ErrPermission) {
				t.Errorf("the old token: got %v, want ErrPermission", err)
			}
			for _, tenant := range []protocol.TenantID{acme, beta} {
				must(t, w.write(tenant))
			}
			if kinds := w.kinds(acme); kinds[len(kinds)-1] != state.EventRotated {
				t.Errorf("got events %q, want the rotation last", kinds)
			}
		})
	}
}

// tokenless is a server that makes no tokens.
type tokenless struct{ provision.Server }

func (tokenless) Rotate(context.Context, string) (string, error) {
	return "", fmt.Errorf("%w: %w", control.ErrCutOff, &control.Error{Status: http.StatusUnauthorized})
}

// A rotation that ends halfway says so, and the next pass looks at the tenant.
func TestRotateHalfway(t *testing.T) {
	w := onTurso(t)
	acme := w.provision("acme")
	server, err := w.hosted().Server(config.Databases{})
	must(t, err)
	row, _, err := w.Store.ObservedOf(t.Context(), acme)
	must(t, err)
	row.InputDigest = "looked at"
	must(t, w.Store.SaveObserved(t.Context(), row))
	w.hosted().Server = func(config.Databases) (provision.Server, error) { return tokenless{server}, nil }
	_, err = w.Rotate(t.Context(), acme, "leak")
	if !errors.Is(err, control.ErrCutOff) || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("got %v, want ErrCutOff and what to do", err)
	}
	if row, _, err = w.Store.ObservedOf(t.Context(), acme); err != nil || row.InputDigest != "" {
		t.Errorf("got %+v, %v; want a tenant that the next pass looks at", row, err)
	}
}

func TestNothingToRotate(t *testing.T) {
	for _, w := range []*world{onFiles(t), inMemory(t)} {
		if _, err := w.Rotate(t.Context(), w.provision("acme"), ""); !errors.Is(err, provision.ErrNotPlaced) {
			t.Errorf("got %v, want ErrNotPlaced", err)
		}
	}
}

// The server itself refuses the writes of a suspended tenant, of whoever has a
// token.
func TestSuspendedOnTheServer(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			must(t, w.SuspendTenant(t.Context(), acme))
			const insert = "INSERT INTO customer (id, name) VALUES ('x', 'Ada')"
			if _, err := w.connect(acme, w.token(acme)).Exec(t.Context(), insert); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("got %v, want ErrReadOnly", err)
			}
			must(t, w.ResumeTenant(t.Context(), acme))
			_, err := w.connect(acme, w.token(acme)).Exec(t.Context(), insert)
			must(t, err)
			must(t, w.SuspendTenant(t.Context(), acme)) // and is removed though nothing can be written
			w.fleet.config.GraceHours = 0
			must(t, w.DestroyTenant(t.Context(), acme))
			w.wantBackups(acme, 1)
		})
	}
}

// A suspension that has stopped halfway, whatever call failed, is taken back by
// resuming; and a resumption by suspending.
func TestHalfway(t *testing.T) {
	for name, open := range hosts {
		for _, before := range []bool{true, false} {
			for n := range 3 {
				t.Run(fmt.Sprint(name, n, before), func(t *testing.T) {
					w := open(t)
					acme := w.provision("acme")
					server, err := w.hosted().Server(config.Databases{})
					must(t, err)
					struckAt := func(n int) {
						at := &struck{Server: server, left: n, before: before}
						w.hosted().Server = func(config.Databases) (provision.Server, error) { return at, nil }
					}
					struckAt(n)
					suspended := w.SuspendTenant(t.Context(), acme)
					struckAt(-1)
					unsettled, err := w.Store.UnsettledTenants(t.Context())
					must(t, err)
					if suspended != nil && (len(unsettled) != 1 || !provision.Halfway(unsettled[0].Lifecycle)) {
						t.Errorf("got unsettled %+v after half a suspension, want the tenant", unsettled)
					}
					must(t, w.ResumeTenant(t.Context(), acme))
					must(t, w.write(acme))

					must(t, w.SuspendTenant(t.Context(), acme))
					struckAt(n)
					_ = w.ResumeTenant(t.Context(), acme)
					struckAt(-1)
					must(t, w.SuspendTenant(t.Context(), acme))
					if w.write(acme) == nil {
						t.Error("a suspended tenant can be written to")
					}
				})
			}
		}
	}
}

// A name that is there already is never used by itself.
func TestNameIsTaken(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			must(t, w.write(acme))
			must(t, w.Store.ForgetPlacement(t.Context(), acme)) // as when state is lost
			must(t, w.Store.ForgetTenant(t.Context(), acme))
			w.hosted().Router.Placements().Remove(acme)
			r, err := w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
			must(t, err)
			if r.Status != protocol.TenantFailed || !strings.Contains(r.Error, "already") {
				t.Fatalf("got %+v, want a failure", r)
			}
			taken, err := w.Take(t.Context(), acme, "it is ours")
			must(t, err)
			if taken.Before.Tenant != string(acme) || w.rows(acme) != 1 {
				t.Errorf("got %+v with %d rows, want the database of before", taken, w.rows(acme))
			}
		})
	}
}

// A tenant whose database is in a file keeps it.
func TestFileStays(t *testing.T) {
	w := onSQLD(t)
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: w.data})
	must(t, err)
	conn, err := router.Open(t.Context(), must1(router.Locate("acme", nil))(t), true)
	must(t, err)
	must(t, conn.Close())
	must(t, w.hosted().Place(t.Context(), "acme", false))
	if _, there, err := w.Store.Placement(t.Context(), "acme"); there || err != nil {
		t.Errorf("got a placement %v, %v; want the file", there, err)
	}
}

func must1[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return value
	}
}

func TestOrphansOnAServer(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme, beta := w.provision("acme"), w.provision("beta")
			if found, err := w.Orphans(t.Context()); err != nil || len(found) > 0 {
				t.Errorf("got %+v, %v; want none", found, err)
			}
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			p, _, err := w.Store.Placement(t.Context(), acme)
			must(t, err)
			must(t, server.Delete(t.Context(), p.Name))
			must(t, w.Store.ForgetTenant(t.Context(), beta))
			found, err := w.Orphans(t.Context())
			must(t, err)
			var kinds []string
			for _, o := range found {
				kinds = append(kinds, o.Kind+" "+string(o.Tenant))
			}
			if want := []string{"tenant acme", "database beta"}; !slices.Equal(kinds, want) {
				t.Errorf("got %q, want %q", kinds, want)
			}
		})
	}
}

// After the fleet has another group, databases of the one before are there still,
// and are branched there.
func TestAnotherGroup(t *testing.T) {
	w, in := onPlatform(t)
	acme := w.provision("acme")
	other := in("other") // which the platform does not have
	w.hosted().Server = func(config.Databases) (provision.Server, error) { return other, nil }
	if found, err := w.Orphans(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("got orphans %+v, %v; want none", found, err)
	}
	conn, err := w.hosted().Branch(t.Context(), must1(w.Provider.Locate(acme, nil))(t))
	must(t, err)
	if found, err := w.Orphans(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("got orphans %+v, %v beside a branch; want none", found, err)
	}
	must(t, conn.Close())
}

// A branch has the rows and takes writes, the original does not see them, and
// nothing is left of it.
func TestBranch(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			acme := w.provision("acme")
			must(t, w.write(acme))
			must(t, w.SuspendTenant(t.Context(), acme)) // the branch takes writes all the same
			at := must1(w.Provider.Locate(acme, nil))(t)
			conn, err := w.hosted().Branch(t.Context(), at)
			must(t, err)
			_, err = conn.Exec(t.Context(), "INSERT INTO customer (id, name) VALUES ('try', 'Bo')")
			must(t, err)
			rows, err := conn.Query(t.Context(), "SELECT count(*) FROM customer")
			must(t, err)
			if rows.Values[0][0] != int64(2) || w.rows(acme) != 1 {
				t.Errorf("got %v rows in the branch and %d in the original, want 2 and 1", rows.Values[0][0], w.rows(acme))
			}
			left := w.branches(1)
			must(t, conn.Close())
			w.branches(0)
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			if _, err := server.Find(t.Context(), left[0].Name); !errors.Is(err, control.ErrNotFound) {
				t.Errorf("got %v, want the branch gone", err)
			}
		})
	}
}

// another is another provider of the same databases.
func (w *world) another() *provision.Hosted {
	h := w.hosted()
	return &provision.Hosted{Files: h.Files, Databases: h.Databases, Store: h.Store, Secrets: h.Secrets, Fleet: h.Fleet}
}

// restarted is that of the next process.
func (w *world) restarted() *provision.Hosted {
	h := w.another()
	h.Branches = new(provision.Branches)
	return h
}

// What a crash has left of a branch goes with the next start, and with the next
// branch; what is open does not.
func TestSweep(t *testing.T) {
	for name, open := range hosts {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			at := must1(w.Provider.Locate(w.provision("acme"), nil))(t)
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			for doing, sweep := range map[string]func(*provision.Hosted) error{
				"start": func(h *provision.Hosted) error { return h.Sweep(t.Context()) },
				"branch": func(h *provision.Hosted) error {
					conn, err := h.Branch(t.Context(), at)
					must(t, err)
					return conn.Close()
				},
			} {
				_, err := w.hosted().Branch(t.Context(), at)
				must(t, err)
				left := w.branches(1)
				for _, same := range []*provision.Hosted{w.hosted(), w.another()} {
					must(t, sweep(same))
					w.branches(1)
				}
				must(t, sweep(w.restarted()))
				w.branches(0)
				if _, err := server.Find(t.Context(), left[0].Name); !errors.Is(err, control.ErrNotFound) {
					t.Errorf("%s: got %v, want the branch gone", doing, err)
				}
			}
			must(t, w.write(at.Tenant))
		})
	}
}

// refusing is a server that makes no database, for a while.
type refusing struct {
	provision.Server
	with error
}

func (r *refusing) Create(ctx context.Context, name string) (control.Database, error) {
	if err := r.with; err != nil {
		return control.Database{}, err
	}
	return r.Server.Create(ctx, name)
}

// A database that somebody else makes after the server has refused to make the
// tenant's, or at the same moment, is not used either. One that an earlier try
// may have made is.
func TestNameIsTakenLater(t *testing.T) {
	for name, test := range map[string]struct {
		with error
		used bool
	}{
		"refused":                 {with: &control.Error{Status: http.StatusPaymentRequired}},
		"made at the same moment": {with: control.ErrExists},
		"not answered":            {with: &control.Error{Status: http.StatusBadGateway}, used: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := onTurso(t)
			server, err := w.hosted().Server(config.Databases{})
			must(t, err)
			refusing := &refusing{Server: server, with: test.with}
			w.hosted().Server = func(config.Databases) (provision.Server, error) { return refusing, nil }
			if err := w.hosted().Place(t.Context(), "acme", false); !errors.Is(err, test.with) {
				t.Fatalf("got %v, want %v", err, test.with)
			}
			refusing.with = nil
			_, err = server.Create(t.Context(), strings.ReplaceAll(w.hosted().Name, "{tenant_id}", "acme"))
			must(t, err)
			err = w.hosted().Place(t.Context(), "acme", false)
			if taken := errors.Is(err, control.ErrExists); taken == test.used {
				t.Errorf("got %v, want it used: %v", err, test.used)
			}
		})
	}
}

func (w *world) branches(want int) []state.Branch {
	w.t.Helper()
	all, err := w.Store.Branches(w.t.Context())
	must(w.t, err)
	if len(all) != want {
		w.t.Fatalf("got branches %+v, want %d", all, want)
	}
	return all
}

// struck is a server that fails at one call: before it does what is asked, or
// after, so that nobody learns of it.
type struck struct {
	provision.Server
	left   int
	before bool
}

var errStruck = errors.New("struck")

func (s *struck) do(f func() error) error {
	s.left--
	if s.left == -1 && s.before {
		return errStruck
	}
	if err := f(); err != nil {
		return err
	}
	if s.left == -1 {
		return errStruck
	}
	return nil
}

func (s *struck) Create(ctx context.Context, name string) (d control.Database, err error) {
	err = s.do(func() error { d, err = s.Server.Create(ctx, name); return err })
	return d, err
}

func (s *struck) Token(ctx context.Context, name string) (token string, err error) {
	err = s.do(func() error { token, err = s.Server.Token(ctx, name); return err })
	return token, err
}

func (s *struck) Rotate(ctx context.Context, name string) (token string, err error) {
	err = s.do(func() error { token, err = s.Server.Rotate(ctx, name); return err })
	return token, err
}

func (s *struck) Block(ctx context.Context, name string, writes bool) error {
	return s.do(func() error { return s.Server.Block(ctx, name, writes) })
}

func (s *struck) Delete(ctx context.Context, name string) error {
	return s.do(func() error { return s.Server.Delete(ctx, name) })
}

// A database that was asked for and not made is forgotten with its tenant: the
// next one of the name asks whether somebody else has it by then.
func TestWhatWasAskedForIsForgotten(t *testing.T) {
	behind := sqldtest.Start(t)
	server, err := sqld.New(sqld.Config{Admin: behind.Admin, URL: "http://{name}.sqld.test"})
	must(t, err)
	w := onServer(t, behind, &struck{Server: server, before: true})
	w.fleet.config.GraceHours = 0
	r, err := w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
	must(t, err)
	p, asked, err := w.Store.Placement(t.Context(), r.TenantID)
	must(t, err)
	if r.Status == protocol.TenantActive || !asked {
		t.Fatalf("got %+v and placement %+v, want one that is asked for", r, p)
	}
	must(t, w.DestroyTenant(t.Context(), r.TenantID))
	_, err = server.Create(t.Context(), p.Name) // somebody else does
	must(t, err)
	r, err = w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
	must(t, err)
	if r.Status != protocol.TenantFailed || !strings.Contains(r.Error, "already") {
		t.Errorf("got %+v, want that the name is taken", r)
	}
}

// Whatever call fails, done or not, saying it again brings the tenant through
// its life.
func TestEveryCallMayFail(t *testing.T) {
	for _, before := range []bool{true, false} {
		for n := range 20 {
			if before && n%3 != 0 && os.Getenv("FAULT_ALL") == "" {
				continue
			}
			at := &struck{left: n, before: before}
			if !t.Run(fmt.Sprint(n, map[bool]string{true: " before", false: " after"}[before]), func(t *testing.T) { liveThrough(t, at) }) || at.left >= 0 {
				break
			}
		}
	}
}

func liveThrough(t *testing.T, at *struck) {
	behind := sqldtest.Start(t)
	server, err := sqld.New(sqld.Config{Admin: behind.Admin, URL: "http://{name}.sqld.test"})
	must(t, err)
	at.Server = server
	w := onServer(t, behind, at)
	w.fleet.config.GraceHours = 0
	again := func(do func() error) {
		t.Helper()
		if err := do(); errors.Is(err, errStruck) {
			err = do()
			must(t, err)
		} else {
			must(t, err)
		}
	}
	r, err := w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
	if must(t, err); r.Status != protocol.TenantActive {
		r, err = w.ProvisionTenant(t.Context(), protocol.TenantProvisioningRequest{OrgID: "acme"})
		must(t, err)
	}
	acme := r.TenantID
	must(t, w.write(acme))
	p, _, err := w.Store.Placement(t.Context(), acme)
	must(t, err)
	again(func() error { return w.SuspendTenant(t.Context(), acme) })
	if w.write(acme) == nil {
		t.Error("a suspended tenant can be written to")
	}
	again(func() error { return w.ResumeTenant(t.Context(), acme) })
	must(t, w.write(acme))
	again(func() error { return w.DestroyTenant(t.Context(), acme) })
	w.wantBackups(acme, 2)
	if _, err := server.Find(t.Context(), p.Name); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("got %v, want the database gone", err)
	}
	if want := []string{"deployed", "provisioned", "suspended", "resumed", "removed", "backed_up", "destroyed"}; !slices.Equal(w.kinds(acme), want) {
		t.Errorf("got events %q, want %q", w.kinds(acme), want)
	}
}

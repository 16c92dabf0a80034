package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
)

// The child process that TestKilledLife kills: this test binary, told where to
// work and at which point to end.
const (
	lifeArgs   = "RECONCILER_TEST_LIFE"
	lifePoint  = "RECONCILER_TEST_LIFE_POINT"
	lifeSignUp = "RECONCILER_TEST_LIFE_SIGN_UP" // in place of a pass
)

// killer kills its process at a point, without a chance to tidy up.
type killer struct{ left int }

func (k *killer) at(where string) {
	if k.left--; k.left == 0 {
		fmt.Println("killed", where)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
}

// killedProvider ends the process around each thing it does.
type killedProvider struct {
	provision.Provider
	killer *killer
}

func (p killedProvider) Open(ctx context.Context, at provision.Database, create bool) (database.Conn, error) {
	p.killer.at("before open")
	conn, err := p.Provider.Open(ctx, at, create)
	p.killer.at("after open")
	return conn, err
}

func (p killedProvider) Copy(ctx context.Context, at provision.Database, path string) error {
	err := p.Provider.Copy(ctx, at, path)
	p.killer.at("after copy")
	return err
}

func (p killedProvider) Destroy(ctx context.Context, at provision.Database) error {
	p.killer.at("before destroy")
	err := p.Provider.Destroy(ctx, at)
	p.killer.at("after destroy")
	return err
}

type killedVault struct {
	provision.Vault
	killer *killer
}

func (v killedVault) Put(ctx context.Context, name string, content io.Reader) (string, error) {
	v.killer.at("before put")
	at, err := v.Vault.Put(ctx, name, content)
	v.killer.at("after put")
	return at, err
}

func TestLifeInChild(t *testing.T) {
	if os.Getenv(lifeArgs) == "" {
		return // only the child has something to do
	}
	point, err := strconv.Atoi(os.Getenv(lifePoint))
	must(t, err)
	r, closeAll, err := openWorld(t, os.Getenv("RECONCILER_TEST_REPO"), os.Getenv(lifeArgs), func(*reconcile.Config) {})
	must(t, err)
	defer closeAll()
	k, life := &killer{left: point}, r.Life()
	backups := life.Backups
	life.Provider = killedProvider{life.Provider, k}
	life.Backups = func(c config.Backup) (provision.Vault, error) {
		vault, err := backups(c)
		return killedVault{vault, k}, err
	}
	life.OnStep = func(_ protocol.TenantID, step string) { k.at("step " + step) }
	if os.Getenv(lifeSignUp) != "" {
		_, err = r.Life().SignUp(t.Context(), "key", protocol.TenantProvisioningRequest{OrgID: "acme"})
	} else {
		_, err = r.Sync(t.Context(), reconcile.Selection{})
	}
	must(t, err)
	fmt.Println("survived")
}

// A pass is killed at each point of a tenant's life: before and after each
// step, and around what a step does. The pass after it leaves the tenant where
// it should be, with its rows, its events and its backup once, and no orphan.
func TestKilledLife(t *testing.T) {
	suspended := tenantYAML("acme") + "provisioningStatus: suspended\n"
	remove := func(w *world) {
		w.commit("remove", files{"tenants/acme": "", "fleet.yaml": "graceHours: 0\n"})
	}
	for _, stage := range []struct {
		name    string
		before  func(*world) // what leads there, after acme has a row
		push    func(*world)
		status  protocol.TenantProvisioningStatus // empty for a tenant that is gone
		events  []string
		backups int
		signUp  bool // in place of what is pushed
	}{
		{name: "sign-up", signUp: true, status: protocol.TenantActive, events: []string{"deployed", "provisioned"}},
		{
			name: "provision", push: func(w *world) { w.commit("beta", files{"tenants/acme/tenant.yaml": tenantYAML("acme")}) },
			status: protocol.TenantActive, events: []string{"deployed", "provisioned"},
		},
		{
			name: "suspend", before: func(*world) {}, push: func(w *world) { w.commit("off", files{"tenants/acme/tenant.yaml": suspended}) },
			status: protocol.TenantSuspended, events: []string{"deployed", "provisioned", "suspended"},
		},
		{
			name:   "resume",
			before: func(w *world) { w.commit("off", files{"tenants/acme/tenant.yaml": suspended}) },
			push:   func(w *world) { w.commit("on", files{"tenants/acme/tenant.yaml": tenantYAML("acme")}) },
			status: protocol.TenantActive, events: []string{"deployed", "provisioned", "suspended", "resumed"},
		},
		{
			name: "cancel", before: func(w *world) { w.without("acme") }, push: func(w *world) { w.git("revert", "--no-edit", "HEAD") },
			status: protocol.TenantActive, events: []string{"deployed", "provisioned", "removed", "backed_up", "removal_cancelled"}, backups: 1,
		},
		{
			name: "destroy", before: func(*world) {}, push: remove,
			events: []string{"deployed", "provisioned", "removed", "backed_up", "destroyed"}, backups: 1,
		},
	} {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shop("globex"))
			if stage.before != nil {
				w.commit("acme", files{"tenants/acme/tenant.yaml": tenantYAML("acme")})
				w.sync()
				must(t, w.insertAs("acme", "ada"))
				stage.before(w)
			}
			w.sync()
			if stage.push != nil {
				stage.push(w)
			}
			start := w.data
			for point := 1; ; point++ {
				w.data = t.TempDir()
				must(t, os.CopyFS(w.data, os.DirFS(start)))
				survived := killLife(t, w, point, stage.signUp)
				w.sync()
				if stage.signUp { // the client got no answer, and asks again
					w.signUp("acme")
				}
				w.wantLife(stage.status, stage.events, stage.backups, stage.before != nil)
				if survived {
					t.Logf("killed at %d points", point-1)
					if point < 4 {
						t.Errorf("there are only %d points", point)
					}
					return
				}
			}
		})
	}
}

// killLife runs a pass in a child that ends at a point, and tells whether it
// came to its end before that.
func killLife(t *testing.T, w *world, point int, signUp bool) bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestLifeInChild$", "-test.v")
	child.Env = append(os.Environ(), lifeArgs+"="+w.data, "RECONCILER_TEST_REPO="+w.repo, lifePoint+"="+strconv.Itoa(point))
	if signUp {
		child.Env = append(child.Env, lifeSignUp+"=yes")
	}
	out, err := child.CombinedOutput()
	if err == nil {
		return true
	}
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("point %d: the child failed by itself: %v\n%s", point, err, out)
	}
	return false
}

// signUp signs an organisation up, with the key of the child.
func (w *world) signUp(org string) {
	w.t.Helper()
	r, closeAll := w.open()
	defer closeAll()
	if _, err := r.Life().SignUp(w.t.Context(), "key", protocol.TenantProvisioningRequest{OrgID: org}); err != nil {
		w.t.Fatal(err)
	}
}

// wantLife checks where acme is, and that nothing is lost or left over.
func (w *world) wantLife(status protocol.TenantProvisioningStatus, events []string, backups int, hasRow bool) {
	w.t.Helper()
	tenant, known := w.tenants()["acme"]
	if tenant.Status != status || known != (status != "") || !tenant.RemovedAt.IsZero() {
		w.t.Fatalf("got %+v, want status %q", tenant.Lifecycle, status)
	}
	if got := w.kindsOf("acme"); !slices.Equal(got, events) {
		w.t.Fatalf("got events %q, want %q", got, events)
	}
	kept := w.backups("acme")
	if len(kept) != backups {
		w.t.Fatalf("got %d backups, want %d", len(kept), backups)
	}
	for _, b := range kept {
		if b.rows != "1" {
			w.t.Fatalf("the backup has %s rows, want 1", b.rows)
		}
	}
	if hasRow && status != "" && w.rows("acme", countCustomers) != "1" {
		w.t.Fatal("the tenant's row is lost")
	}
	r, closeAll := w.open()
	defer closeAll()
	orphans, err := r.Life().Orphans(w.t.Context())
	must(w.t, err)
	if len(orphans) > 0 || w.exists("acme") != (status != "") {
		w.t.Fatalf("got orphans %+v", orphans)
	}
	left, err := filepath.Glob(filepath.Join(w.data, "scratch", "*"))
	must(w.t, err)
	parts, err := filepath.Glob(filepath.Join(w.data, "backups", "*", "*.part"))
	must(w.t, err)
	if len(left)+len(parts) > 0 {
		w.t.Fatalf("got %q and %q, want nothing left over", left, parts)
	}
}

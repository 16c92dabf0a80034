package reconcile_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// pinned is a tenant that takes a version of the shop.
func pinned(id, version string) string {
	return strings.Replace(tenantYAML(id), "{name: shop}", "{name: shop, version: "+version+"}", 1)
}

const shop2 = "name: shop\nlabel: Shop\nversion: 2.0.0\n"

// release tags the shop of the world's commit and moves its main line on.
func release(t *testing.T, tenants files) *world {
	w := newWorld(t, shop("acme", "globex"))
	w.git("tag", "shop/v1.0.0")
	content := files{"apps/shop/app.yaml": shop2, "apps/shop/objects/customer.yaml": customerWithPhone}
	for name, text := range tenants {
		content[name] = text
	}
	w.commit("version 2", content)
	return w
}

// A tag that moved after it was deployed is an error for the tenants that use
// it, in a new process too, and for nobody else. Putting it back heals them.
func TestMovedTag(t *testing.T) {
	w := release(t, files{"tenants/acme/tenant.yaml": pinned("acme", "1.0.0")})
	if report := w.sync(); report.Status != state.Succeeded {
		t.Fatalf("first sync: %+v", report)
	}
	before := content(t, w.tenantFile("acme"))
	tagged := w.git("rev-parse", "shop/v1.0.0")

	w.git("checkout", "--quiet", "--detach", tagged)
	w.commit("not what was released", files{"apps/shop/objects/customer.yaml": customer + "  fax: {type: phone}\n"})
	w.git("tag", "--force", "shop/v1.0.0")
	w.git("checkout", "--quiet", "main")
	w.commit("fax for those on version 2", files{"apps/shop/objects/customer.yaml": customerWithPhone + "  fax: {type: phone}\n"})
	for _, look := range []string{"first", "second"} { // being told once is not accepting it
		report := w.sync()
		acme, globex := tenantOf(t, report, "acme"), tenantOf(t, report, "globex")
		if acme.Health != state.Blocked || acme.Result.Reason != "InvalidBundle" ||
			!strings.Contains(acme.Result.Message, "tag shop/v1.0.0 was "+tagged[:12]) || !strings.Contains(acme.Result.Next, "put the tag back") {
			t.Errorf("%s look: acme is %s: %+v", look, acme.Health, acme.Result.Assessment)
		}
		if globex.Sync != state.Synced {
			t.Errorf("%s look: globex is %s: %+v", look, globex.Sync, globex.Result.Assessment)
		}
	}
	if got := content(t, w.tenantFile("acme")); got != before {
		t.Errorf("acme was changed: got\n%s\nwant\n%s", got, before)
	}
	w.git("tag", "--delete", "shop/v1.0.0")
	if acme := tenantOf(t, w.sync(), "acme"); acme.Health != state.Blocked || !strings.Contains(acme.Result.Message, "gone; it was "+tagged[:12]) {
		t.Errorf("without the tag: acme is %s: %+v", acme.Health, acme.Result.Assessment)
	}
	w.git("tag", "shop/v1.0.0", tagged)
	if report := w.sync(); report.Status != state.Succeeded {
		t.Errorf("after it was put back: %+v", tenantOf(t, report, "acme").Result.Assessment)
	}
}

// A tag whose version could not be deployed may be corrected: it is recorded
// when the first tenant has it.
func TestTagIsRecordedOnceDeployed(t *testing.T) {
	w := release(t, files{"tenants/acme/tenant.yaml": pinned("acme", "1.0.0")})
	good := w.git("rev-parse", "shop/v1.0.0")
	w.git("tag", "--force", "shop/v1.0.0", "main") // its app.yaml says 2.0.0
	if report := w.sync(); report.Status != state.Partial {
		t.Fatalf("wrong tag: got %s, want Partial", report.Status)
	}
	w.git("tag", "--force", "shop/v1.0.0", good)
	if report := w.sync(); report.Status != state.Succeeded {
		t.Errorf("corrected tag: %+v", tenantOf(t, report, "acme").Result.Assessment)
	}
}

// Without its state the reconciler trusts the tags as they are, and says
// nothing about tenants that are as they should be.
func TestTagsWithoutState(t *testing.T) {
	w := release(t, files{"tenants/acme/tenant.yaml": pinned("acme", "1.0.0")})
	w.sync()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(w.data + "/state.db" + suffix); err != nil && suffix == "" {
			t.Fatal(err)
		}
	}
	report := w.sync()
	if acme := tenantOf(t, report, "acme"); report.Status != state.Succeeded || acme.Result.Changed {
		t.Errorf("got %s, %+v", report.Status, acme.Result.Assessment)
	}
	if got, want := rowsOf(t, w.data+"/state.db", "SELECT tag FROM tags"), "shop/v1.0.0"; got != want {
		t.Errorf("recorded again: got %q, want %q", got, want)
	}
}

// A daemon deploys to a tenant that waits for a tag as soon as that arrives,
// though git's head is where it was and the tenant has failed before.
func TestTagThatArrivesLater(t *testing.T) {
	w := newWorld(t, shop("acme", "globex"))
	first := w.git("rev-parse", "HEAD")
	w.commit("version 2", files{
		"apps/shop/app.yaml": shop2, "tenants/acme/tenant.yaml": pinned("acme", "1.0.0"),
	})
	r, closeAll := w.open()
	defer closeAll()
	r.Poll = time.Hour                              // the watch has to do it
	r.Now = func() time.Time { return time.Time{} } // nobody's turn comes by waiting
	passes := make(chan reconcile.Report, 100)
	r.OnPass = func(report reconcile.Report, err error) {
		if err != nil && !errors.Is(err, context.Canceled) { // a pass may be under way when the test ends
			t.Error(err)
		}
		passes <- report
	}
	var tagged atomic.Bool
	r.OnTenant = func(reconcile.Tenant) {
		if tagged.CompareAndSwap(true, false) { // globex, of the pass that has the tag: acme, which has failed, waits for the next one
			r.Wake()
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	report := <-passes
	acme := tenantOf(t, report, "acme")
	if acme.Health != state.Blocked || !strings.Contains(acme.Result.Next, "push the tag") {
		t.Errorf("without the tag: acme is %s: %+v", acme.Health, acme.Result.Assessment)
	}
	if globex := tenantOf(t, report, "globex"); globex.Sync != state.Synced {
		t.Errorf("without the tag: globex is %s", globex.Sync)
	}
	tagged.Store(true)
	w.git("tag", "shop/v1.0.0", first)
	for report := range passes {
		if acme := tenantOf(t, report, "acme"); acme.Sync == state.Synced {
			if acme.Result.Action != deploy.Create || !acme.Result.Changed {
				t.Errorf("with the tag: %+v", acme.Result.Assessment)
			}
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

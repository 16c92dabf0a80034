package reconcile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// databaseBytes are the files below tenants/, but for the index that readers
// of a write-ahead log share.
func (w *world) databaseBytes() map[string][]byte {
	w.t.Helper()
	content := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(w.data, "tenants", "*"))
	must(w.t, err)
	for _, name := range names {
		text, err := os.ReadFile(name) // nobody has it open
		must(w.t, err)
		if filepath.Ext(name) == ".db" || filepath.Ext(name) == ".db-wal" && len(text) > 0 {
			content[filepath.Base(name)] = text
		}
	}
	return content
}

// A reconciler that only observes says what it would do to a tenant that is
// new, behind, drifted, held, to be resumed or in order, and writes to none.
func TestObserve(t *testing.T) {
	w := newWorld(t, shopWithDrift("heal", "behind", "drifted", "held", "inorder", "resumed"))
	w.sync()
	w.commit("suspend", files{"tenants/resumed/tenant.yaml": tenantYAML("resumed") + "provisioningStatus: suspended\n"})
	w.sync()
	w.hold(state.Hold{Tenant: "held"})
	w.onTenant("drifted", byHand[0].do)
	w.onTenant("held", byHand[1].do)
	w.commit("more", files{
		"apps/shop/app.yaml":            "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"tenants/behind/objects/x.yaml": "name: extra\nfields: {}\n",
		"tenants/new/tenant.yaml":       tenantYAML("new"),
		"tenants/resumed/tenant.yaml":   tenantYAML("resumed"),
	})
	before := w.databaseBytes()
	r, closeAll := w.openWith(func(c *reconcile.Config) { c.Observe = true })
	for range 2 {
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		must(t, err)
		for id, want := range map[string]struct {
			action deploy.Action
			reason string
			sync   state.Sync
		}{
			"behind":  {deploy.Update, "ObserveOnly", state.OutOfSync},
			"drifted": {deploy.Update, "ObserveOnly", state.OutOfSync},
			"new":     {deploy.Create, "ObserveOnly", state.OutOfSync},
			"held":    {reconcile.Held, "Held", state.OutOfSync},
			"resumed": {reconcile.Resume, "ObserveOnly", state.OutOfSync},
			"inorder": {deploy.None, "", state.Synced},
		} {
			got := tenantOf(t, report, id)
			if got.Result.Action != want.action || got.Result.Reason != want.reason || got.Sync != want.sync || got.Result.Changed {
				t.Errorf("%s: got %s %q %s: %s", id, got.Result.Action, got.Result.Reason, got.Sync, got.Result.Message)
			}
		}
	}
	closeAll()
	if changed := cmp.Diff(before, w.databaseBytes()); changed != "" {
		t.Errorf("a tenant's file was written to:\n%s", changed)
	}
	for id, seen := range map[protocol.TenantID]state.Observed{"new": w.observed("new"), "drifted": w.observed("drifted")} {
		if seen.Reason != "ObserveOnly" || seen.Next == "" {
			t.Errorf("status of %s: got %+v", id, seen)
		}
	}
	for _, tenant := range w.sync().Tenants { // and then for real
		if tenant.Sync != state.Synced && tenant.Result.Action != reconcile.Held {
			t.Errorf("%s: got %s %s %v", tenant.ID, tenant.Sync, tenant.Result.Reason, tenant.Result.Err)
		}
	}
}

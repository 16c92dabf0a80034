package reconcile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// hotCRM is a fleet of tenants with all six apps of HotCRM, 65 objects.
func hotCRM(b *testing.B, tenants int) files {
	b.Helper()
	bundles, err := filepath.Glob(filepath.Join(corpusDir(b), "hotcrm-*.json"))
	if err != nil || len(bundles) == 0 {
		b.Fatalf("no bundles of HotCRM: %v", err)
	}
	content := files{"fleet.yaml": "policy: {narrowing: allow}\nnotNull: engine\nseed: skip\n"}
	list, objects := "", 0
	for _, file := range bundles {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		var app struct {
			Name    string           `json:"name"`
			Objects []map[string]any `json:"objects"`
		}
		if err := json.Unmarshal(text, &app); err != nil {
			b.Fatalf("%s: %v", file, err)
		}
		content["apps/"+app.Name+"/bundle.json"] = string(text)
		list += fmt.Sprintf("  - name: %s\n", app.Name)
		objects += len(app.Objects)
	}
	if objects != 65 {
		b.Fatalf("HotCRM has %d objects here, not 65", objects)
	}
	for i := range tenants {
		id := fmt.Sprintf("t%04d", i)
		content["tenants/"+id+"/tenant.yaml"] = fmt.Sprintf("id: %s\nname: T\napps:\n%s", id, list)
	}
	return content
}

// HotCRM reaches new tenants: from a tenant.yaml to a database that is active.
// The loop runs the same statements and writes the same metadata. "first" is
// one tenant by itself, for which everything is read, planned and proved;
// "fleet" shares that among many; "next" is one that signs up in a fleet whose
// daemon is running.
func BenchmarkProvisionHotCRM(b *testing.B) {
	b.Run("first", func(b *testing.B) { provisionFleet(b, 1) })
	b.Run("fleet", func(b *testing.B) { provisionFleet(b, tenantsOf(b)) })
	b.Run("next", provisionNext)
}

func provisionFleet(b *testing.B, tenants int) {
	w := newWorld(b, hotCRM(b, tenants))
	statements := wholePlan(b, w)
	var p pair
	for range b.N {
		data := &world{t: b, repo: w.repo, data: b.TempDir()}
		p.ours = append(p.ours, timed(func() { data.mustSync() }))
		p.raw = append(p.raw, timed(func() { rawLoop(b, paths(b.TempDir(), tenants), 1, statements) }))
		p.rawParallel = append(p.rawParallel, timed(func() { rawLoop(b, paths(b.TempDir(), tenants), 8, statements) }))
	}
	p.report(b, tenants)
}

func provisionNext(b *testing.B) {
	content := hotCRM(b, 1)
	w := newWorld(b, content)
	statements := wholePlan(b, w)
	r, closeAll := w.open()
	b.Cleanup(closeAll)
	sync := func() {
		if report, err := r.Sync(b.Context(), reconcile.Selection{}); err != nil || report.Status != state.Succeeded {
			b.Fatalf("the sync ended %s: %v", report.Status, err)
		}
	}
	sync()
	var p pair
	for i := range b.N {
		id := fmt.Sprintf("next%04d", i)
		w.commit("sign-up", files{"tenants/" + id + "/tenant.yaml": strings.Replace(content["tenants/t0000/tenant.yaml"], "t0000", id, 1)})
		p.ours = append(p.ours, timed(sync))
		raw := timed(func() { rawLoop(b, paths(b.TempDir(), 1), 1, statements) })
		p.raw, p.rawParallel = append(p.raw, raw), append(p.rawParallel, raw)
	}
	p.report(b, 1)
}

// wholePlan is firstPlan with the rows of metadata that it writes.
func wholePlan(b *testing.B, w *world) []string {
	r, closeAll := w.open()
	defer closeAll()
	report, err := r.Plan(b.Context(), reconcile.Selection{})
	if err != nil {
		b.Fatal(err)
	}
	made := report.Tenants[0].Result.Plan
	if made == nil {
		b.Fatal(report.Tenants[0].Result.Err)
	}
	return slices.Concat(migration(made), made.Registry, rows)
}

package reconcile_test

import (
	"runtime"
	"testing"

	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// What a pass says of each tenant is kept until the pass ends, for a whole
// fleet: it has to be small, however large the schema.
func TestResultsOfAPassAreSmall(t *testing.T) {
	const tenants, limit = 100, 20 << 10 // bytes for each; the texts of its schema alone take 60 KB
	w := newWorld(t, bigFleet(tenants))
	r, closeAll := w.open()
	defer closeAll()
	if _, err := r.Sync(t.Context(), reconcile.Selection{}); err != nil {
		t.Fatal(err)
	}
	object := "apps/big/objects/object_00.yaml"
	w.commit("add a column", files{object: bigApp()[object] + "  added: {type: text}\n"})
	before := liveHeap()
	report, err := r.Sync(t.Context(), reconcile.Selection{})
	if err != nil || report.Status != state.Succeeded || len(report.Tenants) != tenants {
		t.Fatalf("the sync of %d tenants ended %s: %v", len(report.Tenants), report.Status, err)
	}
	if grown := liveHeap() - before; grown > tenants*limit {
		t.Errorf("the heap has grown by %d bytes, %d for each tenant", grown, grown/tenants)
	}
	runtime.KeepAlive(report)
}

func liveHeap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

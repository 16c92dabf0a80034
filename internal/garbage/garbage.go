// Package garbage bounds how much of it a process has before it is collected.
package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// share is how much garbage there may be, in percent of what is alive: half of
	// what Go takes by itself (pkg.go.dev/runtime). Most of what is alive is the
	// fleet's tenants, and a pass takes no longer with it.
	share = 50
	// least is how much there may be, in bytes, however little is alive. A pass
	// over 10,000 tenants makes half of it until it deploys, and is not to be kept
	// waiting by a collection; to plan for one tenant makes 4 MB.
	least = 32 << 20
	// most is the share of a process in which nothing is alive.
	most = 800
)

// Bound bounds it from now on, unless the environment has GOGC.
func Bound() {
	if os.Getenv("GOGC") == "" {
		b := &bound{share: -1}
		b.adjust()
	}
}

// Collect collects it in the background, where there is enough of it to be
// collected soon anyway: for a moment at which nobody waits.
func Collect() {
	there := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: aliveBytes}}
	metrics.Read(there)
	if objects, alive := there[0].Value.Uint64(), there[1].Value.Uint64(); objects > alive+least/4 {
		go runtime.GC()
	}
}

// aliveBytes is what the last collection found to be alive.
const aliveBytes = "/gc/heap/live:bytes"

// bound is the share that was set last.
type bound struct{ share int }

// mark is not alive: each collection comes upon one, and leaves another.
type mark struct{ _ *int }

// adjust sets the share for what the last collection found to be alive, and
// does so after each one that follows.
func (b *bound) adjust() {
	alive := []metrics.Sample{{Name: aliveBytes}}
	metrics.Read(alive)
	if next := shareOf(alive[0].Value.Uint64()); next != b.share {
		b.share = next
		debug.SetGCPercent(next)
	}
	runtime.SetFinalizer(&mark{}, func(*mark) { b.adjust() })
}

func shareOf(alive uint64) int {
	return int(min(most, max(share, least*100/max(1, alive))))
}

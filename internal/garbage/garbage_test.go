package garbage

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestShareOf(t *testing.T) {
	for alive, want := range map[uint64]int{
		0: most, 1 << 20: most, 4 << 20: 800, 16 << 20: 200, 32 << 20: 100, 64 << 20: 50, 1 << 30: 50, 1 << 40: 50,
	} {
		if got := shareOf(alive); got != want {
			t.Errorf("%d bytes alive: got %d %%, want %d", alive, got, want)
		}
	}
}

// What is alive grows, and the share with it is smaller after the next
// collections.
func TestBound(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	Bound()
	set := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	reach := func(what string, ok func() bool) {
		for deadline := time.Now().Add(time.Minute); !ok(); runtime.Gosched() {
			runtime.GC() // the share follows after it
			if time.Now().After(deadline) {
				t.Fatalf("%s: the share is %d", what, set())
			}
		}
	}
	reach("nearly nothing is alive", func() bool { return set() == most })
	fleet := make([]byte, 40<<20)
	reach("40 MiB are alive", func() bool { return set() > share && set() < 80 })
	fleet = append(fleet, make([]byte, 100<<20)...)
	reach("140 MiB are alive", func() bool { return set() == share })
	runtime.KeepAlive(fleet)
	fleet = nil
	reach("nearly nothing is alive any more", func() bool { return set() == most })
}

// Little garbage is left where it is; much is collected without anybody asking
// for more memory.
func TestCollect(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // by itself it never is
	runtime.GC()
	var stats runtime.MemStats
	collections := func() uint32 {
		runtime.ReadMemStats(&stats)
		return stats.NumGC
	}
	before := collections()
	waste(least / 8)
	Collect() // does nothing, or there will be two
	waste(least / 2)
	Collect()
	for deadline := time.Now().Add(time.Minute); collections() == before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("nothing was collected")
		}
	}
	if got := collections() - before; got != 1 {
		t.Errorf("got %d collections, want one", got)
	}
}

var wasted []byte

func waste(size int) {
	for range size >> 10 {
		wasted = make([]byte, 1<<10)
	}
}

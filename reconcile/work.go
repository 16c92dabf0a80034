package reconcile

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// work is something to do for each of n, which takes microseconds. Several
// goroutines take from it, some hundred at a time.
type work struct {
	n    int
	do   func(i int)
	next atomic.Int64
	crew sync.WaitGroup
}

// begin lets one more goroutine take from it.
func (w *work) begin() { w.crew.Go(w.take) }

// finish takes what nobody else has and waits for the others.
func (w *work) finish() {
	w.take()
	w.crew.Wait()
}

func (w *work) take() {
	const batch = 256
	for end := int(w.next.Add(batch)); end-batch < w.n; end = int(w.next.Add(batch)) {
		for i := end - batch; i < min(end, w.n); i++ {
			w.do(i)
		}
	}
}

// all does it on all processors.
func (w *work) all() {
	for range runtime.GOMAXPROCS(0) - 1 {
		w.begin()
	}
	w.finish()
}

// inParallel does something for each of n, which takes microseconds.
func inParallel(n int, do func(i int)) { (&work{n: n, do: do}).all() }

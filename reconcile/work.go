package reconcile

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel does something for each of n, which takes microseconds.
func inParallel(n int, do func(i int)) {
	const batch = 256 // are taken at a time
	var next atomic.Int64
	work := func() {
		for end := int(next.Add(batch)); end-batch < n; end = int(next.Add(batch)) {
			for i := end - batch; i < min(end, n); i++ {
				do(i)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+batch-1)/batch) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

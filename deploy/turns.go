package deploy

import (
	"context"
	"sync"
	"time"
)

// turns lets one of many databases that are alike be looked at before the
// others, which then need no look: workers that begin a change at the same time
// would else all take one, and wait for the same plan. The zero turns are empty.
type turns struct {
	mu   sync.Mutex
	over map[string]chan struct{} // by likeness; closed when nobody has to wait any more
}

const (
	maxTurns = maxLooks
	// patience is for how long others wait for one: a look at a database and a
	// plan are made in less, and a server that hangs keeps nobody from others.
	patience = 2 * time.Second
)

// take waits while another database of this likeness is looked at. Whoever is
// the first does not wait, and calls done when it has been looked at; it may be
// called by all, and again. A likeness whose first look told nothing is never
// waited for again.
func (t *turns) take(ctx context.Context, likeness string) (done func()) {
	if likeness == "" {
		return func() {} // nothing is alike
	}
	t.mu.Lock()
	over, known := t.over[likeness]
	if !known {
		over = make(chan struct{})
		if t.over == nil || len(t.over) >= maxTurns {
			t.over = map[string]chan struct{}{}
		}
		t.over[likeness] = over
	}
	t.mu.Unlock()
	if known {
		select {
		case <-over:
		case <-ctx.Done():
		}
		return func() {}
	}
	end := sync.OnceFunc(func() { close(over) })
	late := time.AfterFunc(patience, end)
	return func() {
		late.Stop()
		end()
	}
}

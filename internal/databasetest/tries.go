package databasetest

import (
	"testing"

	"golang.org/x/sync/errgroup"
)

// Tries runs subtests that have databases of their own: on a server many at a
// time, because there most of their time is waiting, for the lock of what was cut
// off. Elsewhere they run one after the other.
type Tries struct {
	t     *testing.T
	group *errgroup.Group // nil for one after the other
}

// atATime leaves room below the number of requests that hrana's client has at a
// time, and lets a transaction of many requests end before the server takes its
// lock away.
const atATime = 24

// NewTries returns the tries of a test. Wait has to be called before that ends.
func NewTries(t *testing.T, kind Kind) *Tries {
	x := &Tries{t: t}
	if kind == Server {
		x.group = &errgroup.Group{}
		x.group.SetLimit(atATime)
	}
	return x
}

// Run runs a subtest, or begins with it as soon as there is room.
func (x *Tries) Run(name string, try func(t *testing.T)) {
	if x.group == nil {
		x.t.Run(name, try)
		return
	}
	x.group.Go(func() error {
		x.t.Run(name, try)
		return nil
	})
}

// Wait waits until all have ended.
func (x *Tries) Wait() {
	if x.group != nil {
		_ = x.group.Wait() // none returns an error: a test tells its own
	}
}

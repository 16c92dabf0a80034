package control

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// No limit is documented by the servers, so the rate is found: it grows by a
// little with each call that goes well, and is halved when a server asks to wait.
const (
	firstRate = 20  // calls a second
	leastRate = 0.5 // a call in two seconds
	mostRate  = 200
	growth    = 0.2 // calls a second, for each call that went well
	burst     = 8
)

// Limiter keeps the calls to one server at a rate that it accepts. It may be
// shared.
type Limiter struct {
	calls *rate.Limiter
	now   func() time.Time

	mu    sync.Mutex
	until time.Time // nothing before
}

// NewLimiter returns a Limiter at its first rate.
func NewLimiter() *Limiter {
	return &Limiter{calls: rate.NewLimiter(firstRate, burst), now: time.Now}
}

// PausedError says that the server has asked for no calls until a time that is
// too far away to wait for.
type PausedError struct{ Until time.Time }

func (e *PausedError) Error() string {
	return "it has asked for no calls before " + e.Until.UTC().Format(time.TimeOnly) + " UTC"
}

// Wait waits until the next call may be made, a minute at most for a server that
// has asked to wait: a longer time gives a *PausedError at once.
func (l *Limiter) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		until := l.until
		pause := until.Sub(l.now())
		l.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case pause <= 0:
			return l.calls.Wait(ctx)
		case pause > maxWait:
			return &PausedError{Until: until}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Went tells that a call has gone well.
func (l *Limiter) Went() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls.SetLimit(min(mostRate, l.calls.Limit()+growth))
}

// Slow tells that the server asks to wait, for a time or for one that it does
// not say. All calls wait then. Those of one moment count once.
func (l *Limiter) Slow(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !now.Before(l.until) {
		l.calls.SetLimit(max(leastRate, l.calls.Limit()/2))
	}
	if wait <= 0 {
		wait = time.Duration(float64(time.Second) / float64(l.calls.Limit()))
	}
	if until := now.Add(wait); until.After(l.until) {
		l.until = until
	}
}

// Rate is the number of calls a second that are made at most now.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.calls.Limit())
}

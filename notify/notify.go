// Package notify tells people of what happens to the fleet: one event for each
// change, posted to signed webhooks and to chats.
//
// Telling never holds up the work that is told of. Each target has a queue of
// its own, which is bounded; what does not fit, or cannot be delivered after
// some tries, is logged and lost. So a target is a courtesy: `reconciler status`
// and the metrics have everything.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Target is where events are told of.
type Target struct {
	Name  string
	Slack bool // the message as Slack takes it, in place of a signed webhook
	// URL and Secret are read at each try, so that a file that has changed
	// counts. A webhook needs a secret.
	URL, Secret func() (string, error)
	Kinds       []Kind // empty for all
}

func (t Target) wants(k Kind) bool { return len(t.Kinds) == 0 || slices.Contains(t.Kinds, k) }

// Config is what a Notifier is made with.
type Config struct {
	Targets []Target
	Log     *slog.Logger
	Client  *http.Client // default: one that follows no redirect and waits 10s
	// Count is told what became of each message: sent, failed or dropped. May
	// be nil.
	Count func(outcome string)
	Now   func() time.Time // default time.Now
	// Backoff is the wait after a first failure, doubled after each; default 1s.
	Backoff time.Duration
}

const (
	queueLength = 100 // events of one target
	tries       = 6   // of one event: 31 s with the default backoff
	postTime    = 10 * time.Second
)

// Notifier delivers events.
type Notifier struct {
	config Config
	queues []chan Event
	ending context.CancelFunc
	ended  context.Context
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// New starts a worker for each target. Close ends them.
func New(c Config) *Notifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = client()
	}
	if c.Count == nil {
		c.Count = func(string) {}
	}
	if c.Backoff == 0 {
		c.Backoff = time.Second
	}
	n := &Notifier{config: c}
	n.ended, n.ending = context.WithCancel(context.Background())
	for _, target := range c.Targets {
		queue := make(chan Event, queueLength)
		n.queues = append(n.queues, queue)
		n.work.Go(func() {
			for e := range queue {
				n.deliver(target, e)
			}
		})
	}
	return n
}

// Tell queues an event for each target that wants it, and returns at once.
func (n *Notifier) Tell(e Event) {
	e = e.complete(n.config.Now())
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, target := range n.config.Targets {
		if n.closed || !target.wants(e.Kind) {
			continue
		}
		select {
		case n.queues[i] <- e:
		default:
			n.config.Count("dropped")
			n.config.Log.Warn("notification dropped", attrTarget, target.Name, attrEvent, string(e.Kind))
		}
	}
}

// Close takes no more events and delivers those that are queued, until ctx
// ends. It may be called twice.
func (n *Notifier) Close(ctx context.Context) {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		for _, queue := range n.queues {
			close(queue)
		}
	}
	n.mu.Unlock()
	stop := context.AfterFunc(ctx, n.ending)
	defer stop()
	n.work.Wait()
}

// Attributes of the log.
const (
	attrTarget = "target"
	attrEvent  = "event"
	attrTry    = "try"
	attrErr    = "err"
)

// deliver tries until an event has arrived, or it makes no sense to try again.
func (n *Notifier) deliver(target Target, e Event) {
	wait := n.config.Backoff
	for try := 1; ; try++ {
		err := n.post(n.ended, target, e)
		if err == nil {
			n.config.Count("sent")
			return
		}
		if try == tries || !again(err) || n.ended.Err() != nil {
			n.config.Count("failed")
			n.config.Log.Warn("notification failed", attrTarget, target.Name, attrEvent, string(e.Kind), attrTry, try, attrErr, err)
			return
		}
		select {
		case <-n.ended.Done():
		case <-time.After(max(wait, retryAfter(err))):
		}
		wait *= 2
	}
}

// Check sends a target one event and says whether it has arrived, without
// trying again.
func (n *Notifier) Check(ctx context.Context, target Target) error {
	e := Event{Kind: Test, Message: "This is a test of reconciler: notifications arrive here."}
	if err := n.post(ctx, target, e.complete(n.config.Now())); err != nil {
		return fmt.Errorf("notify %q: %w", target.Name, err)
	}
	return nil
}

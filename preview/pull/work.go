package pull

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// outcome is the end of a preview.
type outcome struct {
	number int
	of     key
	result *Result
	err    error
	took   time.Duration
}

// supersede ends previews of what is not there any more.
func (w *Watcher) supersede() {
	for _, p := range w.pulls {
		if p.cancel != nil && p.running != p.wanted {
			p.cancel()
		}
	}
}

// start begins previews, as many as there may be at a time. A pull request
// whose preview has failed waits behind the others.
func (w *Watcher) start(ctx context.Context) {
	waiting := slices.Collect(maps.Values(w.pulls))
	slices.SortFunc(waiting, func(a, b *pull) int {
		if a.failures != b.failures {
			return a.failures - b.failures
		}
		return b.Number - a.Number
	})
	for _, p := range waiting {
		if w.busy >= w.Concurrent {
			return
		}
		if p.cancel == nil && p.wanted != (key{}) && p.wanted != p.made && !p.again.After(w.Now()) {
			w.begin(ctx, p)
		}
	}
}

func (w *Watcher) begin(ctx context.Context, p *pull) {
	working, cancel := context.WithTimeout(ctx, previewTime)
	p.running, p.cancel = p.wanted, cancel
	w.busy++
	o, began := outcome{number: p.Number, of: p.wanted}, w.Now()
	w.workers.Go(func() {
		defer cancel()
		o.result, o.err = w.work(working, Request{Number: o.number, Base: o.of.base, Head: o.of.head})
		o.took = w.Now().Sub(began)
		select {
		case w.done <- o:
		case <-ctx.Done():
		}
	})
}

// work makes a preview. A fault in it, which works on what strangers wrote, must
// not end the daemon that deploys.
func (w *Watcher) work(ctx context.Context, r Request) (result *Result, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the preview broke: %v", fault)
		}
	}()
	return w.Preview(ctx, r)
}

// retries are the waits after failures of the machinery, the last one for ever.
var retries = [...]time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute}

// told is how many failures in a row are said on the pull request.
const told = 3

// finish takes the end of a preview.
func (w *Watcher) finish(o outcome) {
	w.busy--
	p := w.pulls[o.number]
	if p == nil {
		w.Made("superseded", o.took)
		w.Ended(o.number) // it may have been made after its end was told
		return
	}
	p.cancel = nil
	switch {
	case o.of != p.wanted, errors.Is(o.err, context.Canceled):
		w.Made("superseded", o.took)
	case o.err != nil:
		w.Made("failed", o.took)
		p.again = w.Now().Add(retries[min(p.failures, len(retries)-1)])
		p.failures++
		w.Log.Warn("preview failed", logPull, o.number, logRevision, o.of.head, logErr, o.err)
	default:
		w.Made("made", o.took)
		p.result, p.made, p.failures = o.result, o.of, 0
		w.Log.Info("preview made", logPull, o.number, logRevision, o.of.head, logElapsed, o.took.Milliseconds())
	}
}

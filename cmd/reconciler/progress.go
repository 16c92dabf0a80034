package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tenantops/reconciler/reconcile"
)

// progress is a bar on a terminal that fills while a pass goes on. Where
// stderr is no terminal it stays silent.
type progress struct {
	w   io.Writer // nil for silence
	bar *progressbar.ProgressBar
}

func (c *cli) progress() *progress {
	if !isTerminal(c.stderr) {
		return &progress{}
	}
	return &progress{w: c.stderr}
}

// begin draws the bar for so many tenants.
func (p *progress) begin(tenants int) {
	if p.w == nil || tenants == 0 {
		return
	}
	p.bar = progressbar.NewOptions(tenants,
		progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription("tenants"), progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish())
}

// tenant counts one tenant more. A terminal that went away is no reason to
// stop.
func (p *progress) tenant(reconcile.Tenant) {
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

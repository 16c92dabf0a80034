package main

import (
	"fmt"
	"io"

	"github.com/tenantops/reconciler/reconcile"
)

// progress is one line on a terminal that counts tenants while a pass goes
// on. Where stderr is no terminal it stays silent.
type progress struct {
	w    io.Writer // nil for silence
	done int
}

func (c *cli) progress() *progress {
	if !isTerminal(c.stderr) {
		return &progress{}
	}
	return &progress{w: c.stderr}
}

// tenant counts one tenant more.
func (p *progress) tenant(t reconcile.Tenant) {
	p.done++
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s done, %s", plural(p.done, "tenant"), t.ID)
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

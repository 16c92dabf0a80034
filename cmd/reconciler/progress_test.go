package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/reconcile"
)

// The bar counts to all tenants, and leaves nothing behind.
func TestProgress(t *testing.T) {
	var terminal bytes.Buffer
	p := &progress{w: &terminal}
	p.begin(2)
	p.tenant(reconcile.Tenant{})
	if err := p.bar.RenderBlank(); err != nil { // without waiting for the next time to draw
		t.Fatal(err)
	}
	if got := terminal.String(); !strings.Contains(got, "tenants") || !strings.Contains(got, "1/2") {
		t.Errorf("got %q, want a bar with 1/2", got)
	}
	p.tenant(reconcile.Tenant{})
	p.clear()
	lines := strings.Split(terminal.String(), "\r")
	if last := lines[len(lines)-1]; strings.TrimSpace(last) != "" {
		t.Errorf("%q is left on the line", last)
	}
}

// Where there is no terminal nothing is drawn.
func TestNoProgress(t *testing.T) {
	c := &cli{stderr: &bytes.Buffer{}}
	p := c.progress()
	p.begin(2)
	p.tenant(reconcile.Tenant{})
	p.clear()
	if got := c.stderr.(*bytes.Buffer).String(); got != "" {
		t.Errorf("got %q", got)
	}
}

package main

import (
	"fmt"

	"github.com/aymanbagabas/go-udiff"
	"github.com/aymanbagabas/go-udiff/myers"

	"github.com/tenantops/reconciler/protocol"
)

// patchAnswer is a change to tenant.yaml that nobody has committed yet.
type patchAnswer struct {
	Tenant  protocol.TenantID `json:"tenant"`
	App     string            `json:"app"`
	Version *string           `json:"version"` // that the tenant would have; null for none
	Path    string            `json:"path"`
	Patch   string            `json:"patch"` // a unified diff, empty when there is nothing to change
	Issues  []appIssue        `json:"issues"`
}

// printPatch prints a change as a patch, warnings on stderr. One that something
// stands against is an error.
func (c *cli) printPatch(ch appChange, app string) error {
	if !ch.compatible() {
		return ch.refused()
	}
	answer := patchAnswer{Tenant: ch.tenant.ID, App: app, Path: ch.file(), Issues: ch.issues}
	if m, ok := appOf(ch.next, app); ok {
		answer.Version = &m.Version
	}
	// Edits of whole lines: the library's own choice may repeat one that stays.
	edits := myers.ComputeEdits(string(ch.before), string(ch.after)) //nolint:staticcheck // deprecated for being slow on large texts
	var err error
	answer.Patch, err = udiff.ToUnified("a/"+ch.file(), "b/"+ch.file(), string(ch.before), edits, udiff.DefaultContextLines)
	if err != nil {
		return fmt.Errorf("write the patch of %s: %w", ch.file(), err)
	}
	if c.output != asTable {
		return c.print(answer, nil)
	}
	for _, i := range ch.issues {
		fmt.Fprintf(c.stderr, "warning %s\n", clean(i.line()))
	}
	if answer.Patch == "" {
		fmt.Fprintf(c.stderr, "nothing to change in %s\n", clean(ch.file()))
	}
	_, err = fmt.Fprint(c.stdout, answer.Patch)
	return err
}

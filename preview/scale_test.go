package preview_test

import (
	"fmt"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

// An additive change for every tenant of a fleet is one plan and a short
// comment. What it takes is a benchmark of the program.
func TestPreviewOfAFleet(t *testing.T) {
	const n = 20
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	w := newWorld(t, shop(names...))
	w.sync()
	r := w.previewed(files{"apps/shop/objects/customer.yaml": vat})
	text := r.Markdown(preview.MarkdownOptions{})
	if len(r.Plans) != 1 || len(r.Plans[0].Tenants) != n || len(text) >= preview.MaxComment || !r.Bound {
		t.Fatalf("got %d plans, %s, %d bytes", len(r.Plans), r.Summary(), len(text))
	}
}

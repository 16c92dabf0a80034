package preview_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

// A tenant whose table is too large for one transaction is shown as one that
// goes in stages, also while the plan waits for an approval.
func TestStagesAreShown(t *testing.T) {
	for _, rule := range []string{"allow", "approve"} {
		w := newWorld(t, shop("acme", "beta").with(files{"fleet.yaml": "maxLock: {file: 50ms}\npolicy: {narrowing: " + rule + "}\n"}))
		w.sync()
		w.onTenant("acme", "INSERT INTO customer (id, name, phone) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT 'c' || i, 'name', i FROM n")
		r := w.previewed(files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "phone: {type: text}", "phone: {type: number}", 1)})
		g := r.Plans[0]
		if !slices.Equal(g.Staged, ids("acme")) || !slices.Equal(g.Fills, []string{"customer"}) || g.Longest == 0 || g.NeedsApproval != (rule == "approve") {
			t.Errorf("%s: got %v, %v, %v, %v", rule, g.Staged, g.Fills, g.Longest, g.NeedsApproval)
		}
		text := r.Markdown(preview.MarkdownOptions{})
		if !strings.Contains(text, "goes in stages in 1 tenant") || !strings.Contains(text, "`customer` is filled in batches") {
			t.Errorf("the comment does not tell:\n%s", text)
		}
	}
}

// What stands in the way besides is shown while a plan waits for an approval.
func TestApprovalHidesNothing(t *testing.T) {
	w := newWorld(t, shop("acme").with(files{"fleet.yaml": "policy: {additive: approve}\n"}))
	r := w.previewed(files{"apps/shop/seed/customers.yaml": "object: customer\nrecords:\n  - {phone: \"5\"}\n"})
	g := r.Plans[0]
	if !g.NeedsApproval || len(g.Beyond) != 1 || g.Beyond[0].Reason != "SeedRejected" {
		t.Fatalf("got %v and %+v, want an approval and seed data that is refused", g.NeedsApproval, g.Beyond)
	}
	if text := r.Markdown(preview.MarkdownOptions{}); !strings.Contains(text, "once approved: ") {
		t.Errorf("the comment does not tell:\n%s", text)
	}
}

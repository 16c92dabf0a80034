package preview_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"github.com/tenantops/reconciler/internal/golden"
	"github.com/tenantops/reconciler/preview"
)

const waves = "rollout: {waves: [{name: canary, match: {tier: canary}, bake: 10m}, {name: rest, failureBudget: {percent: 2}}]}\n"

// typical are changes as people make them, each to three shops of which one has
// two customers with one phone number.
var typical = []struct {
	name   string
	change files
	set    []func(*preview.Request)
}{
	{"new field", files{"apps/shop/objects/customer.yaml": vat}, nil},
	{"field removed", files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "  phone: {type: text}\n", "", 1)}, nil},
	{"unique field", files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "phone: {type: text}", "phone: {type: text, unique: true}", 1)}, nil},
	{"type changed", files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "phone: {type: text}", "phone: {type: number}", 1)}, nil},
	{"new object", files{"apps/shop/objects/order.yaml": "name: order\nfields:\n  number: {type: text, required: true}\n  customer: {type: lookup, reference: customer}\n"}, nil},
	{"tenants created and removed", files{"tenants/new/tenant.yaml": tenant("new", ""), "tenants/acme": "", "tenants/beta": ""}, nil},
	{"file wrong", files{"apps/shop/objects/customer.yaml": strings.Replace(customer, "type: text", "tpye: text", 1)}, nil},
	{"policy changed", files{"fleet.yaml": waves + "policy: {narrowing: allow}\nnotNull: engine\n", "apps/shop/objects/customer.yaml": vat}, nil},
	{"app upgraded and suspended", files{"apps/shop/app.yaml": "name: shop\nlabel: Shop\nversion: 1.1.0\n", "apps/shop/objects/customer.yaml": vat, "tenants/beta/tenant.yaml": tenant("beta", "provisioningStatus: suspended\n")}, nil},
	{"without databases", files{"apps/shop/objects/customer.yaml": vat}, []func(*preview.Request){withoutData}},
}

var hex12 = regexp.MustCompile(`\b[0-9a-f]{12}\b`)

func TestComments(t *testing.T) {
	w := newWorld(t, shop("acme", "beta", "gamma").with(files{
		"fleet.yaml": waves, "tenants/acme/tenant.yaml": tenant("acme", "labels: {tier: canary}\n"),
	}))
	w.sync()
	w.sync() // the second wave
	w.onTenant("beta", "INSERT INTO customer (id, name, phone) VALUES ('1', 'a', '5'), ('2', 'b', '5')")
	for _, c := range typical {
		t.Run(c.name, func(t *testing.T) {
			text := w.previewed(c.change, c.set...).Markdown(preview.MarkdownOptions{Approve: "/reconciler approve"})
			file := filepath.Join("testdata", strings.ReplaceAll(c.name, " ", "_"))
			golden.Equal(t, file+".md", []byte(hex12.ReplaceAllString(text, "0123456789ab")))
			page := render(t, text)
			for _, tag := range []string{"<details>", "<table>"} {
				if want := strings.Count(text, tag); tag == "<details>" && strings.Count(page, tag) != want {
					t.Errorf("the page has %d of %s, want %d", strings.Count(page, tag), tag, want)
				}
			}
			if strings.Contains(page, "<p>|") || strings.Contains(page, "<p>```") || strings.Contains(page, "<p>#") {
				t.Errorf("a table, a block of code or a heading is rendered as text:\n%s", page)
			}
			if dir := os.Getenv("PREVIEW_PAGES"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)+".html"), []byte(styled+page), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// styled is what a forge looks like around a comment.
const styled = `<!doctype html><meta charset="utf-8"><style>
body{font:14px/1.5 sans-serif;max-width:860px;margin:24px;color:#1f2328}code{background:#eff1f3;padding:.1em .3em;border-radius:4px;font-size:12px}
pre{background:#f6f8fa;padding:12px;overflow:auto}pre code{background:none;padding:0}table{border-collapse:collapse}td,th{border:1px solid #d1d9e0;padding:4px 10px}
h2,h3{border-bottom:1px solid #d1d9e0;padding-bottom:.2em}</style>
`

// render makes HTML of Markdown as a forge does, where HTML in it stays.
func render(t testing.TB, text string) string {
	t.Helper()
	var page bytes.Buffer
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := markdown.Convert([]byte(text), &page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

package preview_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

// opened is what a page has become once a browser has shown it, as HTML. The
// test skips where there is no browser, unless REQUIRE_BROWSER is set.
func opened(t *testing.T, page string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("REQUIRE_BROWSER") != "" {
			t.Fatal(err)
		}
		t.Skip("needs chromium: pages are not opened in a browser")
	}
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+file)
	dom, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	return string(dom)
}

// TestCommentInABrowser opens a page that a script changes, so that one which
// stays as it is says something, and then a comment that is full of them.
func TestCommentInABrowser(t *testing.T) {
	const alive = `<title>alive</title>`
	if dom := opened(t, styled+"<title>still</title>"+render(t, evil)); !strings.Contains(dom, alive) {
		t.Fatalf("text of a pull request that is not escaped does nothing:\n%s", dom)
	}
	w := newWorld(t, shop("acme"))
	w.sync()
	text := w.previewed(files{
		"apps/shop/objects/customer.yaml": "name: customer\nlabel: " + quoted(evil) +
			"\nfields:\n  name: {type: text, required: true, label: " + quoted(evil) + "}\n  more: {type: text, label: " + quoted(evil) + "}\n",
		"tenants/bad/tenant.yaml": "id: bad\nname: " + quoted(evil) + "\nplan: " + quoted(evil) + "\n",
	}).Markdown(preview.MarkdownOptions{})
	dom := opened(t, styled+"<title>still</title>"+render(t, text))
	if strings.Contains(dom, alive) || !strings.Contains(dom, "<table>") {
		t.Errorf("the comment is alive, or has no table:\n%s", dom)
	}
}

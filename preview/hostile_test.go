package preview_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

const evil = `<script>document.title='alive'</script><img src=x onerror=document.title='alive'> @everyone [x](javascript:alert(1)) ghp_0123456789abcdefghijklmnopqrstuvwx ` + "`code` |cell| ![i](http://evil.example/i.png) /close #1 \u202e"

// hostile is what somebody might send who only wants to do harm.
func hostile() files {
	all := files{
		"apps/shop/objects/customer.yaml":        "name: customer\nlabel: " + quoted(evil) + "\nfields:\n  name: {type: text, required: true, label: " + quoted(evil) + "}\n  x: {type: " + quoted(evil) + "}\n",
		"apps/huge/objects/huge.yaml":            strings.Repeat("# padding padding padding padding\n", 300_000),
		"apps/bomb/app.yaml":                     bomb(),
		"tenants/" + quotedName + "/tenant.yaml": "id: x\nname: " + quoted(evil) + "\n",
		"tenants/out/tenant.yaml":                "id: out\nname: out\nconnectionConfig: {url: \"file:../../../../etc/passwd\"}\n",
		"tenants/spy/tenant.yaml":                "id: spy\nname: spy\nconnectionConfig: {url: \"libsql://evil.example\", authToken: \"$env:RECONCILER_SECRET_ACME\"}\n",
		"fleet.yaml":                             "fleet: main\npolicy: {narrowing: allow}\ndeletionGuard: {tenants: 1000}\ndatabases: {groupAuthToken: \"$env:RECONCILER_SECRET_ACME\"}\n",
	}
	for i := range 1000 {
		id := fmt.Sprintf("t%04d", i)
		all["tenants/many/"+id+"/tenant.yaml"] = tenant(id, "labels: {note: "+quoted(evil)+"}\n")
	}
	return all
}

const quotedName = "@everyone-`x`-[y](z)"

func quoted(text string) string { return fmt.Sprintf("%q", text) }

func bomb() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return "name: bomb\nlabel: bomb\nversion: 1.0.0\n" + text
}

func TestHostilePullRequest(t *testing.T) {
	w := newWorld(t, shop("acme").with(files{"fleet.yaml": "fleet: main\n"}))
	w.sync()
	if err := os.Symlink("/etc/passwd", filepath.Join(w.repo, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RECONCILER_SECRET_ACME", "the-secret-itself")
	all := hostile()
	w.git("checkout", "--quiet", "-B", "pull")
	for _, at := range []string{"apps/shop/views/link.yaml", "tenants/link"} {
		path := filepath.Join(w.repo, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc/passwd", path); err != nil {
			t.Fatal(err)
		}
	}
	w.commit("evil", all)
	w.git("checkout", "--quiet", "main")
	before := listing(t, w.data)
	for _, data := range []bool{true, false} {
		var set []func(*preview.Request)
		if !data {
			set = append(set, withoutData)
		}
		r := w.preview(set...)
		text := r.Markdown(preview.MarkdownOptions{Marker: "preview", Link: "https://ci.example/1"})
		if len(text) >= preview.MaxComment || r.Verdict != preview.Failed {
			t.Errorf("got %d bytes and %s, want a comment under the limit that says that it failed", len(text), r.Verdict)
		}
		for _, bad := range []string{"<script", "<img", "ghp_0123", "the-secret-itself", "root:", "\u202e"} {
			if strings.Contains(text, bad) {
				t.Errorf("the comment has %q", bad)
			}
		}
		for _, line := range strings.Split(outsideCode(text), "\n") {
			if strings.Contains(line, "@everyone") || strings.Contains(line, "](javascript") || strings.HasPrefix(line, "/") {
				t.Errorf("the comment has the line %q", line)
			}
		}
		if len(r.Summary()) > 140 {
			t.Errorf("the summary is longer than 140: %q", r.Summary())
		}
	}
	if after := listing(t, w.data); after != before {
		t.Errorf("the data directory was\n%s\nand is\n%s", before, after)
	}
}

// outsideCode is Markdown without its code, in which nothing has a meaning.
func outsideCode(text string) string {
	var kept []string
	fenced := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") && !strings.Contains(line[3:], "`") {
			fenced = !fenced
			continue
		}
		for at := strings.IndexByte(line, '`'); !fenced && at >= 0; at = strings.IndexByte(line, '`') {
			fence := line[at:]
			fence = fence[:len(fence)-len(strings.TrimLeft(fence, "`"))]
			if at > 0 && line[at-1] == '\\' {
				line = line[:at-1] + line[at+1:]
				continue
			}
			end := strings.Index(line[at+len(fence):], fence)
			if end < 0 {
				break
			}
			line = line[:at] + line[at+len(fence)+end+len(fence):]
		}
		if !fenced {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// listing is every file below a directory with its size, but for what a database
// that is open has beside it.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, "-wal") {
			info, stat := d.Info()
			fmt.Fprintln(&b, path, info.Size())
			return stat
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPolicyAndConnectionsAreThoseOfBase(t *testing.T) {
	w := newWorld(t, shop("acme", "beta").with(files{"fleet.yaml": "policy: {additive: approve}\n"}))
	w.sync()
	r := w.previewed(files{
		"fleet.yaml":                "policy: {additive: allow}\nnotNull: engine\n",
		"tenants/acme/tenant.yaml":  tenant("acme", "connectionConfig: {url: \"file:beta.db\"}\n"),
		"tenants/gamma/tenant.yaml": tenant("gamma", "connectionConfig: {url: \"file:tenants/beta.db\"}\n"),
	})
	text := r.Markdown(preview.MarkdownOptions{})
	for _, want := range []string{"fleet.yaml: policy.additive: approve becomes allow", "fleet.yaml: notNull: strict becomes engine", "tenants/acme/tenant.yaml: connectionConfig changes"} {
		found := false
		for _, said := range r.Policy {
			found = found || said == want
		}
		if !found {
			t.Errorf("%q is not among %q", want, r.Policy)
		}
	}
	if r.Bound {
		t.Error("the plans are said to be bound, and the pull request changes how they are made")
	}
	for _, g := range r.Plans {
		if g.Digest != "" || g.Blocked == nil {
			t.Errorf("got %+v, want a plan without digest that base does not let through", g)
		}
	}
	if strings.Contains(text, "reconciler approve") {
		t.Errorf("the comment offers an approval of a plan that is not bound:\n%s", text)
	}
}

package reconcile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
)

// Two tenants that lead to one database, however differently that is said, are
// both an error, nothing is written for either, and the others go on.
func TestSharedDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		acme, globex string                       // URLs, or empty for the default
		prepare      func(t *testing.T, w *world) // what is there before
	}{
		"a URL leads to where another tenant's database is kept": {globex: "file:tenants/acme.db"},
		"a path that is absolute":                                {acme: "file:one.db", globex: "file://DATA/one.db"},
		"a path with more steps":                                 {acme: "file:one.db", globex: "file:./tenants/../one.db"},
		"a path that is percent-encoded":                         {acme: "file:one.db", globex: "file:%6fne%2Edb"},
		"a directory that is a link": {
			acme: "file:one.db", globex: "file:link/one.db",
			prepare: func(t *testing.T, w *world) { must(t, os.Symlink(w.data, filepath.Join(w.data, "link"))) },
		},
		"a file that is a link": {
			acme: "file:one.db", globex: "file:two.db",
			prepare: func(t *testing.T, w *world) {
				must(t, os.WriteFile(filepath.Join(w.data, "one.db"), nil, 0o600))
				must(t, os.Symlink("one.db", filepath.Join(w.data, "two.db")))
			},
		},
		"a file with two names": {
			acme: "file:one.db", globex: "file:two.db",
			prepare: func(t *testing.T, w *world) {
				must(t, os.WriteFile(filepath.Join(w.data, "one.db"), nil, 0o600))
				must(t, os.Link(filepath.Join(w.data, "one.db"), filepath.Join(w.data, "two.db")))
			},
		},
		"the file of the one is a link to that of the other": {
			prepare: func(t *testing.T, w *world) {
				must(t, os.Mkdir(filepath.Join(w.data, "tenants"), 0o700))
				must(t, os.Symlink("acme.db", w.tenantFile("globex")))
				must(t, os.WriteFile(w.tenantFile("acme"), nil, 0o600))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, shop("initech"))
			content := files{}
			for id, url := range map[string]string{"acme": c.acme, "globex": c.globex} {
				content["tenants/"+id+"/tenant.yaml"] = tenantYAML(id)
				if url != "" {
					content["tenants/"+id+"/tenant.yaml"] += "connectionConfig: {url: '" + strings.ReplaceAll(url, "DATA", w.data) + "'}\n"
				}
			}
			w.commit("two with one", content)
			if c.prepare != nil {
				c.prepare(t, w)
			}
			report := w.sync()
			for _, id := range []string{"acme", "globex"} {
				expectShared(t, tenantOf(t, report, id))
			}
			if initech := tenantOf(t, report, "initech"); report.Status != state.Partial || initech.Sync != state.Synced {
				t.Errorf("got %s, initech is %s", report.Status, initech.Sync)
			}
			r, closeAll := w.open()
			defer closeAll()
			report, err := r.Sync(t.Context(), reconcile.Selection{Tenants: []protocol.TenantID{"globex"}})
			must(t, err)
			expectShared(t, tenantOf(t, report, "globex"))
			report, err = r.Plan(t.Context(), reconcile.Selection{})
			must(t, err)
			expectShared(t, tenantOf(t, report, "acme"))

			must(t, filepath.WalkDir(w.data, func(path string, entry os.DirEntry, err error) error {
				own := strings.HasPrefix(filepath.Base(path), "initech.db") || strings.HasPrefix(filepath.Base(path), "state.db")
				if err != nil || own || !entry.Type().IsRegular() {
					return err
				}
				info, err := entry.Info()
				if err == nil && (c.prepare == nil || info.Size() > 0) {
					t.Errorf("%s was written", path)
				}
				return err
			}))
		})
	}
}

func expectShared(t *testing.T, tenant reconcile.Tenant) {
	t.Helper()
	reason := tenant.Result.Reason // InvalidBundle where the URLs alone tell it
	if tenant.Health != state.Blocked || reason != "DatabaseShared" && reason != "InvalidBundle" || tenant.Result.Next == "" ||
		!strings.Contains(tenant.Result.Message, "database") {
		t.Errorf("%s is %s: %+v", tenant.ID, tenant.Health, tenant.Result.Assessment)
	}
}

// A tenant that has its database to itself, by a URL or a link, is deployed.
func TestDatabaseByURL(t *testing.T) {
	w := newWorld(t, shop("acme"))
	w.commit("a file of its own", files{
		"tenants/acme/tenant.yaml": tenantYAML("acme") + "connectionConfig: {url: 'file:tenants/big%20one.db'}\n",
	})
	if report := w.sync(); report.Status != state.Succeeded {
		t.Fatalf("got %+v", tenantOf(t, report, "acme").Result.Assessment)
	}
	if got := rowsOf(t, filepath.Join(w.data, "tenants", "big one.db"), "SELECT count(*) FROM customer"); got != "0" {
		t.Errorf("got %q rows", got)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reconciler that runs looks where databases are at each look at the fleet, and at
// each pass of those that git wants something new of.
func TestDatabaseSharedLater(t *testing.T) {
	w := newWorld(t, shop("acme", "globex", "initech"))
	now := time.Now()
	r, closeAll := w.openWith(func(c *reconcile.Config) {
		c.Look, c.Now = time.Hour, func() time.Time { return now }
	})
	defer closeAll()
	sync := func() reconcile.Report {
		t.Helper()
		report, err := r.Sync(t.Context(), reconcile.Selection{})
		must(t, err)
		return report
	}
	sync() // makes the files, which the next pass finds there
	sync()
	object := "name: extra\nfields:\n  name: {type: text}\n"
	ask := func(more string) {
		object += "  " + more + ": {type: text}\n"
		w.commit("more", files{"tenants/globex/objects/extra.yaml": object})
	}

	// Another's file in the place of its own is no shared one.
	aside := filepath.Join(w.data, "aside.db")
	swap := func() {
		t.Helper()
		for _, move := range [][2]string{{w.tenantFile("acme"), aside}, {w.tenantFile("globex"), w.tenantFile("acme")}, {aside, w.tenantFile("globex")}} {
			must(t, os.Rename(move[0], move[1]))
		}
	}
	swap()
	ask("one")
	if got := tenantOf(t, sync(), "globex").Result.Reason; got != "OwnedElsewhere" {
		t.Errorf("the file of another: got %q", got)
	}
	swap()
	ask("two")
	if got := sync(); got.Status != state.Succeeded {
		t.Fatalf("all files are back: got %+v", tenantOf(t, got, "globex").Result.Assessment)
	}

	must(t, os.Remove(w.tenantFile("globex")))
	must(t, os.Symlink("acme.db", w.tenantFile("globex")))
	ask("three")
	report := sync()
	expectShared(t, tenantOf(t, report, "acme"))
	expectShared(t, tenantOf(t, report, "globex"))

	must(t, os.Remove(w.tenantFile("initech")))
	must(t, os.Link(w.tenantFile("acme"), w.tenantFile("initech")))
	now = now.Add(time.Hour)
	expectShared(t, tenantOf(t, sync(), "initech"))
}

package preview_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/preview"
)

// histories are the versions of each application of the corpus, in order.
func histories(t *testing.T) map[string][]string {
	t.Helper()
	dir := os.Getenv("RECONCILER_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the corpus is not there: %v", err)
		}
		t.Skipf("the corpus is not there: %v", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "[0-9]*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	byApp := map[string][]string{}
	for _, file := range found {
		app := filepath.Base(filepath.Dir(file))
		byApp[app] = append(byApp[app], file)
	}
	return byApp
}

const permissive = "policy: {narrowing: allow, destructive: allow}\nseed: skip\n"

// picked are the versions of a history that a run goes through: the first, the
// one in the middle and the last, so that each step is a large one, and without
// the middle where they are large. With PREVIEW_CORPUS=all, as in make soak,
// they are all.
func picked(t *testing.T, versions []string) []string {
	t.Helper()
	const large = 100 << 10 // bytes
	n := len(versions)
	if os.Getenv("PREVIEW_CORPUS") == "all" || n < 4 {
		return versions
	}
	info, err := os.Stat(versions[n-1])
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > large {
		return []string{versions[0], versions[n-1]}
	}
	return []string{versions[0], versions[n/2], versions[n-1]}
}

// Every step of every history is a pull request: what the preview says is what
// the merge does to each tenant, byte for byte.
func TestPreviewIsWhatTheMergeApplies(t *testing.T) {
	for app, versions := range histories(t) {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			tenants := []string{"acme", "beta"}
			at := func(version string) files {
				text, err := os.ReadFile(version)
				if err != nil {
					t.Fatal(err)
				}
				all := files{"fleet.yaml": permissive}
				for _, id := range tenants {
					all["tenants/"+id+"/tenant.yaml"] = "id: " + id + "\nname: " + id + "\n"
					all["tenants/"+id+"/bundle.json"] = string(text)
				}
				return all
			}
			versions := picked(t, versions)
			w := newWorld(t, at(versions[0]))
			w.sync()
			w.onTenant("beta", "CREATE TABLE of_somebody_else (id integer)") // so that there are two histories
			checked := 0
			for _, version := range versions[1:] {
				said := w.previewed(at(version))
				w.merge()
				w.sync()
				checked += compare(t, w, filepath.Base(version), said, tenants)
			}
			t.Logf("%d pull requests, %d plans of tenants the same, byte for byte", len(versions)-1, checked)
			if checked == 0 {
				t.Error("no version led to a plan")
			}
		})
	}
}

// compare holds a preview against what was deployed, and counts the plans.
func compare(t *testing.T, w *world, version string, said *preview.Report, tenants []string) (checked int) {
	t.Helper()
	if !said.Bound {
		t.Errorf("%s: it is not bound: %s", version, said.Unbound)
	}
	done, planned := w.plansOf(tenants...), map[string]bool{}
	for _, g := range said.Plans {
		var sql []string
		for _, s := range g.Statements {
			sql = append(sql, s.SQL)
		}
		for _, id := range g.Tenants {
			checked++
			planned[string(id)] = true
			d := done[string(id)]
			if d.PlanDigest != string(g.Digest) {
				t.Errorf("%s: %s got plan %.12s, previewed was %.12s", version, id, d.PlanDigest, g.Digest)
			}
			if got := w.journal(string(id)); !slices.Equal(got, sql) {
				t.Errorf("%s: %s ran\n%s\npreviewed was\n%s", version, id, strings.Join(got, "\n"), strings.Join(sql, "\n"))
			}
		}
	}
	merge := w.git("rev-parse", "main")
	for _, id := range tenants {
		if !planned[id] && done[id].Revision == merge {
			t.Errorf("%s: %s was deployed to and had no plan in the preview", version, id)
		}
	}
	return checked
}

// journal is what the newest deployment ran, as the tenant's database tells.
func (w *world) journal(id string) []string {
	w.t.Helper()
	text := w.value(id, "SELECT CAST(statements AS BLOB) FROM _reconciler_journal ORDER BY rowid DESC LIMIT 1")
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return list
}

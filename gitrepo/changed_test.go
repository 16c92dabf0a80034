package gitrepo_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/gitrepo"
)

func TestChanged(t *testing.T) {
	dir := newRepo(t)
	base := commit(t, dir, "base", company)
	cases := map[string]struct {
		change files
		under  string
		want   []string
	}{
		"nothing":                        {nil, "tenants", nil},
		"outside":                        {files{"apps/crm/app.yaml": "name: crm\nlabel: CRM\n"}, "tenants", nil},
		"one file":                       {files{"tenants/acme/tenant.yaml": "id: x\n"}, "tenants", []string{"tenants/acme/tenant.yaml"}},
		"the whole tree":                 {files{"fleet.yaml": "x\n", "z": "z\n"}, ".", []string{"fleet.yaml", "z"}},
		"a file asked for":               {files{"fleet.yaml": "x\n", "z": "z\n"}, "fleet.yaml", []string{"fleet.yaml"}},
		"a new tenant":                   {files{"tenants/new/tenant.yaml": "id: new\n", "tenants/new/objects/a.yaml": "a\n"}, "tenants", []string{"tenants/new/objects/a.yaml", "tenants/new/tenant.yaml"}},
		"a removed tenant":               {files{"tenants/eu/west/umbrella/tenant.yaml": ""}, "tenants", []string{"tenants/eu/west/umbrella/tenant.yaml"}},
		"a new directory":                {files{"views/a.yaml": "a\n"}, "views", []string{"views/a.yaml"}},
		"a directory gone":               {files{"apps/crm/app.yaml": ""}, "apps", []string{"apps/crm/app.yaml"}},
		"never there":                    {nil, "nowhere/below", nil},
		"moved":                          {files{"tenants/acme/tenant.yaml": "", "tenants/us/acme/tenant.yaml": "id: acme\n"}, "tenants", []string{"tenants/acme/tenant.yaml", "tenants/us/acme/tenant.yaml"}},
		"a file turned into a directory": {files{"fleet.yaml": "", "fleet.yaml/part.yaml": "x\n"}, ".", []string{"fleet.yaml", "fleet.yaml/part.yaml"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			git(t, dir, "reset", "-q", "--hard", base)
			for name, text := range c.change { // removals first: a name may come back as a directory
				if text == "" {
					git(t, dir, "rm", "-q", name)
					delete(c.change, name)
				}
			}
			to := commit(t, dir, name, c.change)
			r := open(t, gitrepo.Config{URL: dir})
			got, err := r.Changed(t.Context(), base, to, c.under)
			if diff := cmp.Diff(got, c.want); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			back, err := r.Changed(t.Context(), to, base, c.under)
			if diff := cmp.Diff(back, c.want); diff != "" || err != nil {
				t.Errorf("and back: %v\n%s", err, diff)
			}
		})
	}
}

func TestChangedSeesModes(t *testing.T) {
	dir := newRepo(t)
	from := commit(t, dir, "base", company)
	if err := os.Chmod(filepath.Join(dir, "fleet.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	to := commit(t, dir, "executable", nil)
	got, err := open(t, gitrepo.Config{URL: dir}).Changed(t.Context(), from, to, ".")
	if want := []string{"fleet.yaml"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestChangedOfAMissingCommit(t *testing.T) {
	dir := newRepo(t)
	from := commit(t, dir, "base", company)
	r := open(t, gitrepo.Config{URL: dir})
	for _, hash := range []string{strings.Repeat("7", 40), "main", ""} {
		if _, err := r.Changed(t.Context(), hash, from, "."); !errors.Is(err, gitrepo.ErrNoRef) {
			t.Errorf("%q: got %v, want %v", hash, err, gitrepo.ErrNoRef)
		}
	}
}

// Random histories give what git itself says.
func TestChangedAgreesWithGit(t *testing.T) {
	const commits = 20
	random := rand.New(rand.NewPCG(1, 2))
	dir := newRepo(t)
	hashes := []string{commit(t, dir, "0", company)}
	for i := range commits {
		content := files{}
		for range 1 + random.IntN(4) {
			content[fmt.Sprintf("tenants/%d/t%d/%d.yaml", random.IntN(3), random.IntN(4), random.IntN(3))] = fmt.Sprintf("%d\n", random.IntN(3))
		}
		if tracked := strings.Fields(git(t, dir, "ls-files", "tenants")); len(tracked) > 3 {
			gone := tracked[random.IntN(len(tracked))]
			delete(content, gone)
			git(t, dir, "rm", "-q", gone)
		}
		hashes = append(hashes, commit(t, dir, fmt.Sprint(i+1), content))
	}
	r := open(t, gitrepo.Config{URL: dir})
	for range 100 {
		from, to := hashes[random.IntN(len(hashes))], hashes[random.IntN(len(hashes))]
		got, err := r.Changed(t.Context(), from, to, "tenants")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(git(t, dir, "diff", "--name-only", "--no-renames", from, to, "--", "tenants"))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s..%s: got %v, want %v", from, to, got, want)
		}
	}
}

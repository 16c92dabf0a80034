package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/internal/golden"
)

// Each file of testdata/faults is one rule: changes to the tree of shop, and
// what is said about them. A file without text is taken away.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "want" {
				t.Fatalf("the last file is %s, not want", want.Name)
			}
			got := report(load(t, shop(changes(archive.Files[:len(archive.Files)-1]))))
			if golden.Update() {
				want.Data = []byte(got)
				golden.Equal(t, file, txtar.Format(archive))
			}
			if diff := cmp.Diff(got, string(want.Data)); diff != "" {
				t.Errorf("the faults differ (-got +want); if got is right: make golden\n%s", diff)
			}
		})
	}
}

func changes(files []txtar.File) map[string]string {
	texts := map[string]string{}
	for _, f := range files {
		texts[f.Name] = string(f.Data)
	}
	return texts
}

// report is all that is said about a tree.
func report(fleet *bundle.Fleet) string {
	var b strings.Builder
	for _, f := range fleet.Faults {
		fmt.Fprintf(&b, "%s %s %s\n", f.Severity, f.Code, f)
	}
	for _, tenant := range fleet.Tenants {
		state := "ok"
		if tenant.Desired == nil {
			state = "broken"
		}
		fmt.Fprintf(&b, "%s: %s\n", tenant.ID, state)
	}
	return b.String()
}

// A tenant has no bundle exactly when one of its faults is an error, and its
// faults are among those of the fleet.
func TestFaultsOfTenants(t *testing.T) {
	files, _ := filepath.Glob("testdata/faults/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fleet := load(t, shop(changes(archive.Files)))
		for _, tenant := range fleet.Tenants {
			if config.HasErrors(tenant.Faults) != (tenant.Desired == nil) {
				t.Errorf("%s: tenant %s has errors: %v", file, tenant.ID, tenant.Faults)
			}
			for _, f := range tenant.Faults {
				if !slices.Contains(fleet.Faults, f) {
					t.Errorf("%s: the fleet does not know of %v", file, f)
				}
			}
		}
	}
}

// codes returns the codes of a fault.
func codes(faults []bundle.Fault) (list []string) {
	for _, f := range faults {
		list = append(list, f.Code)
	}
	return list
}

// Links are listed, and never followed: a tenant behind one is broken.
func TestLinks(t *testing.T) {
	link := &fstest.MapFile{Data: []byte("../elsewhere"), Mode: fs.ModeSymlink}
	for _, name := range []string{"apps/shop/objects/link.yaml", "tenants/acme/objects", "tenants/acme/tenant.yaml", "tenants/beta"} {
		tree := shop(nil)
		tree[name] = link
		fleet := load(t, tree)
		id := "acme"
		if name == "tenants/beta" {
			id = "beta"
		}
		if x := tenant(t, fleet, id); x.Desired != nil || !slices.ContainsFunc(codes(x.Faults), func(c string) bool {
			return c == "not_a_file" || c == "tenant_without_file"
		}) {
			t.Errorf("%s: desired %v, faults %v", name, x.Desired, x.Faults)
		}
	}
}

// A link in place of what the whole tree is known by changes nothing anywhere,
// even where it leads to the like, and an app behind one is no app.
func TestLinksAtTheTop(t *testing.T) {
	for _, name := range []string{"fleet.yaml", "apps", "tenants", "apps/beta"} {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "elsewhere"), shop(map[string]string{
			"fleet.yaml": "fleet: elsewhere\n", "apps/beta/app.yaml": "name: beta\nlabel: B\nversion: 1.0.0\n",
		})); err != nil {
			t.Fatal(err)
		}
		tree := shop(map[string]string{"tenants/acme/tenant.yaml": "id: acme\nname: A\napps: [{name: beta}]\n"})
		for file := range tree {
			if strings.HasPrefix(file, name) {
				delete(tree, file)
			}
		}
		if err := os.CopyFS(filepath.Join(dir, "tree"), tree); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "tree", name)
		if err := os.Symlink(filepath.Join(dir, "elsewhere", name), link); err != nil {
			t.Fatal(err)
		}
		fleet, err := bundle.Load(os.DirFS(filepath.Join(dir, "tree")), bundle.Options{})
		if name == "apps/beta" {
			if err != nil || !slices.Contains(codes(fleet.Faults), "not_a_file") || tenant(t, fleet, "acme").Desired != nil {
				t.Errorf("%s: got %v, %v", name, fleet, err)
			}
			continue
		}
		var invalid *bundle.InvalidError
		if !errors.As(err, &invalid) || codes(invalid.Faults)[0] != "not_a_file" || invalid.Faults[0].File != name {
			t.Errorf("%s: got %v, %v", name, fleet, err)
		}
	}
}

// What the database has no form for stands at its place in the file that brings
// it, be that an extension's.
func TestMapping(t *testing.T) {
	tree := shop(map[string]string{
		"tenants/acme/objects/more.yaml": "extend: product\nindexes:\n  - {fields: [name]}\n  - {fields: [name], partial: nonsense}\n",
	})
	mapping := func(o bundle.Object) []bundle.Unmapped {
		if i := len(o.Indexes) - 1; o.Name == "product" && i >= 0 && o.Indexes[i].Partial == "nonsense" {
			return []bundle.Unmapped{{Path: []any{"indexes", i, "partial"}, Code: "index_predicate", Message: "no", Next: "yes"}}
		}
		return nil
	}
	fleet, err := bundle.Load(tree, bundle.Options{Mapping: mapping})
	if err != nil {
		t.Fatal(err)
	}
	x := tenant(t, fleet, "acme")
	if got, want := fmt.Sprint(x.Faults), "[tenants/acme/objects/more.yaml:4:31: no (yes)]"; got != want || x.Desired != nil {
		t.Errorf("got %s, want %s", got, want)
	}
	if zeta := tenant(t, fleet, "zeta"); zeta.Desired == nil {
		t.Errorf("a tenant without the extension is broken: %v", zeta.Faults)
	}
}

func TestBounds(t *testing.T) {
	many := map[string]string{}
	for i := range 10_001 {
		many[fmt.Sprintf("apps/shop/seed/%05d.yaml", i)] = "object: product\nrecords: []\n"
	}
	wide := "name: product\nfields:\n"
	for i := range 1_900 {
		wide += fmt.Sprintf("  f%d: {type: text}\n", i)
	}
	for code, changes := range map[string]map[string]string{
		"too_many_fields": {"apps/shop/objects/product.yaml": wide},
		"too_large":       {"apps/shop/objects/product.yaml": "# " + strings.Repeat("x", config.MaxFileSize)},
		"too_deep":        {"apps/shop/objects/product.yaml": strings.Repeat("[", 70) + strings.Repeat("]", 70)},
		"too_many_files":  many,
	} {
		if x := tenant(t, load(t, shop(changes)), "acme"); x.Desired != nil || !slices.Contains(codes(x.Faults), code) {
			t.Errorf("%s: got %v", code, codes(x.Faults))
		}
	}
}

// unreadable fails to read one file, as a disk or a damaged repository does.
type unreadable struct {
	fstest.MapFS
	name string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.Open(name)
}

func (u unreadable) ReadFile(name string) ([]byte, error) { return fs.ReadFile(fsOnly{u}, name) }

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == u.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.ReadDir(name)
}

type fsOnly struct{ fs.FS }

// What cannot be read is an error of what it belongs to. Where that could hide
// tenants, it is an error of the whole tree.
func TestUnreadable(t *testing.T) {
	for _, name := range []string{"apps/shop/objects/product.yaml", "apps/shop/objects", "tenants/acme/tenant.yaml"} {
		x := tenant(t, load(t, unreadable{shop(nil), name}), "acme")
		if x.Desired != nil || !slices.Contains(codes(x.Faults), "unreadable") {
			t.Errorf("%s: desired %v, faults %v", name, x.Desired, x.Faults)
		}
	}
	for _, name := range []string{"tenants", "tenants/acme"} {
		if fleet, err := bundle.Load(unreadable{shop(nil), name}, bundle.Options{}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, %v", name, fleet, err)
		}
	}
}

// A tag that moved, that has another version, or that cannot be read.
func TestVersionFaults(t *testing.T) {
	tagged := shop(map[string]string{"apps/shop/app.yaml": "name: shop\nlabel: S\nversion: 0.9.0\n"})
	tree := shop(map[string]string{"tenants/acme/tenant.yaml": "id: acme\nname: A\napps: [{name: shop, version: 0.9.0}]\n"})
	away := errors.New("the remote is away")
	for code, o := range map[string]bundle.Options{
		"version_moved": {
			Versions: map[string]string{"shop/v0.9.0": "beef"},
			Version:  func(string, string) (fs.FS, string, error) { return tagged, "c0ffee", nil },
		},
		"version_missing":    {Versions: map[string]string{"shop/v0.9.0": "beef"}},
		"version_mismatch":   {Version: func(string, string) (fs.FS, string, error) { return shop(nil), "c0ffee", nil }},
		"version_unreadable": {Version: func(string, string) (fs.FS, string, error) { return nil, "", away }},
		"app_missing":        {Version: func(string, string) (fs.FS, string, error) { return fstest.MapFS{}, "c0ffee", nil }},
	} {
		fleet, err := bundle.Load(tree, o)
		if err != nil {
			t.Fatal(err)
		}
		x := tenant(t, fleet, "acme")
		if x.Desired != nil || !slices.Equal(codes(x.Faults), []string{code}) || x.Faults[0].Column != 30 {
			t.Errorf("%s: got %v", code, x.Faults)
		}
	}
}

// Every code has a case that shows it and a line in the documentation.
func TestCodesAreShownAndDocumented(t *testing.T) {
	var declared []string
	for _, file := range []string{"faults.go", "../config/document.go", "../config/fleet_check.go", "../config/parse.go", "../config/secret.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^\t[cC]ode\w+ += "(\w+)"`).FindAllSubmatch(text, -1) {
			declared = append(declared, string(found[1]))
		}
	}
	page, err := os.ReadFile("../docs/bundle-format.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []byte
	cases, _ := filepath.Glob("testdata/faults/*.txtar")
	for _, name := range append(cases, "faults_test.go", "../config/fleet_test.go") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, text...)
	}
	if len(declared) < 50 {
		t.Errorf("only %d codes found", len(declared))
	}
	for _, code := range declared {
		if !bytes.Contains(page, []byte("\n| `"+code+"` |")) {
			t.Errorf("docs/bundle-format.md does not explain %s", code)
		}
		if !regexp.MustCompile(`\b` + code + `\b`).Match(shown) {
			t.Errorf("no case shows %s", code)
		}
	}
}

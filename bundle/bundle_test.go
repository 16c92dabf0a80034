package bundle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// shop is a small tree: one app and one tenant. Files with empty text are
// taken away.
func shop(changes map[string]string) fstest.MapFS {
	files := map[string]string{
		"fleet.yaml":                     "fleet: shop\n",
		"apps/shop/app.yaml":             "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/product.yaml": "name: product\nfields:\n  name: {type: text, required: true}\n",
		"tenants/acme/tenant.yaml":       "id: acme\nname: Acme\napps: [{name: shop}]\n",
		"tenants/zeta/tenant.yaml":       "id: zeta\nname: Zeta\n",
	}
	for name, text := range changes {
		files[name] = text
	}
	tree := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return tree
}

func load(t *testing.T, tree fs.FS) *bundle.Fleet {
	t.Helper()
	fleet, err := bundle.Load(tree, bundle.Options{Revision: "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

func tenant(t *testing.T, fleet *bundle.Fleet, id string) *bundle.Tenant {
	t.Helper()
	for _, x := range fleet.Tenants {
		if x.ID == protocol.TenantID(id) {
			return x
		}
	}
	t.Fatalf("there is no tenant %q", id)
	return nil
}

func TestWholeTree(t *testing.T) {
	if _, err := bundle.Load(fstest.MapFS{}, bundle.Options{}); !errors.Is(err, bundle.ErrNoTenants) {
		t.Errorf("an empty tree: got %v, want ErrNoTenants", err)
	}
	broken := shop(map[string]string{"fleet.yaml": "polcy: {}\n"})
	if _, err := bundle.Load(broken, bundle.Options{}); !errors.Is(err, bundle.ErrInvalid) || !strings.Contains(err.Error(), "fleet.yaml:1:1") {
		t.Errorf("a broken fleet.yaml: got %v, want ErrInvalid with its place", err)
	}
	broken = shop(map[string]string{
		"fleet.yaml": "polcy: {}\nretention: 7w\n", "apps/shop/objects/extra.yaml": "label: Extra\n",
		"tenants/acme/tenant.yaml": "id: other\nname: Acme\nplan: gold\n",
	})
	_, err := bundle.Load(broken, bundle.Options{})
	var invalid *bundle.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	var got []string
	for _, f := range invalid.Faults {
		if f.IsError() {
			got = append(got, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Code))
		}
	}
	want := []string{
		"fleet.yaml:1 unrecognized_keys", "fleet.yaml:2 bad_duration", "apps/shop/objects/extra.yaml:1 invalid_type",
		"apps/shop/objects/extra.yaml:1 invalid_type", "tenants/acme/tenant.yaml:1 tenant_directory", "tenants/acme/tenant.yaml:3 invalid_value",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("everything that is wrong, fleet.yaml first (-got +want):\n%s", diff)
	}
}

// Apps come in the order of their dependencies, extensions add to their
// objects, and our own keys do not reach the registry.
func TestCompose(t *testing.T) {
	fleet := load(t, shop(map[string]string{
		"apps/base/app.yaml":             "name: base\nlabel: Base\nversion: 1.0.0\n",
		"apps/base/objects/party.yaml":   "name: party\nfields:\n  name: {type: text}\n",
		"apps/shop/app.yaml":             "name: shop\nlabel: Shop\nversion: 1.0.0\ndependencies: [base]\n",
		"apps/shop/objects/product.yaml": "name: product\nrenamedFrom: item\nfields:\n  title: {type: text, renamedFrom: name}\n",
		"apps/shop/seed/products.yaml":   "object: product\nexternalId: title\nenv: [test]\nrecords: [{title: Pen}]\n---\nobject: product\nexternalId: title\nrecords: [{title: Ink}]\n",
		"tenants/acme/objects/x.yaml":    "extend: party\nfields:\n  vat: {type: text}\nindexes: [{fields: [vat]}]\n",
	}))
	d := tenant(t, fleet, "acme").Desired
	if d == nil {
		t.Fatal(tenant(t, fleet, "acme").Faults)
	}
	if len(d.Apps) != 2 || d.Apps[0].Name != "base" || !slices.Equal(d.Bundle.Manifest.Objects, []string{"party", "product"}) {
		t.Errorf("apps %v, objects %v", d.Apps, d.Bundle.Manifest.Objects)
	}
	party, product := d.Objects[0], d.Objects[1]
	if _, ok := party.Fields["vat"]; !ok || len(party.Indexes) != 1 {
		t.Errorf("the extension is missing: %+v", party)
	}
	if product.RenamedFrom != "item" || product.FieldRenames["title"] != "name" {
		t.Errorf("renames: %q %v", product.RenamedFrom, product.FieldRenames)
	}
	if _, ok := d.Bundle.Objects[1]["renamedFrom"]; ok {
		t.Error("renamedFrom is in the definition that is registered")
	}
	if len(d.Bundle.SeedData) != 1 || d.Bundle.Manifest.Version != d.Digest[:12] || d.Bundle.Manifest.Checksum != d.Digest {
		t.Errorf("%d seed sets, manifest %+v", len(d.Bundle.SeedData), d.Bundle.Manifest)
	}
	if m := fleet.Bundle(tenant(t, fleet, "acme")).Manifest; m.Version != "0123456789ab" {
		t.Errorf("version %s, want that of the revision", m.Version)
	}
}

// How files are cut, and the order of keys, is not part of the digest; what
// they say is.
func TestDigest(t *testing.T) {
	digest := func(changes map[string]string) string {
		d := tenant(t, load(t, shop(changes)), "acme").Desired
		if d == nil {
			t.Fatal("no bundle")
		}
		return d.Digest
	}
	const object = "apps/shop/objects/product.yaml"
	base := digest(nil)
	same := digest(map[string]string{object: "", "apps/shop/objects/other.yml": "# moved\nfields: {name: {required: true, type: text}}\nname: product\n"})
	renamed := digest(map[string]string{object: "name: product\nrenamedFrom: item\nfields:\n  name: {type: text, required: true}\n"})
	changed := digest(map[string]string{object: "name: product\nfields:\n  name: {type: text}\n"})
	if base != same || base == renamed || base == changed {
		t.Errorf("base %.8s, same %.8s, renamed %.8s, changed %.8s", base, same, renamed, changed)
	}
}

func TestVersions(t *testing.T) {
	old := shop(map[string]string{"apps/shop/objects/product.yaml": "name: product\nfields: {}\n", "apps/shop/app.yaml": "name: shop\nlabel: S\nversion: 0.9.0\n"})
	options := bundle.Options{Version: func(app, version string) (fs.FS, string, error) {
		if app+"/v"+version != "shop/v0.9.0" {
			return nil, "", fs.ErrNotExist
		}
		return old, "c0ffee", nil
	}}
	tree := shop(map[string]string{"tenants/acme/tenant.yaml": "id: acme\nname: Acme\napps: [{name: shop, version: 0.9.0}]\n"})
	fleet, err := bundle.Load(tree, options)
	if err != nil {
		t.Fatal(err)
	}
	d := tenant(t, fleet, "acme").Desired
	if d == nil || len(d.Objects[0].Fields) != 0 || fleet.Versions["shop/v0.9.0"] != "c0ffee" {
		t.Fatalf("got %+v, versions %v, faults %v", d, fleet.Versions, fleet.Faults)
	}
	options.Versions = map[string]string{"shop/v0.9.0": "beef"}
	moved, err := bundle.Load(tree, options)
	if err != nil {
		t.Fatal(err)
	}
	if f := tenant(t, moved, "acme").Faults; len(f) == 0 || f[0].Code != "version_moved" {
		t.Errorf("a moved tag: got %v", f)
	}
}

// A cache gives the same fleet, also for a revision in which something changed.
func TestCache(t *testing.T) {
	cache := bundle.NewCache()
	first, second := shop(nil), shop(map[string]string{"apps/shop/objects/product.yaml": "name: product\nfields: {}\n"})
	for i, tree := range []fs.FS{first, first, second, first} {
		cached, err := bundle.Load(tree, bundle.Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := bundle.Load(tree, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tenant(t, cached, "acme").Desired.Digest, tenant(t, fresh, "acme").Desired.Digest; got != want {
			t.Errorf("load %d: got %s, want %s", i, got, want)
		}
	}
}

// Every real application compiles; what newer runtimes added is a warning.
func TestCorpusCompiles(t *testing.T) {
	dir := os.Getenv("RECONCILER_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil || len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the corpus is not in %s: %v", dir, err)
		}
		t.Skipf("the corpus is not in %s", dir)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d, faults := bundle.Compile(data); d == nil {
			t.Errorf("%s: %v", file, faults)
		}
	}
}

// Queries come with the bundle in the order of apps, and change nothing in a
// database: they are no part of its digest, nor of what is registered.
func TestVerify(t *testing.T) {
	plain := load(t, shop(nil)).Tenants[0].Desired
	asking := load(t, shop(map[string]string{
		"apps/shop/app.yaml": "name: shop\nlabel: Shop\nversion: 1.0.0\ndependencies: [base]\nverify:\n" +
			"  - SELECT id FROM product WHERE name = ''\n  - {name: named, sql: SELECT 1 WHERE 0}\n",
		"apps/base/app.yaml": "name: base\nlabel: Base\nversion: 1.0.0\nverify: [VALUES (1)]\n",
	})).Tenants[0].Desired
	want := []bundle.Verification{
		{App: "base", Name: "1", SQL: "VALUES (1)"},
		{App: "shop", Name: "1", SQL: "SELECT id FROM product WHERE name = ''"},
		{App: "shop", Name: "named", SQL: "SELECT 1 WHERE 0"},
	}
	if diff := cmp.Diff(want, asking.Verify); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if asking.Digest != plain.Digest || plain.VerifyDigest != "" || asking.VerifyDigest == "" {
		t.Errorf("got digests %q and %q, of the queries %q and %q", plain.Digest, asking.Digest, plain.VerifyDigest, asking.VerifyDigest)
	}
	text, err := json.Marshal([]any{asking.Bundle, asking.Apps})
	if err != nil || strings.Contains(string(text), "SELECT") {
		t.Errorf("a query is in the bundle: %s (%v)", text, err)
	}
}

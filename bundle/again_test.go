package bundle_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/protocol"
)

// named is a tree that names its content, as a git tree does.
type named struct{ fstest.MapFS }

func (n named) Hash(name string) (string, error) {
	h := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(n.MapFS)) {
		if file == name || strings.HasPrefix(file, name+"/") {
			fmt.Fprintf(h, "%s\x00%s\x00", strings.TrimPrefix(file, name), n.MapFS[file].Data)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// tag is the tag of the tree, in which one version of shop is in a file.
func (n named) tag(string, string) (fs.FS, string, error) {
	version, ok := n.MapFS["tag"]
	if !ok {
		return nil, "", fs.ErrNotExist
	}
	text := fmt.Sprintf("name: shop\nlabel: S\nversion: %s\n", version.Data)
	return named{shop(map[string]string{"apps/shop/app.yaml": text})}, "c0ffee" + string(version.Data), nil
}

// edits are what a commit may change: each gives a file one of its texts, or
// takes it away.
var edits = []struct {
	file  string
	texts []string
}{
	{"fleet.yaml", []string{"fleet: shop\n", "fleet: shop\nenvironment: test\n", "fleet: shop\ndrift: heal\n"}},
	{"apps/shop/objects/product.yaml", []string{
		"name: product\nfields:\n  name: {type: text, required: true}\n", "name: product\nfields: {}\n", "name: product\nfields: nonsense\n",
		"name: product\nfields:\n  name: {type: text}\nindexes: [{fields: [name], partial: name is not null}]\n",
	}},
	{"apps/shop/app.yaml", []string{"name: shop\nlabel: Shop\nversion: 1.0.0\n", "name: shop\nlabel: Shop\nversion: 1.1.0\ndependencies: [base]\n", ""}},
	{"apps/base/app.yaml", []string{"name: base\nlabel: Base\nversion: 1.0.0\n", ""}},
	{"apps/base/objects/party.yaml", []string{"name: party\nfields: {}\n", "name: product\nfields: {}\n"}},
	{"apps/shop/seed/products.yaml", []string{"object: product\nexternalId: name\nenv: [test]\nrecords: [{name: Pen}]\n", ""}},
	{"tenants/acme/tenant.yaml", []string{
		"id: acme\nname: Acme\napps: [{name: shop}]\n", "id: acme\nname: A\napps: [{name: shop}]\n", "id: acme\nname: A\napps: [{name: shop, version: 0.9.0}]\n",
		"id: acme\nname: A\napps: [{name: shop}]\nconnectionConfig: {url: 'file:one.db'}\n", "id: beta\nname: A\napps: [{name: shop}]\n", "id: acme\n",
	}},
	{"tenants/acme/objects/own.yaml", []string{"name: own\nfields: {}\n", "extend: product\nfields:\n  vat: {type: text}\n", "extend: nothing\nfields: {}\n", ""}},
	{"tenants/acme/bundle.yaml", []string{"version: 7.0.0\n", "createdAt: nonsense\n", ""}},
	{"tenants/beta/tenant.yaml", []string{"id: beta\nname: Beta\napps: [{name: shop}]\n", "id: beta\nname: Beta\napps: [{name: shop, version: 0.9.0}]\ndrift: report\n", ""}},
	{"tenants/west/beta/tenant.yaml", []string{"id: beta\nname: Beta\napps: [{name: shop}]\n", ""}},
	{"tag", []string{"0.9.0", "0.9.1", ""}},
	{"tenants/gamma/tenant.yaml", []string{
		"id: gamma\nname: G\napps: [{name: shop}]\ndropTables: [base]\n", "id: gamma\nname: G\napps: [{name: base}]\n",
		"id: gamma\nname: G\napps: [{name: shop}]\nconnectionConfig: {url: 'file:one.db'}\n",
	}},
}

// What a cache takes over from the loads before is what a load without one
// makes, whatever a commit changes, and what they gave stays as it was.
func TestAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(20261128, 1))
	tree, cache := named{shop(map[string]string{"tenants/delta/tenant.yaml": "id: delta\nname: D\napps: [{name: shop}]\nconnectionConfig: {url: 'file:one.db'}\n"})}, bundle.NewCache()
	var before *bundle.Fleet
	var text string
	for i := range 400 {
		e := edits[random.IntN(len(edits))]
		if text := e.texts[random.IntN(len(e.texts))]; text == "" {
			delete(tree.MapFS, e.file)
		} else {
			tree.MapFS[e.file] = &fstest.MapFile{Data: []byte(text)}
		}
		options := bundle.Options{Revision: fmt.Sprintf("%040x", i), Mapping: unmapped, Version: tree.tag}
		want, err := bundle.Load(tree, options)
		if err != nil {
			t.Fatal(err)
		}
		options.Cache = cache
		got, err := bundle.Load(tree, options)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(bundle.Fleet{}, bundle.Tenant{})); diff != "" {
			t.Fatalf("commit %d, after %s changed, with a cache (-without +with):\n%s", i, e.file, diff)
		}
		if before != nil && fmt.Sprint(said(before)) != text {
			t.Fatalf("commit %d, after %s changed: the fleet before is not what it was", i, e.file)
		}
		before, text = got, fmt.Sprint(said(got))
	}
}

// unmapped finds something in objects that have an index.
func unmapped(o bundle.Object) []bundle.Unmapped {
	if len(o.Indexes) == 0 {
		return nil
	}
	return []bundle.Unmapped{{Path: []any{"indexes", 0}, Code: "unmapped", Message: "has no form", Next: "leave it out"}}
}

// said is all that a fleet says of its tenants.
func said(f *bundle.Fleet) []any {
	var all []any
	for _, t := range f.Tenants {
		all = append(all, t.ID, t.Dir, t.Spec.Name, t.Spec.Environment, t.Faults, t.Desired != nil)
		if t.Desired != nil {
			all = append(all, t.Desired.Digest, f.Bundle(t).Manifest)
		}
	}
	return all
}

// A tenant whose files a commit leaves alone is the very same afterwards, but
// for the first of those with the same apps.
func TestUnchangedTenants(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("tenants/t%02d/tenant.yaml", i)] = fmt.Sprintf("id: t%02d\nname: T\napps: [{name: shop}]\n", i)
	}
	cache := bundle.NewCache()
	load := func(changes map[string]string) map[protocol.TenantID]*bundle.Tenant {
		maps.Copy(files, changes)
		fleet, err := bundle.Load(named{shop(files)}, bundle.Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		all := map[protocol.TenantID]*bundle.Tenant{}
		for _, one := range fleet.Tenants {
			all[one.ID] = one
		}
		return all
	}
	same := func(before, after map[protocol.TenantID]*bundle.Tenant) (n int) {
		for id, one := range before {
			if after[id] == one {
				n++
			}
		}
		return n
	}
	first := load(nil)
	second := load(map[string]string{"tenants/t07/tenant.yaml": "id: t07\nname: Changed\napps: [{name: shop}]\n"})
	third := load(map[string]string{"apps/shop/objects/product.yaml": "name: product\nfields: {}\n"})
	// acme and t00 to t19 have the app; zeta has none, and is alone with that.
	if n := same(first, second); n != 19 || second["t07"].Spec.Name != "Changed" {
		t.Errorf("a tenant changed: %d of 22 stayed, want 19", n)
	}
	if n := same(second, third); n != 0 {
		t.Errorf("their app changed: %d stayed", n)
	}
}

package bundle_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tenantops/reconciler/bundle"
)

// hashed is a tree that names its content, as a git tree does. Here every
// directory has the hash that it was given.
type hashed struct {
	fstest.MapFS
	hashes map[string]string
}

func (h hashed) Hash(name string) (string, error) { return h.hashes[name], nil }

// fleetOf is a tree of n tenants that use two apps of 20 objects each.
func fleetOf(n int) hashed {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	for _, app := range []string{"base", "crm"} {
		add("apps/"+app+"/app.yaml", "name: "+app+"\nlabel: App\nversion: 1.0.0\n")
		for i := range 20 {
			var b strings.Builder
			fmt.Fprintf(&b, "name: %s_%d\nlabel: Object\nfields:\n", app, i)
			for j := range 12 {
				fmt.Fprintf(&b, "  field_%d: {type: text, label: Field, maxLength: 100, required: true}\n", j)
			}
			add(fmt.Sprintf("apps/%s/objects/object_%d.yaml", app, i), b.String())
		}
	}
	for i := range n {
		add(fmt.Sprintf("tenants/%02d/t-%d/tenant.yaml", i%100, i), fmt.Sprintf(
			"id: t-%d\nname: Tenant %d\norgId: org_%d\nplan: pro\nregion: eu-west\napps: [{name: base}, {name: crm}]\nlabels: {tier: standard}\n", i, i, i))
	}
	h := hashed{files, map[string]string{}}
	_ = fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		h.hashes[name] = "1"
		return err
	})
	return h
}

// BenchmarkLoad loads 1,000 tenants: anew, with nothing changed since the last
// time, and with one tenant changed.
func BenchmarkLoad(b *testing.B) {
	tree := fleetOf(1000)
	load := func(b *testing.B, cache *bundle.Cache) {
		fleet, err := bundle.Load(tree, bundle.Options{Revision: "0123456789abcdef", Cache: cache})
		if err != nil || len(fleet.Tenants) != 1000 || fleet.Tenants[0].Desired == nil {
			b.Fatalf("%v, %v", err, fleet)
		}
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			load(b, bundle.NewCache())
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		cache := bundle.NewCache()
		load(b, cache)
		for b.Loop() {
			load(b, cache)
		}
	})
	b.Run("one changed", func(b *testing.B) {
		cache := bundle.NewCache()
		load(b, cache)
		for i := 0; b.Loop(); i++ {
			for _, name := range []string{".", "tenants", "tenants/07", "tenants/07/t-7", "tenants/07/t-7/tenant.yaml"} {
				tree.hashes[name] = fmt.Sprint("changed ", i)
			}
			load(b, cache)
		}
	})
}

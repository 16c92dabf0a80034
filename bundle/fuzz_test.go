package bundle_test

import (
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/tenantops/reconciler/bundle"
)

// Whatever a tree holds, loading it ends with a fleet or an error, each fault
// says where it is, and a second load says the same.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/faults/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		tree := &txtar.Archive{}
		for name, file := range shop(changes(archive.Files)) {
			tree.Files = append(tree.Files, txtar.File{Name: name, Data: file.Data})
		}
		f.Add(txtar.Format(tree))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree := fstest.MapFS{}
		for _, file := range txtar.Parse(data).Files {
			if fs.ValidPath(file.Name) {
				tree[file.Name] = &fstest.MapFile{Data: file.Data}
			}
		}
		fleet, err := bundle.Load(tree, bundle.Options{})
		if err != nil {
			return
		}
		for _, f := range fleet.Faults {
			if f.File == "" || f.Line < 1 || f.Column < 1 || f.Code == "" || f.Message == "" || f.Next == "" {
				t.Errorf("the fault is incomplete: %+v", f)
			}
		}
		again, err := bundle.Load(tree, bundle.Options{})
		if err != nil || report(again) != report(fleet) {
			t.Errorf("a second load says something else: %v\n%s\n%s", err, report(fleet), report(again))
		}
	})
}

// Whatever a compiled bundle holds, its faults say where they are.
func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"manifest": {"version": "1"}, "objects": [{"name": "a", "fields": {"b": {"type": "text"}}}]}`))
	f.Add([]byte(`{"name": "a", "version": "1", "objects": [{"extend": "a"}], "views": [{}], "seedData": [{"object": "a", "records": [{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		desired, faults := bundle.Compile(data)
		for _, f := range faults {
			if f.Line < 1 || f.Column < 1 || f.Code == "" || f.Next == "" {
				t.Errorf("the fault is incomplete: %+v", f)
			}
		}
		if desired != nil && len(desired.Bundle.Objects) != len(desired.Objects) {
			t.Errorf("%d objects of %d", len(desired.Objects), len(desired.Bundle.Objects))
		}
	})
}

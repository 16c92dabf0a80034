package reconcile_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/bundle"
	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

// TestRuntime runs the published ObjectStack runtime on databases that were
// deployed. It finds its metadata in them, changes nothing in their schema,
// and for every object a record is inserted, read back and deleted.
//
// RUNTIME_PACKAGES is a node_modules directory with what
// testdata/runtime/package.json names; make test-runtime installs it.
func TestRuntime(t *testing.T) {
	packages := os.Getenv("RUNTIME_PACKAGES")
	if packages == "" {
		t.Skip("RUNTIME_PACKAGES does not name the runtime's packages; make test-runtime installs them and runs this")
	}
	r := published{packages}
	t.Run("examples", r.runExamples)
	t.Run("every field type", r.runEveryFieldType)
	t.Run("corpus", func(t *testing.T) {
		for app, files := range applications(t) {
			t.Run(app, func(t *testing.T) { r.runVersions(t, files) })
		}
	})
}

// published is the directory of the published packages.
type published struct{ packages string }

// runExamples makes every commit of the example company and runs the runtime
// on each of its tenants.
func (r published) runExamples(t *testing.T) {
	w := newWorld(t, nil)
	steps, err := filepath.Glob(filepath.Join("..", "examples", "history", "*"))
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join("..", "examples", "repo")
	for _, step := range append(steps, repo) {
		w.commit(filepath.Base(step), tree(t, step))
		if report := w.sync(); report.Status != state.Succeeded {
			t.Fatalf("%s: %+v", step, report)
		}
	}
	fleet, err := bundle.Load(os.DirFS(repo), bundle.Options{})
	if err != nil || len(fleet.Tenants) == 0 {
		t.Fatalf("%d tenants: %v", len(fleet.Tenants), err)
	}
	for _, tenant := range fleet.Tenants {
		t.Run(string(tenant.ID), func(t *testing.T) {
			r.run(t, w.tenantFile(string(tenant.ID)), tenant.Desired)
		})
	}
	for _, tenant := range w.sync().Tenants {
		if tenant.Result.Action != deploy.None {
			t.Errorf("%s: the pass after the runtime did %s", tenant.ID, tenant.Result.Action)
		}
	}
}

// tree returns the files below a directory.
func tree(t *testing.T, root string) files {
	t.Helper()
	content := files{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		content[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// runEveryFieldType deploys objects that have every type of field, plain, with
// multiple values, and with what becomes part of a column or an index.
func (r published) runEveryFieldType(t *testing.T) {
	plain, multiple, strict := map[string]any{}, map[string]any{}, map[string]any{}
	for _, kind := range protocol.FieldType("").Values() {
		plain["a_"+kind] = map[string]any{"type": kind}
		// This release reads a list of booleans as one, and gives a formula of
		// lists, which means nothing, a column.
		if kind != string(protocol.FieldBoolean) && kind != string(protocol.FieldFormula) {
			multiple["a_"+kind] = map[string]any{"type": kind, "multiple": true, "required": true, "unique": true}
		}
		strict["a_"+kind] = map[string]any{"type": kind, "required": true, "unique": true}
	}
	indexes := []any{
		map[string]any{"fields": []string{"a_text", "a_number"}},
		map[string]any{"fields": []string{"a_email"}, "unique": true, "partial": "a_boolean = 1"},
	}
	text, err := json.Marshal(map[string]any{
		"name": "every", "version": "1.0.0", "label": "Every type",
		"objects": []any{
			map[string]any{"name": "plain", "fields": plain, "indexes": indexes},
			map[string]any{"name": "multiple", "fields": multiple},
			map[string]any{"name": "strict", "tableName": "strict_table", "fields": strict},
			map[string]any{"name": "defaults", "fields": map[string]any{
				"text":    map[string]any{"type": "text", "defaultValue": "it's"},
				"number":  map[string]any{"type": "number", "defaultValue": 1.5},
				"boolean": map[string]any{"type": "boolean", "defaultValue": true},
				"now":     map[string]any{"type": "datetime", "defaultValue": "NOW()"},
				"id":      map[string]any{"type": "text", "required": true},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "every.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.runVersions(t, []string{file})
}

// runVersions deploys versions of an application to one tenant and runs the
// runtime after each of them.
func (r published) runVersions(t *testing.T, files []string) {
	x := newSubject(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			desired := compile(t, file)
			if result := x.deploy(desired, everyClassAllowed()); result.Err != nil {
				t.Fatalf("%s: %v (next: %s)", result.Reason, result.Err, result.Next)
			}
			x.close()
			r.run(t, x.place.Path("tenant"), desired)
			x.open()
			if again := x.assess(desired, everyClassAllowed()); again.Action != deploy.None || again.Err != nil {
				t.Errorf("a plan after the runtime is not empty: %s %v", again.Action, again.Err)
			}
		})
	}
}

// findings are what testdata/runtime/check.cjs reports.
type findings struct {
	Definitions map[string][]string
	Hydrated    struct {
		Loaded, Errors int
		Objects        []string
	}
	Synced   []string
	Objects  []string
	Values   int
	Failures []string
}

// run starts the runtime on the database of a tenant that has what is desired,
// and nobody else has open.
func (r published) run(t *testing.T, database string, desired *bundle.Desired) {
	t.Helper()
	cookie, before := rowsOf(t, database, "PRAGMA schema_version"), content(t, database)
	found := r.check(t, database)
	if got := rowsOf(t, database, "PRAGMA schema_version"); got != cookie {
		t.Errorf("the runtime changed the schema: its version is %s, was %s", got, cookie)
	}
	if diff := cmp.Diff(before, content(t, database)); diff != "" {
		t.Errorf("the runtime left something behind (-before +after):\n%s", diff)
	}
	for _, failure := range found.Failures {
		t.Error(failure)
	}
	manifest := desired.Bundle.Manifest
	want := map[string][]string{
		"object": sorted(manifest.Objects), "view": sorted(manifest.Views),
		"flow": sorted(manifest.Flows), "permission": sorted(manifest.Permissions),
	}
	if diff := cmp.Diff(want, found.Definitions); diff != "" {
		t.Errorf("definitions found by the metadata loader (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want["object"], found.Hydrated.Objects); diff != "" {
		t.Errorf("objects found by the engine (-want +got):\n%s", diff)
	}
	rows := 0
	for _, names := range want {
		rows += len(names)
	}
	if found.Hydrated.Loaded != rows || found.Hydrated.Errors != 0 {
		t.Errorf("the engine loaded %d of %d definitions, with %d errors", found.Hydrated.Loaded, rows, found.Hydrated.Errors)
	}
	// The runtime adds an object of its own, the table of the definitions.
	exercised := sorted(append([]string{"sys__metadata"}, want["object"]...))
	if diff := cmp.Diff(exercised, sorted(found.Objects)); diff != "" {
		t.Errorf("objects whose record came and went (-want +got):\n%s", diff)
	}
	t.Logf("%d objects, %d values, %d definitions", len(found.Objects), found.Values, rows)
}

// check runs the script in a process of its own.
func (r published) check(t *testing.T, database string) findings {
	t.Helper()
	file := filepath.Join(t.TempDir(), "findings.json")
	command := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "runtime", "check.cjs"), database, file)
	command.Env = append(os.Environ(), "NODE_PATH="+r.packages)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	err := command.Run()
	if err != nil {
		t.Fatalf("run the runtime: %v\n%s", err, &stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var found findings
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the runtime said:\n%s", &stderr)
		}
	})
	return found
}

// sorted is never nil, as the script's lists never are.
func sorted(names []string) []string {
	sorted := append([]string{}, names...)
	slices.Sort(sorted)
	return sorted
}

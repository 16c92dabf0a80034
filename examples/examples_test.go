// Package examples_test keeps the examples true.
package examples_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/bundle"
)

// Every commit that the demonstration makes is one without a fault: the steps
// of history copied over each other, and the repository over the last.
func TestEveryCommitOfTheDemonstrationLoads(t *testing.T) {
	tree := t.TempDir()
	for _, step := range append(history(t), "repo") {
		copyOver(t, tree, step)
		fleet, err := bundle.Load(os.DirFS(tree), bundle.Options{})
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		for _, fault := range fleet.Faults {
			t.Errorf("%s: %v", step, fault)
		}
		for _, tenant := range fleet.Tenants {
			if tenant.Desired == nil {
				t.Errorf("%s: tenant %q has nothing to deploy", step, tenant.ID)
			}
		}
	}
}

func TestHistoryEndsInTheRepository(t *testing.T) {
	repository := os.DirFS("repo")
	for _, step := range history(t) {
		err := fs.WalkDir(os.DirFS(step), ".", func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			_, err = fs.Stat(repository, path)
			return err
		})
		if err != nil {
			t.Errorf("%s: copying repo over it would leave a file behind: %v", step, err)
		}
	}
}

// history returns the directories of the steps, oldest first.
func history(t *testing.T) []string {
	t.Helper()
	steps, err := filepath.Glob("history/*")
	if err != nil || len(steps) == 0 {
		t.Fatalf("no steps of history: %v", err)
	}
	return steps
}

func copyOver(t *testing.T, tree, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(tree, below)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

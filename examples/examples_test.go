// Package examples_test keeps the examples true.
package examples_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestHistoryEndsInTheRepository(t *testing.T) {
	steps, err := filepath.Glob("history/*")
	if err != nil || len(steps) == 0 {
		t.Fatalf("no steps of history: %v", err)
	}
	repository := os.DirFS("repo")
	for _, step := range steps {
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

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/aymanbagabas/go-udiff/myers"
)

// patch is a change of files as `git apply` takes it: the files of a
// gitrepo.Change over those of a tree.
func patch(tree fs.FS, files map[string][]byte) (string, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] != nil {
			before, err := readIfAny(tree, name)
			if err != nil {
				return "", err
			}
			if err := writePatch(&b, name, before, files[name]); err != nil {
				return "", err
			}
			continue
		}
		err := fs.WalkDir(tree, name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			before, err := fs.ReadFile(tree, path)
			if err == nil {
				err = writePatch(&b, path, before, nil)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func readIfAny(tree fs.FS, name string) ([]byte, error) {
	text, err := fs.ReadFile(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it is new
	}
	return text, err
}

// writePatch adds one file: from nil for one that is new, to nil for one that
// goes.
func writePatch(b *strings.Builder, name string, from, to []byte) error {
	fmt.Fprintf(b, "diff --git a/%s b/%s\n", name, name)
	before, after := "a/"+name, "b/"+name
	switch {
	case from == nil:
		before = "/dev/null"
		b.WriteString("new file mode 100644\n")
	case to == nil:
		after = "/dev/null"
		b.WriteString("deleted file mode 100644\n")
	}
	text, err := unified(before, after, from, to)
	b.WriteString(text)
	return err
}

// unified is the difference of two texts, empty for equal ones.
func unified(before, after string, from, to []byte) (string, error) {
	// Edits of whole lines: the library's own choice may repeat one that stays.
	edits := myers.ComputeEdits(string(from), string(to)) //nolint:staticcheck // deprecated for being slow on large texts
	text, err := udiff.ToUnified(before, after, string(from), edits, udiff.DefaultContextLines)
	if err != nil {
		return "", fmt.Errorf("write the patch of %s: %w", after, err)
	}
	return text, nil
}

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
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
			writePatch(&b, name, before, files[name])
			continue
		}
		err := fs.WalkDir(tree, name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			before, err := fs.ReadFile(tree, path)
			if err == nil {
				writePatch(&b, path, before, nil)
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
	if _, err := fs.Stat(tree, name); err != nil {
		return nil, nil //nolint:nilerr // it is new
	}
	return fs.ReadFile(tree, name)
}

// contextLines is how many unchanged lines stand around a change, as git has it.
const contextLines = 3

// writePatch adds one file: from nil for one that is new, to nil for one that
// goes. What has changed is one hunk: these files are short.
func writePatch(b *strings.Builder, name string, from, to []byte) {
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
	fmt.Fprintf(b, "--- %s\n+++ %s\n", before, after)
	old, new := linesOf(from), linesOf(to)
	same := func(i, j int) bool { return bytes.Equal(old[i], new[j]) }
	head := 0
	for head < min(len(old), len(new)) && same(head, head) {
		head++
	}
	tail := 0
	for tail < min(len(old), len(new))-head && same(len(old)-1-tail, len(new)-1-tail) {
		tail++
	}
	first, kept := max(0, head-contextLines), min(tail, contextLines)
	oldEnd, newEnd := len(old)-tail, len(new)-tail
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(first, oldEnd+kept-first), span(first, newEnd+kept-first))
	writeLines(b, ' ', old[first:head])
	writeLines(b, '-', old[head:oldEnd])
	writeLines(b, '+', new[head:newEnd])
	writeLines(b, ' ', old[oldEnd:oldEnd+kept])
}

// span is where a hunk begins and how many lines it has; before the first line
// of an empty file.
func span(first, lines int) string {
	if lines == 0 {
		return fmt.Sprintf("%d,0", first)
	}
	return fmt.Sprintf("%d,%d", first+1, lines)
}

func linesOf(text []byte) [][]byte {
	if len(text) == 0 {
		return nil
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func writeLines(b *strings.Builder, sign byte, lines [][]byte) {
	for _, line := range lines {
		b.WriteByte(sign)
		b.Write(line)
		if !bytes.HasSuffix(line, []byte("\n")) {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

package gitrepo_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// writeLoose makes an object of a text that git need not have written, under the
// hash of all of it, and returns that.
func writeLoose(t *testing.T, dir, text string) string {
	t.Helper()
	sum := sha1.Sum([]byte(text))
	hash := hex.EncodeToString(sum[:])
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := loosePath(dir, hash)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return hash
}

// commitEntry commits a tree that has one entry.
func commitEntry(t *testing.T, dir, mode, name, hash string) (commit string) {
	t.Helper()
	id, err := hex.DecodeString(hash)
	if err != nil {
		t.Fatal(err)
	}
	entry := fmt.Sprintf("%s %s\x00%s", mode, name, id)
	return git(t, dir, "commit-tree", "-m", "odd", writeLoose(t, dir, fmt.Sprintf("tree %d\x00%s", len(entry), entry)))
}

// A file whose object is not what git writes is refused, without more memory
// than a sound one takes.
func TestLooseObjectsThatNoGitWritesAreRefused(t *testing.T) {
	const much = 64 << 20
	for name, text := range map[string]string{
		"less than it says":         "blob 10\x00hello",
		"nothing of what it says":   fmt.Sprintf("blob %d\x00", math.MaxInt64),
		"more than it says":         "blob 3\x00hello",
		"much more than it says":    "blob 3\x00" + strings.Repeat("\x00", much),
		"less than nothing":         "blob -5\x00",
		"a size beyond all":         "blob 9223372036854775808\x00",
		"a header that has no end":  strings.Repeat("a", much),
		"a size that has no end":    "blob " + strings.Repeat("0", much),
		"a part of another object":  "ofs-delta 5\x00hello",
		"a kind that there is none": "file 5\x00hello",
		"a directory":               "tree 0\x00",
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			tree := readTree(t, dir, commitEntry(t, dir, "100644", "fleet.yaml", writeLoose(t, dir, text)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for how, read := range map[string]func() ([]byte, error){
				"whole":   func() ([]byte, error) { return tree.ReadFile("fleet.yaml") },
				"bounded": func() ([]byte, error) { return tree.ReadFileMax("fleet.yaml", 1<<20) },
			} {
				got, err := read()
				if got != nil || !errors.Is(err, gitrepo.ErrCorrupt) && !errors.Is(err, gitrepo.ErrTooLarge) {
					t.Errorf("%s: got %q, %v, want %v", how, got, err, gitrepo.ErrCorrupt)
				}
			}
			if info, err := tree.Stat("fleet.yaml"); err == nil && info.Size() < 0 {
				t.Errorf("got a size of %d", info.Size())
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > much/2 {
				t.Errorf("it took %d MiB", got>>20)
			}
		})
	}
}

// A directory that says it is larger than it is, is none without files.
func TestLooseTreesThatNoGitWritesAreRefused(t *testing.T) {
	for _, size := range []string{"9223372036854775807", "-1", "20"} {
		dir := newRepo(t)
		tree := readTree(t, dir, commitEntry(t, dir, "40000", "tenants", writeLoose(t, dir, "tree "+size+"\x00")))
		if got, err := fs.ReadDir(tree, "tenants"); err == nil {
			t.Errorf("%s bytes: got %v, want an error", size, got)
		}
	}
}

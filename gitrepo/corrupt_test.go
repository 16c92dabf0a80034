package gitrepo_test

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantops/reconciler/gitrepo"
)

// damage rewrites a file of the repository, which git keeps read-only.
func damage(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, file)
	if err := os.WriteFile(file, change(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func half(content []byte) []byte { return content[:len(content)/2] }

func loosePath(dir, hash string) string {
	return filepath.Join(dir, ".git", "objects", hash[:2], hash[2:])
}

func onlyFile(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got %v, %v", pattern, found, err)
	}
	return found[0]
}

func TestCorruptRepositoryIsSaid(t *testing.T) {
	packed := func(extension string, change func([]byte) []byte) func(t *testing.T, dir, head string) {
		return func(t *testing.T, dir, _ string) {
			git(t, dir, "gc", "-q")
			damage(t, onlyFile(t, filepath.Join(dir, ".git", "objects", "pack", "*."+extension)), change)
		}
	}
	object := func(name string, change func([]byte) []byte) func(t *testing.T, dir, head string) {
		return func(t *testing.T, dir, head string) {
			damage(t, loosePath(dir, git(t, dir, "rev-parse", head+name)), change)
		}
	}
	nothing := func([]byte) []byte { return nil }
	for name, spoil := range map[string]func(t *testing.T, dir, head string){
		"a pack cut in half":       packed("pack", half),
		"an empty pack":            packed("pack", nothing),
		"an index cut in half":     packed("idx", half),
		"a commit cut in half":     object("", half),
		"an empty commit":          object("", nothing),
		"a tree cut in half":       object(":tenants", half),
		"a file that is no object": object(":tenants/acme/tenant.yaml", func([]byte) []byte { return []byte("hello") }),
		"a commit that is missing": func(t *testing.T, dir, head string) { remove(t, loosePath(dir, head)) },
		"a tree that is missing": func(t *testing.T, dir, head string) {
			remove(t, loosePath(dir, git(t, dir, "rev-parse", head+"^{tree}")))
		},
		"one file's object in place of another": func(t *testing.T, dir, head string) {
			other, err := os.ReadFile(loosePath(dir, git(t, dir, "rev-parse", head+":fleet.yaml")))
			if err != nil {
				t.Fatal(err)
			}
			object(":tenants/acme/tenant.yaml", func([]byte) []byte { return other })(t, dir, head)
		},
		"a branch that names nothing": func(t *testing.T, dir, head string) {
			damage(t, filepath.Join(dir, ".git", "refs", "heads", "main"), func([]byte) []byte {
				return []byte("4444444444444444444444444444444444444444\n")
			})
		},
		"a branch that is no hash": func(t *testing.T, dir, head string) {
			damage(t, filepath.Join(dir, ".git", "refs", "heads", "main"), func([]byte) []byte { return []byte("hello\n") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			spoil(t, dir, commit(t, dir, "first", company))
			err := readEverything(t, gitrepo.Config{URL: dir})
			if !errors.Is(err, gitrepo.ErrCorrupt) {
				t.Errorf("got %v, want %v", err, gitrepo.ErrCorrupt)
			}
		})
	}
}

// readEverything opens a repository, goes to its head and reads all files.
func readEverything(t *testing.T, c gitrepo.Config) error {
	r, err := gitrepo.Open(t.Context(), c)
	if err != nil {
		return err
	}
	defer r.Close()
	head, err := r.Fetch(t.Context())
	if err != nil {
		return err
	}
	tree, err := r.Tree(t.Context(), head.Hash)
	if err != nil {
		return err
	}
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = tree.ReadFile(name)
		return err
	})
}

// Whatever byte is wrong, reading gives the right content or an error that
// says so: never a panic, never other content.
func TestDamagedBytesAreNoticed(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	dir, _, _ := newFleet(t, 20, layouts[0].dirOf)
	git(t, dir, "gc", "-q", "--aggressive")
	for _, extension := range []string{"pack", "idx"} {
		file := onlyFile(t, filepath.Join(dir, "objects", "pack", "*."+extension))
		sound, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		noticed := 0
		for range 150 {
			at, bit := random.IntN(len(sound)), byte(1)<<random.IntN(8)
			damage(t, file, func([]byte) []byte {
				damaged := append([]byte(nil), sound...)
				damaged[at] ^= bit
				return damaged
			})
			if err := readEverything(t, gitrepo.Config{URL: dir}); err != nil {
				noticed++
				if !errors.Is(err, gitrepo.ErrCorrupt) {
					t.Errorf("%s with byte %d wrong: got %v, want %v", extension, at, err, gitrepo.ErrCorrupt)
				}
			}
		}
		damage(t, file, func([]byte) []byte { return sound })
		if noticed == 0 {
			t.Errorf("no damage of a %s was noticed", extension)
		}
	}
	if err := readEverything(t, gitrepo.Config{URL: dir}); err != nil {
		t.Error(err)
	}
}

func TestTreesThatNoGitWritesAreRefused(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "first", company)
	id, err := hex.DecodeString(git(t, dir, "rev-parse", "HEAD:fleet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..", ".", "a/b"} {
		file := filepath.Join(t.TempDir(), "tree")
		if err := os.WriteFile(file, append([]byte("100644 "+name+"\x00"), id...), 0o600); err != nil {
			t.Fatal(err)
		}
		tree := git(t, dir, "hash-object", "-t", "tree", "--literally", "-w", file)
		git(t, dir, "update-ref", "refs/heads/main", git(t, dir, "commit-tree", "-m", "odd", tree))
		if err := readEverything(t, gitrepo.Config{URL: dir}); !errors.Is(err, gitrepo.ErrCorrupt) {
			t.Errorf("%q: got %v, want %v", name, err, gitrepo.ErrCorrupt)
		}
	}
}

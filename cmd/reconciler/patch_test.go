package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// git takes every patch, and makes of it what was meant.
func TestPatchIsTakenByGit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", "a\n", "a\nb", "a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nD\ne\nf\ng\nh\n", "b\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nd\ne\nf\ng\nh"}
	for range 20 {
		texts = append(texts, strings.Repeat("x\n", random.IntN(8))+strings.Repeat("y\n", random.IntN(3))+strings.Repeat("x\n", random.IntN(8)))
	}
	for i, from := range texts {
		for j, to := range texts {
			if from == to || from == "" && to == "" {
				continue
			}
			if i > 7 && j > 7 && (i+j)%5 > 0 {
				continue // enough of them
			}
			dir := t.TempDir()
			files := map[string][]byte{"tenants/acme/tenant.yaml": []byte(to)}
			if to == "" {
				files = map[string][]byte{"tenants": nil}
			}
			write(t, dir, from)
			text, err := patch(os.DirFS(dir), files)
			if err != nil {
				t.Fatal(err)
			}
			apply := exec.Command("git", "apply", "-")
			apply.Dir, apply.Stdin = dir, strings.NewReader(text)
			if out, err := apply.CombinedOutput(); err != nil {
				t.Fatalf("%q to %q: %v %s\n%s", from, to, err, out, text)
			}
			got, err := os.ReadFile(filepath.Join(dir, "tenants/acme/tenant.yaml"))
			if string(got) != to || (err != nil) != (to == "") {
				t.Fatalf("%q to %q: got %q, %v\n%s", from, to, got, err, text)
			}
		}
	}
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if text == "" {
		return
	}
	name := filepath.Join(dir, "tenants/acme/tenant.yaml")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, fmt.Append(nil, text), 0o600); err != nil {
		t.Fatal(err)
	}
}

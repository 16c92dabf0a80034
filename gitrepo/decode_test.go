package gitrepo

import (
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzDecodeTree holds decodeTree against go-git's reader.
func FuzzDecodeTree(f *testing.F) {
	line := func(mode, name string) string { return mode + " " + name + "\x00" + "0123456789abcdefghij" }
	for _, text := range []string{
		"", line("40000", "tenants"), line("100644", "fleet.yaml") + line("40000", "tenants"), line("100755", "run") + line("120000", "link") + line("160000", "sub"),
		line("100664", "old"), line("100600", "x"), line("7", "odd"), line("100644", "a b"), line("100644", ""), line("", "x"), line("9", "x"), line("-1", "x"),
		line("777777777777777", "x"), "100644 cut\x00short", "100644 cut", "100644", " ", "\x00", line("100644", "b") + line("100644", "a"), line("100644", "a") + "\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		obj := &plumbing.MemoryObject{}
		obj.SetType(plumbing.TreeObject)
		if _, err := obj.Write(content); err != nil {
			t.Fatal(err)
		}
		got, gotErr := decodeTree(obj)
		var want object.Tree
		wantErr := want.Decode(obj)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, go-git gives %v", content, gotErr, wantErr)
		}
		if diff := cmp.Diff(want.Entries, got, cmpopts.EquateEmpty()); gotErr == nil && diff != "" {
			t.Errorf("%q (-go-git +got):\n%s", content, diff)
		}
	})
}

// BenchmarkDecodeTree reads a directory of 10,000 tenants, as go-git does and as we do.
func BenchmarkDecodeTree(b *testing.B) {
	obj := &plumbing.MemoryObject{}
	obj.SetType(plumbing.TreeObject)
	for i := range 10_000 {
		fmt.Fprintf(obj, "40000 tenant-%05d\x000123456789abcdefghij", i)
	}
	b.Run("go-git", func(b *testing.B) {
		for b.Loop() {
			if _, err := object.DecodeTree(nil, obj); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if _, err := decodeTree(obj); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package state_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/state"
)

func TestBrokenFileIsExplainedAndSetAside(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"text instead of a database": func([]byte) []byte { return bytes.Repeat([]byte("notes "), 1000) },
		"overwritten header":         func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) },
		"overwritten pages": func(b []byte) []byte {
			return append(b[:4096], bytes.Repeat([]byte{0xff}, len(b)-4096)...)
		},
		"half of the file": func(b []byte) []byte { return b[:len(b)/8192*4096] },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			broken := harm(written(t, path))
			must(t, os.WriteFile(path, broken, 0o600))

			err := readAll(t, path)
			if !errors.Is(err, database.ErrCorrupt) && !errors.Is(err, database.ErrNotADB) {
				t.Fatalf("got %v, want ErrCorrupt or ErrNotADB", err)
			}
			if want := "run \"reconciler state rebuild --data " + filepath.Dir(path); !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it", err, want)
			}
			setAside(t, path, path+".broken-1", broken)
		})
	}
}

func TestBrokenValueIsExplained(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	must(t, s.SaveBundle(ctx, "bundle", []byte("body")))
	must(t, s.SaveDeployment(ctx, deployment("acme", 1, protocol.DeployReady)))
	must(t, s.SaveObserved(ctx, observation("acme", "")))
	must(t, s.Close())
	conn := connect(t, path)
	for _, sql := range []string{
		"UPDATE bundles SET body = substr(body, 1, length(body) - 1)",
		"UPDATE deployments SET transitions = '['",
		"UPDATE observed SET observed_at = 'yesterday'",
	} {
		_, err := conn.Exec(ctx, sql)
		must(t, err)
	}
	must(t, conn.Close())

	s = open(t, path)
	for _, read := range []func() error{
		func() error { _, err := s.Bundle(ctx, "bundle"); return err },
		func() error { _, err := s.Deployments(ctx, "acme", 0); return err },
		func() error { _, err := s.Observed(ctx); return err },
		func() error { _, _, err := s.ObservedOf(ctx, "acme"); return err },
	} {
		err := read()
		if !errors.Is(err, database.ErrCorrupt) || !strings.Contains(err.Error(), "reconciler state rebuild") {
			t.Errorf("got %v, want ErrCorrupt and the next step", err)
		}
	}
}

func TestFilesSetAsideAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first := written(t, path)
	setAside(t, path, path+".broken-1", first)
	second := written(t, path)
	setAside(t, path, path+".broken-2", second)
	got, err := os.ReadFile(path + ".broken-1")
	must(t, err)
	if !bytes.Equal(got, first) {
		t.Error("the first file has changed")
	}
	if _, err := state.SetAside(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v, want ErrNotExist", err)
	}
}

// SetAside may die between the file and its log.
func TestLogLeftBehindIsNotReadIntoANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	killAfter(t, child(t, "write", path), 20)
	must(t, os.Rename(path, path+".broken-1"))
	left, err := os.ReadFile(path + "-wal")
	must(t, err)
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() == 0 {
		t.Fatalf("the writer left no log: %v", err)
	}
	s := open(t, path)
	list, err := s.Deployments(t.Context(), "acme", 0)
	must(t, err)
	if len(list) > 0 {
		t.Errorf("got %d deployments from the log of another file", len(list))
	}
	if kept, err := os.ReadFile(path + ".broken-2-wal"); err != nil || !bytes.Equal(kept, left) {
		t.Errorf("got %d bytes and error %v, want the log as it was", len(kept), err)
	}
}

// written fills a store, closes it and returns its file.
func written(t *testing.T, path string) []byte {
	t.Helper()
	s := open(t, path)
	for n := range 40 {
		must(t, s.SaveDeployment(t.Context(), deployment("acme", n, protocol.DeployReady)))
	}
	must(t, s.SaveObserved(t.Context(), observation("acme", "")))
	must(t, s.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

// readAll opens the store and reads what written has put there.
func readAll(t *testing.T, path string) error {
	s, err := state.Open(t.Context(), path, state.Options{})
	if err != nil {
		return err
	}
	_, listed := s.Deployments(t.Context(), "acme", 0)
	_, observed := s.Observed(t.Context())
	must(t, s.Close())
	return errors.Join(listed, observed)
}

// setAside sets the file aside and begins a new one.
func setAside(t *testing.T, path, aside string, content []byte) {
	t.Helper()
	got, err := state.SetAside(path)
	must(t, err)
	if got != aside {
		t.Errorf("set aside as %s, want %s", got, aside)
	}
	kept, err := os.ReadFile(aside)
	must(t, err)
	if !bytes.Equal(kept, content) {
		t.Error("the file set aside is not the one that was there")
	}
	s := open(t, path)
	list, err := s.Deployments(t.Context(), "acme", 0)
	must(t, err)
	if len(list) > 0 {
		t.Errorf("got %d deployments in a new file", len(list))
	}
	must(t, s.Close())
}

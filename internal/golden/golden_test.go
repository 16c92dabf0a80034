package golden_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/golden"
)

func TestEqual(t *testing.T) {
	setUpdate(t, "false")
	path := filepath.Join(t.TempDir(), "deep", "plan.golden")

	t.Run("a missing file fails and says how to write it", func(t *testing.T) {
		if got := equal(t, path, "one\n"); !strings.Contains(got, "make golden") {
			t.Errorf("failure is %q", got)
		}
	})
	t.Run("update writes the file and its directory", func(t *testing.T) {
		setUpdate(t, "true")
		if got := equal(t, path, "one\n"); got != "" {
			t.Fatal(got)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "one\n" {
			t.Fatalf("file holds %q, %v", text, err)
		}
	})
	t.Run("the same text passes", func(t *testing.T) {
		if got := equal(t, path, "one\n"); got != "" {
			t.Error(got)
		}
	})
	t.Run("another text fails and names the file", func(t *testing.T) {
		if got := equal(t, path, "two\n"); !strings.Contains(got, path) {
			t.Errorf("failure is %q", got)
		}
	})
}

// setUpdate gives -update a value until the test has ended.
func setUpdate(t *testing.T, value string) {
	t.Helper()
	before := flag.Lookup("update").Value.String()
	if err := flag.Set("update", value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("update", before) })
}

// recorder is a testing.TB that keeps a failure instead of failing.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }

// equal returns the failure that golden.Equal reported, empty when it passed.
// It runs in a goroutine of its own, which Fatalf ends.
func equal(t *testing.T, path, got string) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		golden.Equal(r, path, got)
	}()
	<-done
	return r.failure
}

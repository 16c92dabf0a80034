package libsql_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

// created is how most tests open a file: made when it is missing.
var created = libsql.Options{Create: true}

func open(t testing.TB, path string, o libsql.Options) *libsql.Conn {
	t.Helper()
	c, err := libsql.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

func memory(t testing.TB) *libsql.Conn {
	t.Helper()
	c, err := libsql.OpenMemory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

func closed(t testing.TB, c *libsql.Conn) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func exec1(t testing.TB, c database.Conn, sql string, args ...any) int64 {
	t.Helper()
	n, err := c.Exec(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func query(t testing.TB, c database.Conn, sql string, args ...any) [][]any {
	t.Helper()
	rows, err := c.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows.Values
}

// answers checks the whole answer to a query.
func answers(t testing.TB, c database.Conn, sql string, want ...[]any) {
	t.Helper()
	if diff := cmp.Diff(want, query(t, c, sql)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", sql, diff)
	}
}

// file names a database file in a new directory.
func file(t testing.TB) string {
	return filepath.Join(t.TempDir(), "tenant.db")
}

const childTest = "LIBSQL_CHILD_TEST"

// isChild reports whether this process was started to run this test's part for
// a child.
func isChild(t *testing.T) bool { return os.Getenv(childTest) == t.Name() }

// child prepares this test binary to run this test once more in a process of
// its own, in which isChild is true.
func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(append(os.Environ(), childTest+"="+t.Name()), env...)
	return cmd
}

// inChild runs this test once more in a child that becomes what the options
// say, and reports whether this process is that child. A test body that
// follows it runs in the child alone.
func inChild(t *testing.T, attributes *syscall.SysProcAttr, become func(*testing.T)) bool {
	t.Helper()
	if isChild(t) {
		become(t)
		return true
	}
	cmd := child(t)
	cmd.SysProcAttr = attributes
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		t.Fatalf("in a child: %v\n%s", err, output.Bytes())
	}
	return false
}

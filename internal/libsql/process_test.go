package libsql_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/libsql"
)

const (
	holderPath = "LIBSQL_HOLDER_PATH"
	holderSQL  = "LIBSQL_HOLDER_SQL" // one statement a line
	holderWAL  = "LIBSQL_HOLDER_WAL"
	holderThen = "LIBSQL_HOLDER_THEN" // the same, before it ends
)

// TestMain lets this binary be another process that holds a database.
func TestMain(m *testing.M) {
	if path := os.Getenv(holderPath); path != "" {
		if err := hold(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(firstOpens) != "" {
		if err := openAtOnce(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// firstOpens makes this binary a process whose first connections are opened
// by several goroutines at once.
const firstOpens = "LIBSQL_FIRST_OPENS"

func openAtOnce() error {
	start, results := make(chan struct{}), make(chan error)
	const openers = 8
	for range openers {
		go func() {
			<-start
			c, err := libsql.OpenMemory(context.Background())
			if err == nil {
				err = c.Close()
			}
			results <- err
		}()
	}
	close(start)
	var all error
	for range openers {
		all = errors.Join(all, <-results)
	}
	return all
}

// The engine starts once, whoever comes first: without that about one process
// in fifty crashed here.
func TestFirstConnectionsOfAProcess(t *testing.T) {
	for range 100 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), firstOpens+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%.2000s", err, out)
		}
	}
}

// hold runs the statements, says so and keeps the connection as it is until
// its standard input ends.
func hold(path string) error {
	c, err := libsql.Open(context.Background(), path, libsql.Options{Create: true, WAL: os.Getenv(holderWAL) != ""})
	if err != nil {
		return err
	}
	for sql := range strings.Lines(os.Getenv(holderSQL)) {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	fmt.Println("holding")
	_, _ = os.Stdin.Read(make([]byte, 1)) // the end of input is what it waits for
	for sql := range strings.Lines(os.Getenv(holderThen)) {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return c.Close()
}

// holder is another process that has a connection.
type holder struct {
	cmd *exec.Cmd
	end func() error // lets it close the connection and end
}

func startHolder(t *testing.T, path string, wal bool, statements ...string) holder {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), holderPath+"="+path, holderSQL+"="+strings.Join(statements, "\n"))
	if wal {
		cmd.Env = append(cmd.Env, holderWAL+"=1")
	}
	input, inputErr := cmd.StdinPipe()
	output, outputErr := cmd.StdoutPipe()
	if err := errors.Join(inputErr, outputErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(output).ReadString('\n')
	if line != "holding\n" {
		t.Fatalf("the other process said %q", line)
	}
	return holder{cmd: cmd, end: func() error { return errors.Join(input.Close(), cmd.Wait()) }}
}

var journals = map[string]bool{"with a journal": false, "with a log": true}

func TestAnotherProcessHoldsTheFile(t *testing.T) {
	for name, wal := range journals {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			other := startHolder(t, path, wal, "CREATE TABLE t (a)", "BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)")
			c := open(t, path, libsql.Options{BusyTimeout: 20 * time.Millisecond})
			if _, err := c.Exec(t.Context(), "BEGIN IMMEDIATE"); !errors.Is(err, database.ErrBusy) {
				t.Errorf("got %v, want ErrBusy", err)
			}
			answers(t, c, "SELECT * FROM t") // what was committed
			if err := other.end(); err != nil {
				t.Fatal(err)
			}
			exec1(t, c, "INSERT INTO t VALUES (2)")
			answers(t, c, "SELECT * FROM t", []any{int64(2)})
		})
	}
	t.Run("exclusively", func(t *testing.T) {
		path := file(t)
		other := startHolder(t, path, false, "CREATE TABLE t (a)", "BEGIN EXCLUSIVE")
		_, err := libsql.Open(t.Context(), path, libsql.Options{BusyTimeout: 20 * time.Millisecond})
		if !errors.Is(err, database.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		if err := other.end(); err != nil {
			t.Fatal(err)
		}
		answers(t, open(t, path, libsql.Options{}), "SELECT * FROM t")
	})
}

// TestCrash kills a process at each point of a file's life. Whoever opens the
// file next finds what was committed.
func TestCrash(t *testing.T) {
	const many = "INSERT INTO t WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT randomblob(5000) FROM n"
	points := map[string]struct {
		statements []string
		want       [][]any // the tables and the number of their rows
	}{
		"after Open": {nil, nil},
		"in a first transaction": {
			statements: []string{"BEGIN IMMEDIATE", "CREATE TABLE t (a)"},
		},
		"in a transaction that was written to the file": {
			statements: []string{"CREATE TABLE t (a)", "PRAGMA cache_size = 1", "BEGIN IMMEDIATE", many},
			want:       [][]any{{"t", int64(0)}},
		},
		"after a commit": {
			statements: []string{"BEGIN IMMEDIATE", "CREATE TABLE t (a)", many, "COMMIT"},
			want:       [][]any{{"t", int64(200)}},
		},
	}
	for journal, wal := range journals {
		for name, point := range points {
			t.Run(name+" "+journal, func(t *testing.T) {
				path := file(t)
				other := startHolder(t, path, wal, point.statements...)
				if err := other.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = other.cmd.Wait() // says that it was killed
				c := open(t, path, libsql.Options{})
				answers(t, c, "PRAGMA integrity_check", []any{"ok"})
				var got [][]any
				for _, table := range query(t, c, "SELECT name FROM sqlite_master") {
					got = append(got, append(table, query(t, c, "SELECT count(*) FROM t")[0]...))
				}
				if diff := cmp.Diff(point.want, got); diff != "" {
					t.Errorf("tables and rows (-want +got):\n%s", diff)
				}
			})
		}
	}
}

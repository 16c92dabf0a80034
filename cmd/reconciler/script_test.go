package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenantops/reconciler/internal/golden"
	"github.com/tenantops/reconciler/internal/libsql"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"reconciler": main, "measured": measured})
}

// TestScripts runs the stories in testdata/script with the program as it is
// shipped. They know these commands beside those of testscript:
//
//	commit DIR MESSAGE   commits what DIR holds, making a repository of it first
//	masked FILE          writes FILE (or stdout, stderr) to "masked", with ids,
//	                     times and durations, which differ each time, masked
//	masked FILE hashes   masks commits and digests as well, where the content
//	                     may change without the story
//	capture NAME PATTERN sets a variable to what the pattern's group matched in stdout
//	exits CODE ARG...    runs reconciler ARG..., which must end with CODE
//	sql DB STATEMENT     runs a statement on a database file and prints its rows
//	daemon ARG...        starts reconciler run in the background
//	expect PATTERN       waits for a line of the daemon's log
//	interrupt            sends the daemon SIGINT and expects it to end well
//	crash                ends the daemon without telling it; another may be started
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       golden.Update(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for key, value := range map[string]string{
				"EXAMPLES": examples, "TZ": "UTC",
				"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
				"GIT_AUTHOR_NAME": "Mira Sand", "GIT_AUTHOR_EMAIL": "mira@example.com",
				"GIT_COMMITTER_NAME": "Mira Sand", "GIT_COMMITTER_EMAIL": "mira@example.com",
				"GIT_AUTHOR_DATE": "2025-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2025-01-02T03:04:05Z",
			} {
				env.Setenv(key, value)
			}
			env.Values[daemonKey{}] = &daemon{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"commit": commit, "masked": masked, "capture": capture, "exits": exits, "sql": sql,
			"daemon": startDaemon, "expect": expect, "interrupt": interrupt, "crash": crash,
		},
	})
}

// commit makes one commit of everything in a directory.
func commit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: commit DIR MESSAGE")
	}
	dir := ts.MkAbs(args[0])
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		ts.Check(ts.Exec("git", "init", "-q", "-b", "main", dir))
	}
	ts.Check(ts.Exec("git", "-C", dir, "add", "-A"))
	ts.Check(ts.Exec("git", "-C", dir, "commit", "-q", "--allow-empty", "-m", args[1]))
}

// capture keeps a digest or an id for the rest of the script.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("stdout has nothing that matches %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// exits runs the program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	code := 0
	if err := ts.Exec("reconciler", args[1:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("got exit code %d, want %s", code, args[0])
	}
}

// sql runs a statement and prints a line for each row, values parted by |.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sql DB STATEMENT...")
	}
	conn, err := libsql.Open(context.Background(), ts.MkAbs(args[0]), libsql.Options{Create: true})
	ts.Check(err)
	defer conn.Close()
	for _, statement := range args[1:] {
		rows, err := conn.Query(context.Background(), statement)
		ts.Check(err)
		for _, row := range rows.Values {
			texts := make([]string, len(row))
			for i, value := range row {
				texts[i] = fmt.Sprint(value)
			}
			fmt.Fprintln(ts.Stdout(), strings.Join(texts, "|"))
		}
	}
}

// What differs from run to run, and what stands for it.
var masks = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?`), "TIME"},
	{regexp.MustCompile(`("?[a-zA-Z]*(Ms|_ms)"?: )[0-9.]+`), "${1}MS"},
	{regexp.MustCompile(`"statementMs": \[[^\]]*\]`), `"statementMs": MS`},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`), "DURATION"},
	{regexp.MustCompile(`\b[0-9]+ KiB\b|("sizeBytes": )[0-9]+`), "${1}SIZE"},
}

// masked copies a file with everything masked that differs from run to run.
func masked(ts *testscript.TestScript, neg bool, args []string) {
	hashes := len(args) == 2 && args[1] == "hashes"
	if neg || len(args) != 1 && !hashes {
		ts.Fatalf("usage: masked FILE [hashes]")
	}
	text := ts.ReadFile(args[0])
	for _, m := range masks {
		text = m.pattern.ReplaceAllString(text, m.mask)
	}
	if hashes { // after ids, which end like one
		text = regexp.MustCompile(`\b([0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64})\b`).ReplaceAllString(text, "HASH")
	}
	text = strings.ReplaceAll(text, ts.MkAbs("."), "WORK")
	text = regexp.MustCompile(` *\b(ID|TIME|DURATION)\b *`).ReplaceAllString(text, " $1 ") // columns are as wide as their values
	text = regexp.MustCompile(`(\S) {2,}`).ReplaceAllString(text, "$1  ")
	ts.Check(os.WriteFile(ts.MkAbs("masked"), []byte(text), 0o666))
}

// daemon is a reconciler that runs in the background.
type daemon struct {
	process *exec.Cmd
	log     *bufio.Scanner
	seen    bytes.Buffer // of the log so far
}

type daemonKey struct{}

func startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	if neg || d.process != nil {
		ts.Fatalf("usage: daemon ARG..., one at a time")
	}
	path, err := exec.LookPath("reconciler")
	ts.Check(err)
	d.process = exec.Command(path, append([]string{"run"}, args...)...)
	d.process.Dir = ts.MkAbs(".")
	d.process.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	stderr, err := d.process.StderrPipe()
	ts.Check(err)
	d.log = bufio.NewScanner(stderr)
	ts.Check(d.process.Start())
	process := d.process
	ts.Defer(func() {
		_ = process.Process.Kill() // it has ended, unless the script has failed
		_, _ = io.Copy(io.Discard, stderr)
		_ = process.Wait()
		ts.Logf("[daemon]\n%s", d.seen.String())
	})
}

// expect reads the daemon's log until each pattern has matched a line. They come
// in any order: a request wakes the daemon, which may tell of what follows from
// it before it tells of the request.
func expect(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	if neg || len(args) == 0 || d.process == nil {
		ts.Fatalf("usage: daemon ARG..., then expect PATTERN...")
	}
	var left []*regexp.Regexp
	for _, pattern := range args {
		left = append(left, regexp.MustCompile(pattern))
	}
	for len(left) > 0 && d.log.Scan() {
		d.seen.WriteString(d.log.Text() + "\n")
		left = slices.DeleteFunc(left, func(pattern *regexp.Regexp) bool { return pattern.MatchString(d.log.Text()) })
	}
	if len(left) > 0 {
		ts.Fatalf("the daemon ended without logging %s", left)
	}
}

// interrupt ends the daemon as Ctrl-C does.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	if neg || len(args) > 0 || d.process == nil {
		ts.Fatalf("usage: daemon ARG..., then interrupt")
	}
	ts.Check(d.process.Process.Signal(syscall.SIGINT))
	for d.log.Scan() {
		d.seen.WriteString(d.log.Text() + "\n")
	}
	if err := d.process.Wait(); err != nil {
		ts.Fatalf("the daemon ended badly: %v", err)
	}
	if !strings.Contains(d.seen.String(), "daemon stopped") {
		ts.Fatalf("the daemon did not say that it stopped")
	}
}

// crash ends the daemon without telling it.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	if neg || len(args) > 0 || d.process == nil {
		ts.Fatalf("usage: daemon ARG..., then crash")
	}
	ts.Check(d.process.Process.Kill())
	for d.log.Scan() {
		d.seen.WriteString(d.log.Text() + "\n")
	}
	if err := d.process.Wait(); err == nil {
		ts.Fatalf("the daemon had ended before it was killed")
	}
	d.process = nil
}

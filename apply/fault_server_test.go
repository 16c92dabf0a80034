package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

// The same on a libSQL server, where most deployments are one batch: at each
// statement of it, and at each request, with each fault of a network. What is
// there before and after is what a file has. FAULT_ALL has every kind of plan.
func TestFaultsOnServer(t *testing.T) {
	tries := &tally{}
	for _, s := range stories {
		if !everywhere && s.name != "rebuild" && s.name != "load seeds again" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Cleanup(sqldtest.Renew)
			x := newServerTrial(t, s)
			defer x.tries.Wait()
			for _, f := range faults {
				if f.server {
					x.strike(f, tries)
				}
			}
			x.cut(tries)
			x.killOnServer(tries)
		})
	}
	t.Logf("\n%s", tries)
}

// newServerTrial starts a story on a server, whose dumps have to be those of a
// file.
func newServerTrial(t *testing.T, s story) *trial {
	t.Helper()
	inFile := newTrial(t, s, true)
	x := &trial{t: t, story: s, server: s.start(t, databasetest.Server).place, tries: databasetest.NewTries(t, databasetest.Server)}
	x.undisturbed()
	if x.plan.Digest != inFile.plan.Digest {
		t.Errorf("the plan is %.12s, that of a file %.12s", x.plan.Digest, inFile.plan.Digest)
	}
	for i, dumps := range [][2]string{{x.before, inFile.before}, {x.after, inFile.after}} {
		want, _, _ := strings.Cut(dumps[1], "-- PRAGMA integrity_check\n")
		expect(t, masked(dumps[0]), masked(want))
		if t.Failed() {
			t.Fatal([]string{"before", "after"}[i])
		}
	}
	return x
}

// through opens the tenant of a place by way of an address.
func (x *trial) through(dir, address string) database.Conn {
	x.t.Helper()
	conn, err := databasetest.In(x.t, dir).Through(x.t.Context(), "tenant", address)
	if err != nil {
		x.t.Fatal(err)
	}
	return conn
}

var networkFaults = []struct {
	name  string
	fault sqldtest.Fault
}{
	{"answer dropped", sqldtest.Drop},
	{"refused", sqldtest.Refuse},
	{"502 after it was done", sqldtest.Lost},
	{"half an answer", sqldtest.Broken},
	{"spurious 404", sqldtest.Missing},
	{"503", sqldtest.Unavailable},
	{"expired", sqldtest.Expired},
}

const killedOnServer = "killed before and after the server has done it"

// cut lets each request of a deployment, alone and with all that follow, meet
// each fault of a network.
func (x *trial) cut(tries *tally) {
	x.t.Helper()
	for _, n := range x.requests() {
		for i, f := range networkFaults {
			if i >= 2 && x.chatty() && !everywhere {
				break
			}
			for _, lasts := range []bool{false, true} {
				if !everywhere && lasts != (i%2 == 0) {
					continue
				}
				x.try(f.name, fmt.Sprintf("request %d, lasts %v", n, lasts), tries, func(x *trial, path string) error {
					var struck atomic.Bool
					proxy := sqldtest.Start(x.t).Proxy(x.t, func(i int, _ *http.Request, body string) sqldtest.Fault {
						if struck.Load() && lasts || strikes(n, i, body) && struck.CompareAndSwap(false, true) {
							return f.fault
						}
						return sqldtest.None
					})
					conn := x.through(path, proxy.URL)
					return errors.Join(x.deploy(count(conn)), conn.Close())
				})
			}
		}
	}
}

// chatty tells that the deployment is a transaction over many requests. What is
// lost in it leaves a lock on the server, which the next deployment waits for, for
// seconds, until the server takes it away.
func (x *trial) chatty() bool { return len(x.story.sets) > 0 || x.story.back > 0 }

// commits is the request that ends a deployment, in place of its number: servers
// answer 404 now and then, and that makes one request more.
const commits = -1

func strikes(n, i int, body string) bool {
	return n == i || n == commits && strings.Contains(body, "COMMIT")
}

// requests are those of a clean deployment that are tried: all, or of many the
// one that commits.
func (x *trial) requests() []int {
	x.t.Helper()
	proxy := sqldtest.Start(x.t).Proxy(x.t, func(int, *http.Request, string) sqldtest.Fault { return sqldtest.None })
	conn := x.through(x.file(), proxy.URL)
	if err := x.deploy(count(conn)); err != nil {
		x.t.Fatal(err)
	}
	all := proxy.Requests()
	x.close(conn)
	if x.chatty() && !everywhere {
		return []int{commits}
	}
	var tried []int
	for n := range all - 1 {
		tried = append(tried, n)
	}
	return append(tried, commits)
}

// killOnServer kills the process of a deployment while a request is on its way to
// the server, and while the answer is on its way back.
func (x *trial) killOnServer(tries *tally) {
	x.t.Helper()
	k := killing{Plan: filepath.Join(x.t.TempDir(), "plan.json"), Back: x.story.back}
	body, err := x.plan.Encode()
	if err := errors.Join(err, os.WriteFile(k.Plan, body, 0o600)); err != nil {
		x.t.Fatal(err)
	}
	for _, n := range x.requests() {
		for _, done := range []bool{false, true} {
			x.try(killedOnServer, fmt.Sprintf("request %d, done %v", n, done), tries, func(x *trial, path string) error {
				return k.onServer(x.t, path, n, done)
			})
		}
	}
}

// onServer lets a child deploy to a server, and kills it at a request.
func (k killing) onServer(t *testing.T, path string, request int, done bool) error {
	var child *exec.Cmd
	running := make(chan struct{})
	kill := func() {
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	proxy := sqldtest.Start(t).Proxy(t, func(i int, _ *http.Request, body string) sqldtest.Fault {
		<-running
		switch {
		case !strikes(request, i, body):
			return sqldtest.None
		case done:
			return sqldtest.Hold
		}
		kill()
		return sqldtest.Refuse
	})
	proxy.Held = kill
	k.Path, k.Address = path, proxy.URL
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	var out strings.Builder
	child = exec.Command(os.Args[0], "-test.run=^TestKilledInChild$")
	child.Env = append(os.Environ(), killedAt+"="+string(text))
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		return err
	}
	close(running)
	err = child.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		return fmt.Errorf("the child was not killed: %w\n%s", err, out.String())
	}
	return errUnknown
}

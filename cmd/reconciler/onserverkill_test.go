package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/databasetest"
	"github.com/tenantops/reconciler/internal/sqldtest"
)

// killer stands between daemons and their server, and kills one with SIGKILL at
// a request: while it is on its way, or while the answer to it is.
type killer struct {
	*onServer
	mu      sync.Mutex
	mark    string // of the requests that count
	left    int    // of them until the kill; 0 when nothing is to happen
	held    bool   // the server carries the request out
	running chan struct{}
	daemon  *runs
}

// kills puts a killer before the server of an installation.
func (x *onServer) kills(mark string) *killer {
	x.t.Helper()
	k := &killer{onServer: x, mark: mark}
	proxy := x.server.Proxy(x.t, k.choose)
	proxy.Held = k.kill
	config, err := os.ReadFile(x.path("reconciler.yaml"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.write("reconciler.yaml", strings.ReplaceAll(string(config), x.server.URL, proxy.URL))
	return k
}

func (k *killer) choose(_ int, _ *http.Request, body string) sqldtest.Fault {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left == 0 || !strings.Contains(body, k.mark) {
		return sqldtest.None
	}
	if k.left--; k.left > 0 {
		return sqldtest.None
	}
	if k.held {
		return sqldtest.Hold
	}
	k.kill()
	return sqldtest.Refuse
}

func (k *killer) kill() {
	<-k.running
	if err := k.daemon.command.Process.Kill(); err != nil {
		k.t.Error(err)
	}
}

// start runs a daemon that dies at the n-th request with the mark, 0 for never.
func (k *killer) start(n int, held bool) *runs {
	k.t.Helper()
	k.mu.Lock()
	k.left, k.held, k.running = n, held, make(chan struct{})
	k.mu.Unlock()
	k.daemon = runDaemon(k.t, "--config", k.path("reconciler.yaml"), "--poll", "1s", "--log-format", "json")
	close(k.running)
	k.daemon.drain()
	return k.daemon
}

// dies runs a daemon until it is killed.
func (k *killer) dies(n int, held bool) {
	k.t.Helper()
	d := k.start(n, held)
	select {
	case <-d.drained:
	case <-time.After(longest):
		k.t.Fatal("the daemon came to no request at which it is killed")
	}
	_ = d.command.Wait() // it says that it was killed
	if d.command.ProcessState.Success() {
		k.t.Error("the daemon ended by itself")
	}
}

const longest = 5 * time.Minute // that a daemon may take for what takes seconds, on a busy machine

// deployments waits until each tenant has so many in history, ends the daemon,
// and makes sure that they are those of the journal.
func (k *killer) deployments(d *runs, n int) {
	k.t.Helper()
	tenants := []string{"named", "placed"}
	deadline := time.Now().Add(longest)
	for _, tenant := range tenants {
		for k.ready(tenant) < n {
			if time.Now().After(deadline) {
				k.t.Fatalf("%s has not got %d deployments", tenant, n)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	if code := d.end(func() {}); code != 0 {
		k.t.Errorf("the daemon ended with %d", code)
	}
	k.call(0, "Succeeded: 2 tenants", "sync")
	k.call(0, "0 of 2 tenants drifted", "drift")
	for _, tenant := range tenants {
		if got := k.ready(tenant); got != n {
			k.t.Errorf("%s has %d deployments in history, want %d", tenant, got, n)
		}
		journal := k.ask(tenant, "SELECT group_concat(deployment, ' ') FROM _reconciler_journal").(string)
		if got := strings.Fields(journal); len(got) != n {
			k.t.Errorf("%s has %d deployments in its journal, want %d", tenant, len(got), n)
		}
		for id := range strings.FieldsSeq(journal) {
			k.call(0, "ready", "show", id)
		}
	}
}

// ready is how many deployments of a tenant history has that succeeded.
func (k *killer) ready(tenant string) int {
	k.t.Helper()
	var out, log bytes.Buffer
	if code := run(k.t.Context(), []string{"history", tenant, "--config", k.path("reconciler.yaml")}, &out, &log); code != 0 {
		k.t.Fatalf("history %s: %d %s", tenant, code, log.String())
	}
	return strings.Count(out.String(), "ready")
}

// A daemon is killed before a server has seen a deployment, and another one when
// the server has carried it out and the answer is on its way. The third finds in
// the journals what was done, does the rest, and nothing twice.
func TestDaemonKilledInADeployment(t *testing.T) {
	x := startOnServer(t)
	x.call(0, "placed", "sync")
	push(t, x.path("repo"), map[string]string{"apps/shop/objects/customer.yaml": shopObject + "  phone: {type: text}\n"})
	k := x.kills("COMMIT")
	k.dies(1, false)
	k.dies(1, true)
	done := 0
	for _, tenant := range []string{"placed", "named"} {
		done += int(x.ask(tenant, countPhone).(int64))
	}
	if done == 0 {
		t.Error("the server has carried nothing out")
	}
	k.deployments(k.start(0, false), 2)
	for _, tenant := range []string{"placed", "named"} {
		if got := x.ask(tenant, countPhone); got != int64(1) {
			t.Errorf("%s has %v columns of the name phone, want 1", tenant, got)
		}
	}
}

// A field of a large table changes its type, on a server, while an application
// writes to it. The daemon is killed four times in the backfill. In the end every
// row is right, the deployment was made once, and no writer waited for long.
// BACKFILL_ROWS=2000000 is a table of some size.
func TestDaemonKilledInABackfill(t *testing.T) {
	rows, batches := 20_000, 2
	if text := os.Getenv("BACKFILL_ROWS"); text != "" {
		rows, _ = strconv.Atoi(text)
		batches = 8
	}
	x := startOnServer(t)
	sized := func(kind string) map[string]string {
		return map[string]string{
			"fleet.yaml":                      fmt.Sprintf("policy: {narrowing: allow}\nmaxLock: {remote: %dms}\n", min(3000, rows/1000+3)),
			"apps/shop/objects/customer.yaml": shopObject + "  size: {type: " + kind + "}\n",
		}
	}
	push(t, x.path("repo"), sized("text"))
	x.call(0, "placed", "sync")
	shop := &databasetest.Writer{Conn: x.open("named"), Table: "customer", Text: "name", Value: "size", Rows: rows}
	shop.Load(t)
	push(t, x.path("repo"), sized("number"))
	stop := shop.Start(t.Context())
	k, start := x.kills("UPDATE _reconciler_fill SET upto"), time.Now()
	for life := range 4 {
		k.dies(batches, life%2 == 1)
		if done := x.ask("named", "SELECT done FROM _reconciler_fill"); done == any(int64(0)) {
			t.Errorf("life %d has filled nothing", life)
		}
	}
	k.deployments(k.start(0, false), 2)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows, %d writes meanwhile, the longest took %v; %v in all", rows, shop.Writes, shop.Longest, time.Since(start))
	if shop.Longest > 5*time.Second {
		t.Errorf("the application waited for %v", shop.Longest)
	}
	shop.Compare(t)
}

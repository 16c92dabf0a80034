package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/internal/libsql"
	"github.com/tenantops/reconciler/notify"
)

// company is a repository with one tenant, in a directory of its own.
func company(t *testing.T) (dir string) {
	t.Helper()
	dir = gittest.Init(t)
	push(t, dir, map[string]string{
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n",
		"tenants/acme/tenant.yaml":        "id: acme\nname: Acme\napps: [{name: shop}]\n",
	})
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return gittest.Run(t, dir, args...)
}

func push(t *testing.T, dir string, content map[string]string) {
	t.Helper()
	gittest.Commit(t, dir, "change", content)
}

// runs is a daemon in a process of its own.
type runs struct {
	t       *testing.T
	command *exec.Cmd
	log     *bufio.Scanner
	seen    bytes.Buffer
	drained chan struct{} // closed when drain has read all; nil without it
}

func runDaemon(t *testing.T, args ...string) *runs {
	t.Helper()
	path, err := exec.LookPath("reconciler")
	if err != nil {
		t.Fatal(err)
	}
	d := &runs{t: t, command: exec.Command(path, append([]string{"run"}, args...)...)}
	stderr, err := d.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.log = bufio.NewScanner(stderr)
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.command.Process.Kill() // it has ended, unless the test has failed
		if d.drained != nil {
			<-d.drained
		}
		_ = d.command.Wait()
		if t.Failed() {
			t.Logf("the daemon logged:\n%s", d.seen.String())
		}
	})
	return d
}

// line waits for a line of the log with a message.
func (d *runs) line(message string) map[string]any {
	d.t.Helper()
	for d.log.Scan() {
		d.seen.WriteString(d.log.Text() + "\n")
		var line map[string]any
		if err := json.Unmarshal(d.log.Bytes(), &line); err == nil && line["msg"] == message {
			return line
		}
	}
	d.t.Fatalf("the daemon ended without logging %q", message)
	return nil
}

// drain reads the log from now on: a daemon waits for who does not read it.
func (d *runs) drain() {
	d.drained = make(chan struct{})
	go func() {
		defer close(d.drained)
		for d.log.Scan() {
			d.seen.WriteString(d.log.Text() + "\n")
		}
	}()
}

// end sends SIGTERM, and returns the exit code after the rest of the log.
func (d *runs) end(between func()) int {
	d.t.Helper()
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	between()
	if d.drained != nil {
		<-d.drained
	}
	for d.log.Scan() {
		d.seen.WriteString(d.log.Text() + "\n")
	}
	_ = d.command.Wait() // the code says it
	return d.command.ProcessState.ExitCode()
}

// A daemon as an operator runs it: a push is told of by a webhook, health and
// metrics are there, the git host goes away and comes back, and somebody is
// told.
func TestOperations(t *testing.T) {
	dir := company(t)
	var up atomic.Bool
	up.Store(true)
	host := hostOf(t, dir, &up)
	told := make(chan string, 100)
	pager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Reconciler-Signature") != "sha256="+macOf("pager", string(body)) {
			t.Errorf("a notification is not signed: %v", r.Header)
		}
		var e notify.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		told <- string(e.Kind)
	}))
	defer pager.Close()
	work := t.TempDir()
	t.Chdir(work) // the path of a socket is short
	for name, text := range map[string]string{
		"secrets/token": "t0ken", "secrets/hook": "h00k", "secrets/pager": "pager",
		"reconciler.yaml": fmt.Sprintf("repo: %s\ndata: data\npoll: 1h\nsecretsDir: secrets\n"+
			"server: {listen: 127.0.0.1:0, token: $file:token, webhook: {secret: $file:hook}, metrics: {access: open}}\n"+
			"notify: [{name: pager, url: %s, secret: $file:pager}]\n", host, pager.URL),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := runDaemon(t)
	root := "http://" + d.line("api served")["address"].(string)
	d.line("pass completed")
	pushes := 0
	hook := func() int {
		pushes++
		body := fmt.Sprintf(`{"ref":"refs/heads/main","after":"%d"}`, pushes)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, root+"/webhook", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-GitHub-Event", "push")
		request.Header.Set("X-Hub-Signature-256", "sha256="+macOf("h00k", body))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}

	push(t, dir, map[string]string{"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n  phone: {type: phone}\n"})
	if status := hook(); status != http.StatusAccepted {
		t.Fatalf("webhook: got %d", status)
	}
	d.line("plan applied")
	d.line("pass completed")
	if status, _ := get(t, root+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: got %d", status)
	}

	up.Store(false)
	hook()
	d.line("repository away")
	if first, second := <-told, <-told; first != "rollout_finished" || second != "source_away" {
		t.Errorf("told of %s and %s", first, second)
	}
	for range 3 { // each is a pass at the commit before, or is one with it
		hook()
	}
	if status, _ := get(t, root+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz while the host is away: got %d", status)
	}
	status, metrics := get(t, root+"/metrics")
	for _, line := range []string{
		`reconciler_tenant_info{health_status="Healthy",sync_status="Synced"} 1`, `reconciler_source_up 0`,
		`reconciler_deployments_total{phase="ready"} 2`, `reconciler_webhooks_total{outcome="woken"} 5`,
	} {
		if status != http.StatusOK || !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics: got %d without %s", status, line)
		}
	}
	up.Store(true)
	hook()
	d.line("repository back")
	if kind := <-told; kind != "source_back" {
		t.Errorf("told of %s", kind)
	}
	if code := d.end(func() {}); code != 0 {
		t.Errorf("got exit code %d", code)
	}
	if n := strings.Count(d.seen.String(), "repository away"); n != 1 {
		t.Errorf("the log says %d times that the host is away", n)
	}
}

func macOf(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// hostOf serves a repository over HTTP while up is true.
func hostOf(t *testing.T, dir string, up *atomic.Bool) (url string) {
	t.Helper()
	backend := &cgi.Handler{
		Path: filepath.Join(git(t, dir, "--exec-path"), "git-http-backend"), Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/.git"
}

// SIGTERM lets the statement in flight finish, and no longer than the daemon
// was given; the tenant is what it was, or what it should be.
func TestShutdown(t *testing.T) {
	for name, test := range map[string]struct {
		timeout string
		waits   bool // until the statement has finished
		code    int
	}{
		"a statement that finishes in time": {timeout: "1m", waits: true},
		"a statement that takes too long":   {timeout: "100ms", code: exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			dir := company(t)
			t.Chdir(t.TempDir())
			d := runDaemon(t, "--repo", dir, "--data", "data", "--poll", "1h", "--shutdown-timeout", test.timeout)
			d.line("pass completed")
			other, err := libsql.Open(t.Context(), "data/tenants/acme.db", libsql.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if _, err := other.Exec(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			push(t, dir, map[string]string{"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n  phone: {type: phone}\n"})
			eventually(t, func() bool { return count(t, "SELECT count(*) FROM bundles") == "2" }, nil) // it waits for the lock now
			code := d.end(func() {
				if test.waits {
					if _, err := other.Exec(context.WithoutCancel(t.Context()), "ROLLBACK"); err != nil {
						t.Error(err)
					}
				}
			})
			if code != test.code {
				t.Errorf("got exit code %d, want %d", code, test.code)
			}
			if stopped := strings.Contains(d.seen.String(), "daemon stopped"); stopped != test.waits {
				t.Errorf("it stopped well: %v, want %v", stopped, test.waits)
			}
		})
	}
}

// eventually waits for a condition. Told says, of one that has not come true
// after a long time, what there is instead; it may be nil.
func eventually(t *testing.T, condition func() bool, told func() string) {
	t.Helper()
	for giveUp := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if !time.Now().After(giveUp) {
			continue
		}
		if told == nil {
			t.Fatal("waited in vain")
		}
		t.Fatalf("waited in vain: %s", told())
	}
}

// count is the first value of a query on the state of data.
func count(t *testing.T, sql string) string {
	t.Helper()
	conn, err := libsql.Open(t.Context(), "data/state.db", libsql.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rows.Values[0][0])
}

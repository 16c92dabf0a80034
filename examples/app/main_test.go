package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// TestMain lets this test binary be the application.
func TestMain(m *testing.M) {
	if os.Getenv("EXAMPLE_APP") == "" {
		os.Exit(m.Run())
	}
	main()
}

// company is a git repository, and what the reconciler made of it.
type company struct {
	*testing.T
	repo, data string
}

func (c *company) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// deploy commits files and brings the tenants to them.
func (c *company) deploy(files map[string]string) {
	c.Helper()
	for name, text := range files {
		path := filepath.Join(c.repo, name)
		c.must(os.MkdirAll(filepath.Dir(path), 0o755))
		c.must(os.WriteFile(path, []byte(text), 0o644))
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=Mira", "-c", "user.email=mira@trellis.example", "commit", "-q", "-m", "Change"},
	} {
		if output, err := exec.Command("git", append([]string{"-C", c.repo}, args...)...).CombinedOutput(); err != nil {
			c.Fatalf("git %v: %v\n%s", args, err, output)
		}
	}
	repo, err := gitrepo.Open(c.Context(), gitrepo.Config{URL: c.repo})
	c.must(err)
	defer repo.Close()
	store, err := state.Open(c.Context(), filepath.Join(c.data, "state.db"), state.Options{})
	c.must(err)
	defer store.Close()
	databases, err := tenantrouter.New(tenantrouter.Config{DataDir: c.data})
	c.must(err)
	report, err := reconcile.New(reconcile.Config{Repo: repo, Store: store, Router: databases}).Sync(c.Context(), reconcile.Selection{})
	c.must(err)
	if report.Status != state.Succeeded {
		c.Fatalf("the sync ended %s", report.Status)
	}
}

// start starts the application in a process of its own and returns its URL.
func (c *company) start() string {
	c.Helper()
	self, err := os.Executable()
	c.must(err)
	app := exec.Command(self, "--data", c.data, "--listen", "127.0.0.1:0")
	app.Env, app.Stderr = append(os.Environ(), "EXAMPLE_APP=1"), os.Stderr
	stdout, err := app.StdoutPipe()
	c.must(err)
	c.must(app.Start())
	c.Cleanup(func() {
		c.must(app.Process.Signal(syscall.SIGTERM))
		if err := app.Wait(); err != nil {
			c.Errorf("the application ended with %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	c.must(err)
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// ask sends a request of a tenant, with a body as a POST.
func (c *company) ask(ctx context.Context, url, tenant, body string) string {
	c.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	c.must(err)
	request.Host = tenant + ".localhost"
	response, err := http.DefaultClient.Do(request)
	c.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	c.must(err)
	return fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(text)))
}

func (c *company) want(got, want string) {
	c.Helper()
	if !strings.Contains(got, want) {
		c.Errorf("got %s, want %s", got, want)
	}
}

func tenant(id, more string) map[string]string {
	return map[string]string{"tenants/" + id + "/tenant.yaml": "id: " + id + "\nname: " + id + "\napps: [{name: crm}]\n" + more}
}

// Two tenants see their own accounts, and one that is suspended in git sees
// nothing a moment later.
func TestApp(t *testing.T) {
	c := &company{T: t, repo: t.TempDir(), data: t.TempDir()}
	c.deploy(map[string]string{
		"apps/crm/app.yaml":                    "name: crm\nlabel: CRM\nversion: 1.0.0\n",
		"apps/crm/objects/account.yaml":        "name: crm_account\nfields:\n  name: {type: text, required: true}\n",
		"tenants/harbor-legal/tenant.yaml":     tenant("harbor-legal", "")["tenants/harbor-legal/tenant.yaml"],
		"tenants/pro/fjord-cycles/tenant.yaml": tenant("fjord-cycles", "plan: pro\n")["tenants/fjord-cycles/tenant.yaml"],
	})
	url := c.start()
	c.want(c.ask(t.Context(), url, "fjord-cycles", ""), `"plan":"pro"`)
	c.want(c.ask(t.Context(), url+"/accounts", "fjord-cycles", `{"name": "Bergen Commuters"}`), `200 {"id":`)
	c.want(c.ask(t.Context(), url+"/accounts", "fjord-cycles", `{"name": ""}`), "400 send an account")
	c.want(c.ask(t.Context(), url+"/accounts", "fjord-cycles", ""), `"name":"Bergen Commuters"`)
	if got := c.ask(t.Context(), url+"/accounts", "harbor-legal", ""); got != "200 []" {
		t.Errorf("the other tenant got %s", got)
	}
	c.want(c.ask(t.Context(), url, "nobody", ""), `404 {"error":{"code":"unknown_tenant"`)
	c.deploy(tenant("harbor-legal", "provisioningStatus: suspended\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for strings.HasPrefix(c.ask(ctx, url+"/accounts", "harbor-legal", ""), "200") {
	}
	c.want(c.ask(t.Context(), url+"/accounts", "harbor-legal", ""), `403 {"error":{"code":"tenant_suspended"`)
	c.want(c.ask(t.Context(), url+"/accounts", "fjord-cycles", ""), `"name":"Bergen Commuters"`)
}

package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/provision"
	"github.com/tenantops/reconciler/reconcile"
	"github.com/tenantops/reconciler/server"
	"github.com/tenantops/reconciler/state"
	"github.com/tenantops/reconciler/tenantrouter"
)

// signUps answers by what the request says.
type signUps struct{ key string }

func (s *signUps) SignUp(_ context.Context, key string, r protocol.TenantProvisioningRequest) (protocol.TenantProvisioningResult, error) {
	s.key = key
	switch r.OrgID {
	case "":
		return protocol.TenantProvisioningResult{}, fmt.Errorf("%w: orgId: is missing", provision.ErrRequest)
	case "reused":
		return protocol.TenantProvisioningResult{}, provision.ErrKeyReused
	case "broken":
		return protocol.TenantProvisioningResult{}, errors.New("disk I/O error in /data/secret-place.db")
	case "failed":
		return protocol.TenantProvisioningResult{TenantID: "failed", Status: protocol.TenantFailed, Error: "disk full"}, nil
	}
	return protocol.TenantProvisioningResult{TenantID: protocol.TenantID(r.OrgID), Status: protocol.TenantActive}, nil
}

func TestSignUpAnswers(t *testing.T) {
	service := &signUps{}
	url := start(t, func(c *server.Config) { c.SignUps = service }) + "/api/v1/tenants"
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"orgId": "acme"}`:                {http.StatusCreated, ""},
		`{"orgId": "failed"}`:              {http.StatusAccepted, ""},
		`{"orgId": ""}`:                    {http.StatusBadRequest, "bad_request"},
		`{"orgId": "acme", "extra": true}`: {http.StatusBadRequest, "bad_request"},
		`{"orgId": "reused"}`:              {http.StatusUnprocessableEntity, "key_reused"},
		`{"orgId": "broken"}`:              {http.StatusInternalServerError, "internal"},
	} {
		status, answer, _ := ask(t, url, body, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") })
		code := ""
		if refused, ok := answer["error"].(map[string]any); ok {
			code, _ = refused["code"].(string)
		}
		if status != want.status || code != want.code {
			t.Errorf("%s: got %d %v, want %d %s", body, status, answer, want.status, want.code)
		}
	}
	if service.key != "k1" {
		t.Errorf("got key %q, want k1", service.key)
	}
	for name, spoil := range map[string]func(*http.Request){
		"no token":     func(r *http.Request) { r.Header.Del("Authorization") },
		"two keys":     func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} },
		"a long key":   func(r *http.Request) { r.Header.Set("Idempotency-Key", strings.Repeat("k", 256)) },
		"an empty key": func(r *http.Request) { r.Header["Idempotency-Key"] = []string{""} },
	} {
		if status, _, _ := ask(t, url, `{"orgId": "acme"}`, spoil); status != http.StatusBadRequest && status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, status)
		}
	}
}

// host is a git host with one bare repository, which can be away.
type host struct {
	dir, url string
	away     atomic.Bool
}

func newHost(t *testing.T, content map[string]string) *host {
	t.Helper()
	h, work := &host{dir: t.TempDir()}, gittest.Init(t)
	gittest.Commit(t, work, "first", content)
	gittest.Run(t, h.dir, "clone", "-q", "--bare", work, "repo")
	gittest.Run(t, h.dir+"/repo", "config", "http.receivepack", "true")
	h.url = gittest.Serve(t, h.dir, func(backend http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h.away.Load() {
				http.Error(w, "away", http.StatusServiceUnavailable)
				return
			}
			backend.ServeHTTP(w, r)
		})
	}) + "/repo"
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Many clients sign up at once, each twice with one key, while the loop goes on
// and the git host is away for the second third: every tenant is active when it
// is answered, there once, and in git at the end.
func TestManySignUps(t *testing.T) {
	const clients = 20
	each := 3
	if text := os.Getenv("RECONCILER_SIGN_UPS"); text != "" { // of each client
		n, err := strconv.Atoi(text)
		must(t, err)
		each = n
	}
	h := newHost(t, map[string]string{
		"fleet.yaml":                      "signUp: {apps: [{name: shop}], labels: {tier: trial}}\n",
		"apps/shop/app.yaml":              "name: shop\nlabel: Shop\nversion: 1.0.0\n",
		"apps/shop/objects/customer.yaml": "name: customer\nlabel: Customer\nfields:\n  name: {type: text}\n",
		"tenants/acme/tenant.yaml":        "id: acme\nname: Acme\napps: [{name: shop}]\n",
	})
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	data := t.TempDir()
	repo, err := gitrepo.Open(ctx, gitrepo.Config{URL: h.url, Dir: filepath.Join(data, "git")})
	must(t, err)
	defer repo.Close()
	_, err = repo.Fetch(ctx)
	must(t, err)
	store, err := state.Open(ctx, filepath.Join(data, "state.db"), state.Options{})
	must(t, err)
	defer store.Close()
	router, err := tenantrouter.New(tenantrouter.Config{DataDir: data})
	must(t, err)
	passed := make(chan struct{}, 1)
	loop := reconcile.New(reconcile.Config{
		Repo: repo, Store: store, Router: router, Poll: time.Second, By: deploy.Doer{Actor: "loop", Via: "test"},
		OnPass: func(reconcile.Report, error) {
			select {
			case passed <- struct{}{}:
			default:
			}
		},
	})
	committer := provision.NewCommitter(loop.Life(), repo, func(ctx context.Context) { must(t, loop.Notice(ctx)) })
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	running.Go(func() { must(t, loop.Run(ctx)) })
	running.Go(func() { committer.Run(ctx) })
	url := start(t, func(c *server.Config) {
		c.SignUps, c.Log = loop.Life(), slog.New(slog.DiscardHandler)
	}) + "/api/v1/tenants"

	var signedUp sync.Map
	var count atomic.Int64
	var group sync.WaitGroup
	total := int64(clients * each)
	for client := range clients {
		group.Go(func() {
			for n := range each {
				org := fmt.Sprintf("org-%02d-%03d", client, n)
				first, again := signUp(t, url, org), signUp(t, url, org)
				if first.Status != protocol.TenantActive || again.TenantID != first.TenantID || len(first.Steps) != 3 {
					t.Errorf("%s: got %+v and %+v", org, first, again)
				}
				if other, taken := signedUp.LoadOrStore(first.TenantID, org); taken {
					t.Errorf("%s has the tenant of %s", org, other)
				}
				switch count.Add(1) {
				case total / 3:
					h.away.Store(true)
				case 2 * total / 3:
					h.away.Store(false)
				}
			}
		})
	}
	group.Wait()
	h.away.Store(false)
	for {
		tenants, err := store.Tenants(ctx)
		must(t, err)
		pending := 0
		for _, tenant := range tenants {
			if tenant.Revision == "" || tenant.Status != protocol.TenantActive {
				pending++
			}
		}
		if pending == 0 && len(tenants) == int(total)+1 {
			break
		}
		select {
		case <-passed:
		case <-ctx.Done():
			t.Fatalf("%d of %d tenants are not in git", pending, len(tenants))
		}
	}
	stopAll()
	running.Wait()
	files := gittest.Run(t, h.dir+"/repo", "ls-tree", "-r", "--name-only", "main", "tenants/")
	if got := len(strings.Fields(files)); got != int(total)+1 {
		t.Errorf("got %d files in git, want %d", got, total+1)
	}
	databases, err := filepath.Glob(filepath.Join(data, "tenants", "*.db"))
	must(t, err)
	if len(databases) != int(total)+1 {
		t.Errorf("got %d databases, want %d", len(databases), total+1)
	}
	orphans, err := loop.Life().Orphans(t.Context())
	must(t, err)
	commits, err := strconv.Atoi(gittest.Run(t, h.dir+"/repo", "rev-list", "--count", "main"))
	must(t, err)
	if len(orphans) > 0 || commits < 2 || commits > int(total)/2 {
		t.Errorf("got orphans %+v and %d commits, want none and batches", orphans, commits)
	}
}

// signUp asks for a tenant with the organisation as key.
func signUp(t *testing.T, url, org string) (r protocol.TenantProvisioningResult) {
	t.Helper()
	status, answer, _ := ask(t, url, fmt.Sprintf(`{"orgId": %q, "plan": "pro", "adminEmail": "ada@example.com"}`, org),
		func(r *http.Request) { r.Header.Set("Idempotency-Key", org) })
	text, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || status != http.StatusCreated {
		t.Errorf("%s: got %d %v", org, status, answer)
	}
	return r
}

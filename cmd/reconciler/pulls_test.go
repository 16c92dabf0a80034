package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantops/reconciler/internal/gittest"
	"github.com/tenantops/reconciler/preview/forge/forgetest"
	"github.com/tenantops/reconciler/state"
)

// reviewed is a daemon on the data of a fleet whose repository is served by
// git's own HTTP server and whose pull requests are on a forge.
type reviewed struct {
	*testing.T
	forge  *forgetest.Forge
	dir    string // of the repository
	data   string
	secret string // of webhooks
	more   string // of reconciler.yaml
	daemon *runs
	hook   string // URL of the daemon's webhooks
}

const hookSecret = "h00k-secret"

var (
	mira = forgetest.User{ID: 20, Login: "mira", Access: "write"}
	eve  = forgetest.User{ID: 21, Login: "eve"} // of a fork
)

func review(t *testing.T, kind, poll string) *reviewed {
	t.Helper()
	r := opened(t, kind)
	if kind == "gitlab" {
		r.secret = forgetest.SigningToken
	}
	r.start(poll)
	return r
}

// opened has no daemon yet.
func opened(t *testing.T, kind string) *reviewed {
	t.Helper()
	r := &reviewed{T: t, forge: forgetest.New(t, kind), dir: company(t), data: t.TempDir(), secret: hookSecret}
	r.forge.Users(mira, eve)
	push(t, r.dir, map[string]string{
		"fleet.yaml":                 "policy: {narrowing: approve}\nrollout: {waves: [{name: canary, tenants: 1}, {name: all, pauseBefore: true}]}\n",
		"tenants/globex/tenant.yaml": "id: globex\nname: Globex\napps: [{name: shop}]\n",
	})
	git(t, r.dir, "config", "http.receivepack", "false")
	return r
}

// start starts the daemon, and waits for its first pass.
func (r *reviewed) start(poll string) {
	t := r.T
	t.Helper()
	host := gittest.Serve(t, r.dir, nil)
	secrets := t.TempDir()
	for name, text := range map[string]string{"api": "api-token", "hook": r.secret, "forge": forgetest.Token} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(t.TempDir(), "reconciler.yaml")
	text := fmt.Sprintf("repo: %s/.git\ndata: %s\nsecretsDir: %s\npoll: 1h\nlogFormat: json\n"+
		"server: {listen: 127.0.0.1:0, token: $file:api, webhook: {secret: $file:hook}}\n"+
		"forge: {kind: %s, url: %s, project: %s, token: $file:forge, poll: %s, rehearse: 1, link: \"https://reconciler.example\"}\n",
		host, r.data, secrets, r.forge.Kind, r.forge.URL, forgetest.Project, poll) + r.more
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.daemon = runDaemon(t, "--config", settings)
	r.hook = "http://" + r.daemon.line("api served")["address"].(string) + "/webhook"
	r.forge.Hook(r.hook, r.secret)
	r.daemon.line("pass completed")
	r.daemon.drain()
}

// resume lets the rollout begin its next wave, once it waits before it.
func (r *reviewed) resume() {
	r.Helper()
	r.until("resume", func() bool {
		return run(r.Context(), []string{"rollout", "resume", "--data", r.data, "--actor", "ops"}, io.Discard, io.Discard) == 0
	})
}

func (r *reviewed) until(what string, is func() bool) {
	r.Helper()
	eventually(r.T, is, func() string { return fmt.Sprintf("%s; comments: %q", what, r.forge.Written(1)) })
}

// comment waits for the one comment to have a text.
func (r *reviewed) comment(want string) string {
	r.Helper()
	text := ""
	r.until("comment with "+want, func() bool {
		written := r.forge.Written(1)
		if len(written) == 1 {
			text = written[0]
		}
		return strings.Contains(text, want)
	})
	return text
}

func (r *reviewed) status(commit, want string) {
	r.Helper()
	r.until("status "+want+" of "+commit, func() bool {
		got, _ := r.forge.State(commit)
		return got == want || got == "failed" && want == "failure"
	})
}

// topic commits files on a branch as the head of pull request 1.
func (r *reviewed) topic(files map[string]string) (head string) {
	r.Helper()
	git(r.T, r.dir, "checkout", "--quiet", "-B", "topic")
	push(r.T, r.dir, files)
	head = git(r.T, r.dir, "rev-parse", "HEAD")
	git(r.T, r.dir, "checkout", "--quiet", "main")
	ref := "refs/pull/1/head"
	if r.forge.Kind == "gitlab" {
		ref = "refs/merge-requests/1/head"
	}
	git(r.T, r.dir, "update-ref", ref, head)
	return head
}

// Pull requests from end to end, on each kind of forge: opened, previewed,
// pushed to, approved, merged and rolled out, by webhooks alone.
func TestPullRequests(t *testing.T) {
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			r := review(t, kind, "1h")
			first := r.topic(map[string]string{"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n  phone: {type: phone}\n"})
			r.forge.Open(1, eve, first)
			r.status(first, "success")
			if text := r.comment("phone"); !strings.Contains(text, "rehearsed on a copy of") || !strings.Contains(text, "(https://reconciler.example/api/v1/previews/1)") {
				t.Errorf("neither rehearsed nor with a link:\n%s", text)
			}
			r.served(first)

			unique := "name: customer\nfields:\n  name: {type: text, unique: true}\n"
			second := r.topic(map[string]string{"apps/shop/objects/customer.yaml": unique})
			r.forge.Push(1, second)
			r.status(second, "failure") // blocked
			plan := regexp.MustCompile(`/reconciler approve ([0-9a-f]{12,64})`).FindStringSubmatch(r.comment("/reconciler approve "))[1]
			r.forge.Say(1, eve, "/reconciler approve "+plan)
			r.comment("`eve` refused: only who may write")
			r.forge.Say(1, mira, "/reconciler approve "+plan)
			r.comment("`mira` approved: `" + plan[:12])
			r.status(second, "success")

			before := git(t, r.dir, "rev-parse", "HEAD")
			git(t, r.dir, "merge", "--quiet", "--no-ff", "--message", "merge", "topic")
			merge := git(t, r.dir, "rev-parse", "HEAD")
			r.forge.Merge(1, merge)
			r.forge.Pushed(before, merge)
			r.status(merge, "pending")
			r.resume()
			r.status(merge, "success")
			if n := len(r.forge.Written(1)); n != 1 {
				t.Errorf("got %d comments", n)
			}
			var record strings.Builder
			run(t.Context(), []string{"audit", "--data", r.data}, &record, io.Discard)
			if audit := record.String(); !regexp.MustCompile(`mira +approved +- +` + plan[:12] + ` .*` + regexp.QuoteMeta(r.forge.URL)).MatchString(audit) {
				t.Errorf("the record has\n%s", audit)
			}
			r.deployedWith(plan)
			r.refusesForgeries()
			if code := r.daemon.end(func() {}); code != 0 {
				t.Errorf("got exit code %d", code)
			}
			if log := r.daemon.seen.String(); strings.Contains(log, forgetest.Token) || strings.Contains(log, r.secret) {
				t.Error("a secret is in the log")
			}
		})
	}
}

// A forge that asks to be left alone, fails or is not there delays what is
// said on it, and nothing of deploying: a push is rolled out meanwhile, and the
// comment comes once the forge is back.
func TestForgeAway(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter){
		"429": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"503": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"no answer": func(w http.ResponseWriter) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := review(t, "github", "1s")
			r.forge.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
				fault(w)
				return true
			})
			first := r.topic(map[string]string{"apps/shop/objects/customer.yaml": "name: customer\nfields:\n  name: {type: text}\n  phone: {type: phone}\n"})
			r.forge.Open(1, eve, first)
			before := git(t, r.dir, "rev-parse", "HEAD")
			push(t, r.dir, map[string]string{"tenants/initech/tenant.yaml": "id: initech\nname: Initech\napps: [{name: shop}]\n"})
			r.forge.Pushed(before, git(t, r.dir, "rev-parse", "HEAD"))
			r.until("deployment", func() bool {
				var out strings.Builder
				run(t.Context(), []string{"history", "initech", "--data", r.data, "-o", "json"}, &out, io.Discard)
				return strings.Contains(out.String(), `"ready"`)
			})
			if written := r.forge.Written(1); len(written) > 0 {
				t.Errorf("a forge that is away has %q", written)
			}
			outcome := "away"
			if name == "429" {
				outcome = "limited"
			}
			r.until("a request that came to "+outcome, func() bool {
				_, metrics := r.get("/metrics", "api-token")
				return !strings.Contains(metrics, `reconciler_forge_requests_total{outcome="`+outcome+`"} 0`)
			})
			r.forge.Fault(nil)
			r.until("comment", func() bool {
				r.forge.Push(1, first) // a webhook wakes the watcher, which looks once it may
				return len(r.forge.Written(1)) == 1
			})
			r.status(first, "success")
			if code := r.daemon.end(func() {}); code != 0 {
				t.Errorf("got exit code %d", code)
			}
		})
	}
}

// get asks the daemon's HTTP API.
func (r *reviewed) get(path, token string) (status int, body string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, strings.TrimSuffix(r.hook, "/webhook")+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// served checks that the whole report is behind the link, for who has the
// token, and that previews and requests are counted.
func (r *reviewed) served(head string) {
	r.Helper()
	if status, body := r.get("/api/v1/previews/1", "api-token"); status != 200 || !strings.Contains(body, `"head": "`+head+`"`) || !strings.Contains(body, "ADD COLUMN") {
		r.Errorf("the report was answered %d:\n%s", status, body)
	}
	if status, _ := r.get("/api/v1/previews/1", "another"); status != http.StatusUnauthorized {
		r.Errorf("without the token the report was answered %d", status)
	}
	for _, path := range []string{"/api/v1/previews/2", "/api/v1/previews/x"} {
		if status, _ := r.get(path, "api-token"); status != http.StatusNotFound {
			r.Errorf("%s was answered %d", path, status)
		}
	}
	_, metrics := r.get("/metrics", "api-token")
	if strings.Contains(metrics, `reconciler_previews_total{outcome="made"} 0`) {
		r.Error("the metrics do not count the preview")
	}
	for _, want := range []string{`reconciler_previews_total{outcome="made"} `, `reconciler_forge_requests_total{outcome="answered"}`, "reconciler_forge_age_seconds"} {
		if !strings.Contains(metrics, want) {
			r.Errorf("the metrics do not have %s", want)
		}
	}
}

// deployedWith checks that what was previewed is what was applied.
func (r *reviewed) deployedWith(plan string) {
	r.Helper()
	store, err := state.Open(r.Context(), filepath.Join(r.data, "state.db"), state.Options{ReadOnly: true})
	if err != nil {
		r.Fatal(err)
	}
	approvals, err := store.Approvals(r.Context(), "")
	if closed := store.Close(); closed != nil {
		r.Fatal(closed)
	}
	if err != nil || len(approvals) != 1 || approvals[0].Via != "pull request" || approvals[0].Actor != "mira" {
		r.Fatalf("got %+v, %v", approvals, err)
	}
	for _, tenant := range []string{"acme", "globex"} {
		var out strings.Builder
		run(r.Context(), []string{"history", tenant, "--data", r.data, "-o", "json"}, &out, io.Discard)
		if !strings.Contains(out.String(), approvals[0].Plan) || !strings.HasPrefix(approvals[0].Plan, plan) {
			r.Errorf("%s was not deployed with plan %s:\n%s", tenant, plan, out.String())
		}
	}
}

// refusesForgeries sends webhooks that the forge has not sent.
func (r *reviewed) refusesForgeries() {
	r.Helper()
	event := map[string]string{"github": "pull_request", "gitea": "pull_request", "gitlab": "Merge Request Hook"}[r.forge.Kind]
	body := map[string]any{"number": 1, "action": "synchronize"}
	another := "another secret"
	if r.forge.Kind == "gitlab" {
		another = "whsec_YW5vdGhlciBzZWNyZXQ="
	}
	wrong := r.forge.Delivery(event, body, another)
	missing := r.forge.Delivery(event, body, r.secret)
	for _, name := range []string{"X-Hub-Signature-256", "X-Gitea-Signature", "webhook-signature"} {
		missing.Header.Del(name)
	}
	for name, delivery := range map[string]forgetest.Delivery{"wrong": wrong, "missing": missing} {
		if got := r.forge.Deliver(r.hook, delivery); got != http.StatusUnauthorized {
			r.Errorf("%s signature: got %d", name, got)
		}
	}
	if _, metrics := r.get("/metrics", "api-token"); !strings.Contains(metrics, `reconciler_webhooks_total{outcome="refused"} 2`) {
		r.Error("the metrics do not count two webhooks that were refused")
	}
	first := r.forge.Delivery(event, body, r.secret)
	if got := r.forge.Deliver(r.hook, first); got != http.StatusAccepted {
		r.Errorf("signed: got %d", got)
	}
	for _, name := range []string{"X-GitHub-Delivery", "X-Gitea-Delivery", "Idempotency-Key"} {
		if first.Header.Get(name) != "" {
			first.Header.Set(name, "of-somebody-who-recorded-it")
		}
	}
	if got := r.forge.Deliver(r.hook, first); got != http.StatusConflict {
		r.Errorf("replayed: got %d", got)
	}
}

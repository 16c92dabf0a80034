package sqld_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tenantops/reconciler/internal/database"
	"github.com/tenantops/reconciler/internal/sqldtest"
	"github.com/tenantops/reconciler/provision/control"
	"github.com/tenantops/reconciler/provision/sqld"
)

func TestMain(m *testing.M) { sqldtest.Main(m) }

// namespaces is a server that asks for a key, and what is behind it.
func namespaces(t *testing.T, key string) (*sqld.Server, *sqldtest.Server) {
	t.Helper()
	behind, err := sqldtest.Run(os.Stderr, "--admin-auth-key", "sesame-key")
	if err != nil {
		sqldtest.Start(t) // skips where there is no server
		t.Fatal(err)
	}
	t.Cleanup(behind.Stop)
	s, err := sqld.New(sqld.Config{
		Admin: behind.Admin, Key: func() (string, error) { return key, nil }, URL: "http://{name}.sqld.test:8080",
	})
	must(t, err)
	return s, behind
}

// execute runs a statement as an application would, and returns what the
// server answers.
func execute(t *testing.T, s *sqldtest.Server, namespace, token, sql string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.URL+"/v3/pipeline", strings.NewReader(
		`{"requests":[{"type":"execute","stmt":{"sql":`+quoted(sql)+`}},{"type":"close"}]}`))
	must(t, err)
	request.Host = sqldtest.Host(namespace)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.Status + " " + string(body)
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func TestLife(t *testing.T) {
	s, behind := namespaces(t, "sesame-key")
	ctx := t.Context()
	made, err := s.Create(ctx, "acme")
	must(t, err)
	if want := (control.Database{Name: "acme", URL: "http://acme.sqld.test:8080"}); made != want {
		t.Errorf("got %+v, want %+v", made, want)
	}
	if _, err := s.Create(ctx, "acme"); !errors.Is(err, control.ErrExists) {
		t.Errorf("created twice: got %v, want ErrExists", err)
	}
	token, err := s.Token(ctx, "acme")
	must(t, err)
	wantAnswer(t, execute(t, behind, "acme", token, "CREATE TABLE t (x)"), "200 OK", `"ok"`)
	wantAnswer(t, execute(t, behind, "acme", "", "SELECT 1"), "401")

	must(t, s.Block(ctx, "acme", true))
	wantAnswer(t, execute(t, behind, "acme", token, "INSERT INTO t VALUES (1)"), "BLOCKED")
	wantAnswer(t, execute(t, behind, "acme", token, "SELECT count(*) FROM t"), `"ok"`)
	must(t, s.Block(ctx, "acme", false))
	wantAnswer(t, execute(t, behind, "acme", token, "INSERT INTO t VALUES (1)"), `"ok"`)

	fresh, err := s.Rotate(ctx, "acme")
	must(t, err)
	wantAnswer(t, execute(t, behind, "acme", token, "SELECT 1"), "401")
	wantAnswer(t, execute(t, behind, "acme", fresh, "SELECT x FROM t"), `"value":"1"`)

	if used, err := s.Usage(ctx, "acme"); err != nil || used.RowsWritten == 0 {
		t.Errorf("got usage %+v, %v; want rows that were written", used, err)
	}
	must(t, s.Delete(ctx, "acme"))
	must(t, s.Delete(ctx, "acme"))
	if _, err := s.Find(ctx, "acme"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := s.List(ctx); !errors.Is(err, control.ErrNoList) {
		t.Errorf("got %v, want ErrNoList", err)
	}
}

// Copies come and go at the same time, which sqld does not take by itself.
func TestForksBesideRemovals(t *testing.T) {
	s, _ := namespaces(t, "sesame-key")
	_, err := s.Create(t.Context(), "acme")
	must(t, err)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 5 {
				name := fmt.Sprint("acme-", i)
				_, err := s.Fork(t.Context(), "acme", name)
				if err := errors.Join(err, s.Delete(t.Context(), name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// A token opens its namespace and no other, and that of a fork is its own.
func TestTokensAreOfOneNamespace(t *testing.T) {
	s, behind := namespaces(t, "sesame-key")
	ctx := t.Context()
	tokens := map[string]string{}
	for _, name := range []string{"acme", "beta"} {
		_, err := s.Create(ctx, name)
		must(t, err)
		tokens[name], err = s.Token(ctx, name)
		must(t, err)
	}
	wantAnswer(t, execute(t, behind, "beta", tokens["acme"], "SELECT 1"), "40")
	wantAnswer(t, execute(t, behind, "acme", tokens["acme"], "CREATE TABLE t AS SELECT 7 AS x"), `"ok"`)
	_, err := s.Fork(ctx, "acme", "acme-try")
	must(t, err)
	if _, err := s.Fork(ctx, "acme", "acme-try"); !errors.Is(err, control.ErrExists) {
		t.Errorf("forked twice: got %v, want ErrExists", err)
	}
	if _, err := s.Fork(ctx, "gone", "other"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("forked from nothing: got %v, want ErrNotFound", err)
	}
	token, err := s.Token(ctx, "acme-try")
	must(t, err)
	wantAnswer(t, execute(t, behind, "acme-try", token, "SELECT x FROM t"), `"value":"7"`)
	wantAnswer(t, execute(t, behind, "acme", tokens["acme"], "SELECT x FROM t"), `"value":"7"`) // the original's token goes on
}

// What a configuration has beside our keys stays as it is.
func TestConfigurationIsModified(t *testing.T) {
	s, behind := namespaces(t, "sesame-key")
	_, err := s.Create(t.Context(), "acme")
	must(t, err)
	request, err := http.NewRequest(http.MethodPost, behind.Admin+"/v1/namespaces/acme/config", strings.NewReader(
		`{"block_reads":false,"block_writes":false,"allow_attach":true,"txn_timeout_s":9,"max_db_size":"7.0 MB"}`))
	must(t, err)
	request.Header = http.Header{"Authorization": {"basic sesame-key"}, "Content-Type": {"application/json"}}
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	must(t, s.Block(t.Context(), "acme", true))
	_, err = s.Rotate(t.Context(), "acme")
	must(t, err)
	request, err = http.NewRequest(http.MethodGet, behind.Admin+"/v1/namespaces/acme/config", nil)
	must(t, err)
	request.Header.Set("Authorization", "basic sesame-key")
	response, err = http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	for _, want := range []string{`"allow_attach":true`, `"txn_timeout_s":9`, `"max_db_size":"7.0 MB"`, `"block_writes":true`, `"jwt_key":"`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("got configuration %s, want %s in it", text, want)
		}
	}
}

func TestWrongKey(t *testing.T) {
	s, _ := namespaces(t, "planted-wrong-key")
	var refused *control.Error
	_, err := s.Create(t.Context(), "acme")
	for _, err := range []error{err, s.Reach(t.Context())} {
		if !errors.As(err, &refused) || refused.Reason() != "ProviderUnauthorized" || strings.Contains(err.Error(), "planted") {
			t.Errorf("got %v, want ProviderUnauthorized without the key", err)
		}
	}
}

// A server is reached whether or not it has the namespace that others begin
// with; the port for statements is not the admin API.
func TestReach(t *testing.T) {
	s, behind := namespaces(t, "sesame-key")
	must(t, s.Reach(t.Context()))
	must(t, s.Delete(t.Context(), "default"))
	must(t, s.Reach(t.Context()))
	other, err := sqld.New(sqld.Config{Admin: behind.URL, URL: "http://{name}.sqld.test:8080"})
	must(t, err)
	if err := other.Reach(t.Context()); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("got %v from the port for statements", err)
	}
}

// The server checks names hardly, so no name of another shape reaches it.
func TestNames(t *testing.T) {
	var asked atomic.Int32
	s, err := sqld.New(sqld.Config{Admin: "http://127.0.0.1:1", URL: "http://{name}.x", Client: &http.Client{Transport: counting{&asked}}})
	must(t, err)
	for _, name := range []string{"", "../x", "a/b", "A", "a.b", "-a", "a-", "a b", "a\n", strings.Repeat("a", 64), "ä", "a%2f"} {
		_, made := s.Create(t.Context(), name)
		_, forked := s.Fork(t.Context(), "acme", name)
		for _, err := range []error{made, forked, s.Delete(t.Context(), name), s.Block(t.Context(), name, true)} {
			if err == nil || errors.Is(err, database.ErrAway) {
				t.Errorf("%q: got %v, want a refusal", name, err)
			}
		}
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("%d requests were made", got)
	}
}

func TestURLNamesTheNamespaceFirst(t *testing.T) {
	for _, url := range []string{"", "http://sqld.internal:8080", "http://sqld.{name}.x", "http://{name}:8080"} {
		if _, err := sqld.New(sqld.Config{Admin: "http://127.0.0.1:1", URL: url}); err == nil {
			t.Errorf("%q: got no error", url)
		}
	}
}

type counting struct{ requests *atomic.Int32 }

func (c counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return nil, errors.New("nothing is to be asked")
}

func wantAnswer(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(got, part) {
			t.Errorf("the server answers %s, want %s in it", got, part)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
